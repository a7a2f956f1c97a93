//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// ringFlags are the flags that send and recv have in common.
func ringFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "create", Aliases: []string{"c"}, Usage: "make the object, unless it is there, and remove it at the end", DisableDefaultText: true},
		&cli.StringFlag{Name: "size", Aliases: []string{"s"}, Value: "16MiB", Usage: "with --create: `SIZE` of the ring, rounded up to a power of two"},
		&cli.StringFlag{Name: "mode", Aliases: []string{"m"}, Value: "0600", Usage: "with --create: permission bits, `OCTAL`"},
		command.HugeFlag(),
		&cli.BoolFlag{Name: "populate", Usage: "make all pages present at once", DisableDefaultText: true},
		&cli.StringFlag{Name: "peer-owner", Usage: "use an object that `USER` made, too: else only yours and root's"},
		&cli.StringFlag{Name: "wait", Aliases: []string{"w"}, Value: "1m", Usage: "wait for the other side for up to `DURATION`"},
		&cli.BoolFlag{Name: "messages", Usage: "pass whole lines, of one or several senders", DisableDefaultText: true},
		&cli.BoolFlag{Name: "progress", Usage: "show progress though standard error is no terminal", DisableDefaultText: true},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "show no progress", DisableDefaultText: true},
	}
}

// ringOptions are what these flags say.
type ringOptions struct {
	ref      string // as it was given
	place    place
	owners   []uint32 // whose object may be used
	create   bool
	creation creation
	mode     fs.FileMode
	ring     shmring.Options
	populate bool
	wait     time.Duration
}

func readRingOptions(c *cli.Context) (o ringOptions, err error) {
	args, err := command.Operands(c, 1, 1, "REF")
	if err != nil {
		return o, err
	}
	o.ref = args[0]
	if o.place, err = parseRef(o.ref); err != nil {
		return o, err
	}
	o.create, o.populate, o.ring.Producers = c.Bool("create"), c.Bool("populate"), shmring.One
	if c.Bool("messages") {
		o.ring.Producers = shmring.Many
	}
	if o.wait, err = units.ParseDuration(c.String("wait")); err != nil {
		return o, command.Usagef("--wait: %w", err)
	}
	if o.owners, err = trustedOwners(c); err != nil {
		return o, err
	}
	if c.Bool("quiet") && c.Bool("progress") {
		return o, command.Usagef("--quiet and --progress exclude each other")
	}
	if !o.create {
		for _, name := range []string{"size", "mode", "huge"} {
			if c.IsSet(name) {
				return o, command.Usagef("--%s says how the object is made; it needs --create", name)
			}
		}
		return o, nil
	}
	if o.ring.Capacity, err = capacityFlag(c); err != nil {
		return o, err
	}
	o.creation = creation{size: int64(shmring.Size(o.ring.Capacity)), mode: making, exclusive: true, reserve: true}
	if o.mode, err = command.ModeFlag(c, "mode"); err != nil {
		return o, err
	}
	if o.mode == making {
		return o, command.Usagef("--mode: %04o marks a ring that is not finished; take another", making)
	}
	o.creation.huge, err = command.HugePages(c)
	return o, err
}

// trustedOwners returns the users whose objects may be used: the caller, root, and the
// one that --peer-owner names. Anybody can make an object under a key or a name that
// others are about to use.
func trustedOwners(c *cli.Context) ([]uint32, error) {
	owners := []uint32{uint32(os.Geteuid()), 0}
	if !c.IsSet("peer-owner") {
		return owners, nil
	}
	uid, err := command.UserID(c.String("peer-owner"))
	if err != nil {
		return nil, command.Usagef("--peer-owner: %w", err)
	}
	return append(owners, uid), nil
}

// Bounds of --size: the smallest ring there is, and what leaves room for the rest of
// the object in an int.
const (
	leastCapacity = 4096
	mostCapacity  = 1 << (bits.UintSize*3/8 + 16) // 256 MiB on 32 bits, 1 TiB on 64
)

// capacityFlag returns --size as a power of two.
func capacityFlag(c *cli.Context) (int, error) {
	size, err := command.SizeFlag(c, "size")
	switch {
	case err != nil:
		return 0, err
	case size == 0 || uint64(size) > mostCapacity:
		return 0, command.Usagef("--size: a ring holds from 1 to %d bytes", uint64(mostCapacity))
	case size <= leastCapacity:
		return leastCapacity, nil
	}
	return 1 << bits.Len64(uint64(size-1)), nil
}

