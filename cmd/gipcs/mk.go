//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/selection"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/sysv"
)

func mkCommand() *cli.Command {
	return &cli.Command{
		Name:  "mk",
		Usage: "make an object and print it as a REF",
		Description: "One of --shmem, --semaphore, --values and --queue says what to make. Without\n" +
			"--key the object gets a free key.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "shmem", Aliases: []string{"M"}, Usage: "a segment of `SIZE` bytes"},
			&cli.StringFlag{Name: "semaphore", Aliases: []string{"S"}, Usage: "a set of `N` semaphores, all zero"},
			&cli.StringFlag{Name: "values", Usage: "a set of semaphores with the values `LIST`, such as 1,0,10"},
			&cli.BoolFlag{Name: "queue", Aliases: []string{"Q"}, Usage: "a message queue", DisableDefaultText: true},
			&cli.StringFlag{Name: "mode", Aliases: []string{"p"}, Value: "0644", Usage: "permission bits, `OCTAL`"},
			&cli.StringFlag{Name: "key", Aliases: []string{"k"}, Usage: "key: a `REF` (0x4d2, ftok:PATH), or \"private\" for none"},
			&cli.BoolFlag{Name: "exclusive", Aliases: []string{"x"}, Usage: "fail if the key is taken", DisableDefaultText: true},
			&cli.StringFlag{Name: "qbytes", Usage: "`SIZE` in bytes that a queue may hold"},
			command.HugeFlag(),
		}, command.OwnerFlags()...),
		Action: mk,
	}
}

// A recipe describes an object to make, and what to set afterwards.
type recipe struct {
	kind      ref.Kind
	key       sysv.Key
	keyGiven  bool
	exclusive bool
	mode      fs.FileMode
	modeGiven bool
	size      int64                 // of a segment
	huge      int64                 // of its pages
	nsems     uint64                // of a set
	values    []uint16              // of its semaphores
	qbytes    uint64                // of a queue, 0 for the system's default
	owner     func(*sysv.Ownership) // nil for the caller
}

func mk(c *cli.Context) error {
	if _, err := command.Operands(c, 0, 0, ""); err != nil {
		return err
	}
	r, err := readRecipe(c)
	if err != nil {
		return command.Usage(err)
	}
	ctx, stop := command.Interruptible(c.Context)
	defer stop()
	o, made, err := r.make()
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	} else {
		_, err = fmt.Fprintf(c.App.Writer, "%v:%d\n", r.kind, o)
	}
	if err != nil && made { // nobody would know its name
		err = errors.Join(err, o.remove())
	}
	return err
}

func readRecipe(c *cli.Context) (r recipe, err error) {
	if err := r.readKind(c); err != nil {
		return r, err
	}
	if c.IsSet("qbytes") {
		n, err := command.SizeFlag(c, "qbytes")
		if err != nil {
			return r, err
		}
		switch {
		case r.kind != ref.Msg:
			return r, errors.New("--qbytes is for queues")
		case n == 0:
			return r, errors.New("--qbytes: a queue of 0 bytes takes no message; omit the flag for the default size")
		}
		r.qbytes = uint64(n)
	}
	if r.huge, err = command.HugePages(c); err != nil {
		return r, err
	}
	if r.huge != 0 && r.kind != ref.Shm {
		return r, errors.New("--huge is for segments")
	}
	if r.mode, err = command.ModeFlag(c, "mode"); err != nil {
		return r, err
	}
	if r.owner, err = command.Owner(c); err != nil {
		return r, err
	}
	r.exclusive, r.keyGiven, r.modeGiven = c.Bool("exclusive"), c.IsSet("key"), c.IsSet("mode")
	if r.keyGiven {
		if r.key, err = selection.ParseKey(c.String("key")); err != nil {
			return r, fmt.Errorf("--key: %w", err)
		}
	}
	return r, nil
}

// readKind reads the kind and the size.
func (r *recipe) readKind(c *cli.Context) (err error) {
	chosen := 0
	for _, flag := range []string{"shmem", "semaphore", "values", "queue"} {
		if c.IsSet(flag) {
			chosen++
		}
	}
	if chosen != 1 {
		return errors.New("say what to make with one of --shmem, --semaphore, --values and --queue")
	}
	switch {
	case c.IsSet("shmem"):
		r.kind = ref.Shm
		r.size, err = command.SizeFlag(c, "shmem")
	case c.IsSet("semaphore"):
		r.kind = ref.Sem
		r.nsems, err = units.ParseUint("number of semaphores", c.String("semaphore"), math.MaxInt32)
		// Values beyond what semop(2) can number are rejected anyway.
		r.values = make([]uint16, min(r.nsems, math.MaxUint16+2))
	case c.IsSet("values"):
		r.kind = ref.Sem
		r.values, err = readValues(c.String("values"))
		r.nsems = uint64(len(r.values))
	default:
		r.kind = ref.Msg
	}
	return err
}

func readValues(text string) ([]uint16, error) {
	var values []uint16
	for word := range strings.SplitSeq(text, ",") {
		n, err := units.ParseUint("value of a semaphore", word, math.MaxInt16)
		if err != nil {
			return nil, err
		}
		values = append(values, uint16(n))
	}
	return values, nil
}

// make makes the object, or returns an existing one. It removes an object that it made
// but could not finish.
func (r *recipe) make() (o identifier, made bool, err error) {
	if r.keyGiven {
		return r.makeWith(r.key, r.exclusive)
	}
	o, err = sysvipc.UnderFreeKey(func(key sysv.Key) (identifier, error) {
		o, m, err := r.makeWith(key, true)
		made = m
		return o, err
	})
	return o, made, err
}