// untilDone returns a context that is done when the user wants to stop. A broken pipe
// is an error like others: who is killed by it can not remove what there is.
func untilDone(parent context.Context) (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	return interruptible(parent)
}

// A meeting is an object with a ring in it, in the memory of this process.
type meeting struct {
	object object
	mem    mapping
	ring   *shmring.Ring
	wait   time.Duration
	made   bool        // by this process, which has not yet removed it
	mode   fs.FileMode // that it gets when it is ready for others

	populate bool // make its pages present
}

const (
	// making is the mode of an object until there is a ring in it and its maker has
	// joined that: a maker can be killed at any moment, and who comes next has to know
	// what it is that was left.
	making fs.FileMode = 0o601
	// makingTime is more than that takes. (System V tells the time in seconds.)
	makingTime = 3 * time.Second
)

// A notYet is a reason to look again later.
type notYet struct{ error }

func (e notYet) Unwrap() error { return e.error }

// meet finds or makes the ring, waiting for it if it is for others to make.
func meet(ctx context.Context, o ringOptions) (m *meeting, err error) {
	waited := await(ctx, o.wait, func() bool {
		m, err = o.look()
		return !errors.As(err, &notYet{})
	})
	if errors.Is(waited, errWaited) {
		return nil, fmt.Errorf("%s (waited %v for it)", explain.Error(err), o.wait)
	}
	if waited != nil {
		return nil, errors.Join(waited, m.leave())
	}
	return m, err
}

// errWaited says that the time to wait is over.
var errWaited = errors.New("waited in vain")

// await looks whether condition holds, less and less often, for at most wait.
func await(ctx context.Context, wait time.Duration, condition func() bool) error {
	over := time.Now().Add(wait)
	for pause := time.Millisecond; !condition(); pause = min(2*pause, 20*time.Millisecond) {
		left := time.Until(over)
		if left <= 0 {
			return errWaited
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(pause, left)):
		}
	}
	return nil
}

// look makes the ring, or looks for it once.
func (o ringOptions) look() (*meeting, error) {
	if o.create {
		made, ok, err := o.place.create(o.creation)
		if ok {
			return o.lay(made)
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	found, err := o.place.find()
	if err == nil {
		var m *meeting
		if m, err = o.open(found); err == nil {
			return m, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) && o.place.mayAppear() {
		err = notYet{err}
	}
	return nil, err
}

// lay makes the ring in an object that is new.
func (o ringOptions) lay(made object) (*meeting, error) {
	mem, err := made.attach(attachOptions{})
	if err != nil {
		return nil, errors.Join(command.Explained(err), made.remove())
	}
	m := &meeting{object: made, mem: mem, wait: o.wait, populate: o.populate, made: true, mode: o.mode}
	if m.ring, err = shmring.Create(mem.Bytes(), o.ring); err != nil {
		return nil, errors.Join(err, m.leave())
	}
	return m, nil
}

// open opens the ring in an object that somebody else has made. What is no ring is
// left as it is.
func (o ringOptions) open(found object) (*meeting, error) {
	s, err := found.state()
	if err == nil {
		err = o.admit(found, s)
	}
	if err != nil {
		return nil, err
	}
	mem, err := found.attach(attachOptions{})
	if err != nil {
		return nil, err
	}
	m := &meeting{object: found, mem: mem, wait: o.wait, populate: o.populate}
	if err := o.openIn(m); err != nil {
		return nil, errors.Join(err, mem.Detach())
	}
	return m, nil
}

// admit refuses an object that somebody else made, or is still making.
func (o ringOptions) admit(found object, s state) error {
	for _, uid := range s.owners {
		if !slices.Contains(o.owners, uid) {
			name := account.New().UserOrID(uid)
			return fmt.Errorf("%v belongs to %s, and not to you or root; --peer-owner %s uses it all the same", found, name, name)
		}
	}
	if s.mode == making && (!o.create || time.Since(s.changed) < makingTime) {
		return notYet{fmt.Errorf("somebody has begun to make a ring in %v, and may have died; gshm rm %s removes it", found, found.ref())}
	}
	return nil
}

// openIn opens the ring in an object that is attached. Who made it is asked again: since
// the last time the name may have passed to another object.
func (o ringOptions) openIn(m *meeting) error {
	found, mem := m.object, m.mem
	s, err := mem.state()
	if err == nil {
		err = o.admit(found, s)
	}
	if err != nil {
		return err
	}
	blank := unfinished(mem) // asked first: it may be finished the next moment
	m.ring, err = shmring.Open(mem.Bytes())
	switch {
	case s.mode == making && (err == nil || blank && sizeOfRing(mem.Len())):
		err = m.abandoned(true)
	case errors.Is(err, shmring.ErrNotRing) && blank:
		err = notYet{fmt.Errorf("%v holds no ring", found)}
	case errors.Is(err, shmring.ErrNotRing):
		err = explained{err, fmt.Sprintf("%v holds no ring, but something else; it is left as it is", found)}
	case err != nil:
		err = fmt.Errorf("%v is not to be used: %w", found, err)
	case m.ring.Abandoned():
		err = m.abandoned(o.create)
	case m.ring.Producers() != o.ring.Producers:
		err = fmt.Errorf("the ring in %v is %s", found, kindMismatch(m.ring.Producers()))
	}
	return err
}

func kindMismatch(is shmring.Producers) string {
	if is == shmring.Many {
		return "for lines: give --messages"
	}
	return "for a stream of bytes: leave out --messages"
}

// unfinished tells whether somebody may be about to make a ring in mem.
func unfinished(mem mapping) bool {
	var magic [8]byte
	n, err := mem.ReadAt(magic[:], 0)
	return n == len(magic) && err == nil && magic == [8]byte{} && mem.Len() >= shmring.Size(leastCapacity)
}

// sizeOfRing tells whether a ring can be so large that it was made by this program.
func sizeOfRing(size int) bool {
	capacity := leastCapacity
	for capacity < mostCapacity && shmring.Size(capacity) < size {
		capacity *= 2
	}
	return shmring.Size(capacity) == size
}

// abandoned deals with a ring all of whose processes have died: who is to make one
// may make it anew.
func (m *meeting) abandoned(remove bool) error {
	if remove {
		if err := m.mem.discard(); err != nil {
			return err
		}
	}
	return notYet{fmt.Errorf("the ring in %v was left by processes that have died; gshm rm %s removes it", m.object, m.object.ref())}
}

// awaitPeer waits until the other side, which is called who, is there.
func (m *meeting) awaitPeer(ctx context.Context, who string, there func(shmring.Members) bool) error {
	err := await(ctx, m.wait, func() bool { return there(m.ring.Members()) })
	if errors.Is(err, errWaited) {
		return fmt.Errorf("no %s came to %v (waited %v)", who, m.object, m.wait)
	}
	return err
}

// begin lets others use an object that this process made, when it has joined the ring.
// Only then are the pages made present, which can take longer than anybody waits for
// this side.
func (m *meeting) begin() error {
	if m.made {
		if err := m.object.set(func(o *sysv.Ownership) { o.Mode = m.mode }); err != nil {
			return err
		}
	}
	if m.populate {
		return m.mem.Prefault()
	}
	return nil
}

// settle removes an object that this process made as soon as nobody else is to find
// it: then not even a kill leaves it behind. Who has it attached keeps it.
func (m *meeting) settle() error {
	if !m.made {
		return nil
	}
	m.made = false
	return m.mem.discard()
}

// leave ends a meeting, which may be none.
func (m *meeting) leave() error {
	if m == nil {
		return nil
	}
	return errors.Join(m.settle(), m.mem.Detach())
}

// errInterrupted is what an end that the user wanted comes to. It is a failure: what
// was under way is not complete.
var errInterrupted = errors.New("interrupted")

// explain says what an error of the ring means. The other side is called who. The
// meeting may be none.
func (m *meeting) explain(err error, who string) error {
	switch {
	case errors.Is(err, context.Canceled):
		return errInterrupted
	case errors.Is(err, shmring.ErrBusy):
		is := "a receiver"
		switch {
		case who == "receiver" && m.ring.Producers() == shmring.Many:
			is = "64 senders"
		case who == "receiver":
			is = "a sender"
		}
		return explained{err, "the ring is in use: it has " + is + " already"}
	case errors.Is(err, shmring.ErrPeerDied), errors.Is(err, shmring.ErrClosed):
		return explained{err, "the " + who + " has ended too early: not all has arrived"}
	}
	return err
}