// makeWith makes the object with a key or, unless exclusive is set, returns an existing
// one.
func (r *recipe) makeWith(key sysv.Key, exclusive bool) (o identifier, made bool, err error) {
	if r.kind == ref.Sem && r.nsems > math.MaxUint16+1 {
		return nil, false, fmt.Errorf("a set has from 1 to %d semaphores (what an operation can number), not %d", math.MaxUint16+1, r.nsems)
	}
	make := r.openOrCreate
	if exclusive {
		make = r.create
	}
	o, made, err = make(key)
	switch {
	case err != nil:
		return nil, false, err
	case made:
		return o, true, r.finish(o)
	default:
		return o, false, r.check(o)
	}
}

func (r *recipe) create(key sysv.Key) (o identifier, made bool, err error) {
	mode := sysvipc.Mode(r.mode)
	switch r.kind {
	case ref.Shm:
		s, err := sysv.CreateSegment(key, r.size, &sysv.SegmentOptions{Mode: mode, HugePages: r.huge})
		return segment(s), err == nil, err
	case ref.Sem:
		s, err := sysv.CreateSetWith(key, r.values, &sysv.SetOptions{Mode: mode})
		return set(s), err == nil, err
	default:
		q, err := sysv.CreateQueue(key, &sysv.QueueOptions{Mode: mode})
		return queue(q), err == nil, err
	}
}

func (r *recipe) openOrCreate(key sysv.Key) (o identifier, made bool, err error) {
	mode := sysvipc.Mode(r.mode)
	switch r.kind {
	case ref.Shm:
		s, made, err := sysvipc.OpenOrCreateSegment(key, r.size, &sysv.SegmentOptions{Mode: mode, HugePages: r.huge})
		return segment(s), made, err
	case ref.Sem:
		s, made, err := sysv.OpenOrCreateSet(context.Background(), key, r.values, &sysv.SetOptions{Mode: mode, AnyOwner: true})
		return set(s), made, err
	default:
		q, made, err := sysv.OpenOrCreateQueue(key, &sysv.QueueOptions{Mode: mode, AnyOwner: true})
		return queue(q), made, err
	}
}

// finish sets what cannot be given at creation. If that fails it removes the object.
func (r *recipe) finish(o identifier) error {
	if r.owner == nil && r.qbytes == 0 {
		return nil
	}
	s, err := o.state()
	if err == nil {
		err = r.change(o, s)
	}
	if err != nil {
		return errors.Join(err, o.remove())
	}
	return nil
}

func (r *recipe) change(o identifier, is state) error {
	want := r.wanted(is)
	err := o.change(want)
	if errors.Is(err, fs.ErrPermission) && want.qbytes > is.qbytes {
		return fmt.Errorf("--qbytes: only root (CAP_SYS_RESOURCE) may give a queue more than the %d bytes of kernel.msgmnb", is.qbytes)
	}
	return err
}

// wanted returns s with the changes that the flags ask for.
func (r *recipe) wanted(s state) state {
	if r.owner != nil {
		r.owner(&s.Ownership)
	}
	if r.modeGiven {
		s.Mode = r.mode
	}
	s.qbytes = cmp.Or(r.qbytes, s.qbytes)
	return s
}

// check returns an error if an existing object differs from what the flags ask for. It
// ignores the values of a set, which its users have changed since.
func (r *recipe) check(o identifier) error {
	if r.owner == nil && r.qbytes == 0 && !r.modeGiven {
		return nil // it may not even be readable
	}
	is, err := o.state()
	if err != nil {
		return err
	}
	want := r.wanted(is)
	for _, f := range []struct {
		flag     string
		is, want any
	}{
		{"uid", is.UID, want.UID},
		{"gid", is.GID, want.GID},
		{"mode", fmt.Sprintf("%04o", is.Mode), fmt.Sprintf("%04o", want.Mode)},
		{"qbytes", is.qbytes, want.qbytes},
	} {
		if f.is != f.want {
			return r.differs(o, f.flag, f.is, f.want)
		}
	}
	return nil
}

func (r *recipe) differs(o identifier, flag string, is, want any) error {
	return fmt.Errorf("--%s: %v:%d exists already and has %v, not %v", flag, r.kind, o, is, want)
}

// An identifier identifies an object of any kind.
type identifier interface {
	state() (state, error)
	change(to state) error
	remove() error
}

// A state is the settable attributes of an existing object.
type state struct {
	sysv.Ownership
	qbytes uint64 // of a queue
}

type segment sysv.Segment

func (s segment) state() (state, error) {
	info, err := sysv.Segment(s).Stat()
	return state{Ownership: info.Ownership()}, err
}

func (s segment) change(to state) error { return sysv.Segment(s).SetOwnership(to.Ownership) }
func (s segment) remove() error         { return sysv.Segment(s).Remove() }

type set sysv.Set

func (s set) state() (state, error) {
	info, err := sysv.Set(s).Stat()
	return state{Ownership: info.Ownership()}, err
}

func (s set) change(to state) error { return sysv.Set(s).SetOwnership(to.Ownership) }
func (s set) remove() error         { return sysv.Set(s).Remove() }

type queue sysv.Queue

func (q queue) state() (state, error) {
	info, err := sysv.Queue(q).Stat()
	return state{Ownership: info.Ownership(), qbytes: info.QBytes}, err
}

func (q queue) change(to state) error { return sysv.Queue(q).SetOwnership(to.Ownership, to.qbytes) }
func (q queue) remove() error         { return sysv.Queue(q).Remove() }
