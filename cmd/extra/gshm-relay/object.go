//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/bits"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/rendezvous"
	"github.com/sysvipc/gipc/cmd/internal/shm"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/internal/memory"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// An object is a segment or POSIX object with a ring or a broadcast.
type object struct{ shm.Ref }

// parseObject parses an operand.
func parseObject(arg string) (object, error) {
	r, err := shm.Parse(arg)
	// A missing file in an ftok REF is not a command-line error.
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return object{r}, err
	}
	return object{r}, command.Usage(err)
}

// everyRef returns the REFs of all objects, for completion.
func everyRef() (refs []string) {
	for r := range shm.All() {
		if command.IsPlain(r) {
			refs = append(refs, r)
		}
	}
	return refs
}

// name returns what stands for the object in a subject.
func (r object) name() string { return strings.TrimPrefix(r.String(), "/") }

// making says how a missing object is made, and whose object is used.
type making struct {
	create, many, broadcast bool
	options                 shmring.NamedOptions
}

// size returns how much memory a new object takes.
func (m *making) size() int {
	switch {
	case !m.create:
		return 0
	case m.broadcast:
		return shmring.BroadcastSize(m.options.Capacity)
	}
	return shmring.Size(m.options.Capacity)
}

func readMaking(c *cli.Context, sends bool) (m making, err error) {
	m.create, m.many, m.broadcast = c.Bool("create"), c.Bool("messages"), c.Bool("broadcast")
	m.options.Outlive = true
	if c.IsSet("peer-owner") {
		uid, err := command.UserID(c.String("peer-owner"))
		if err != nil {
			return m, command.Usagef("--peer-owner: %w", err)
		}
		m.options.Owners = []int{int(uid)}
	}
	switch {
	case m.many && !sends:
		return m, command.Usagef("--messages is for a ring to send from; a ring that receives has one sender, the relay")
	case m.broadcast && sends:
		return m, command.Usagef("--broadcast needs --from: a relay sends from a ring")
	case !m.create:
		for _, name := range []string{"size", "mode", "messages", "broadcast"} {
			if c.IsSet(name) {
				return m, command.Usagef("--%s says how the object is made; it needs --create", name)
			}
		}
		return m, nil
	}
	size, err := command.SizeFlag(c, "size")
	if err != nil {
		return m, err
	}
	if size < 1 || uint64(size) > rendezvous.MaxCapacity {
		return m, command.Usagef("--size: a ring holds from 1 to %d bytes", uint64(rendezvous.MaxCapacity))
	}
	m.options.Capacity = max(1<<bits.Len64(uint64(size-1)), rendezvous.MinCapacity)
	mode, err := command.ModeFlag(c, "mode")
	if err != nil {
		return m, err
	}
	if mode == rendezvous.Unfinished {
		return m, command.Usagef("--mode: %04o marks a ring that is not finished; take another", rendezvous.Unfinished)
	}
	m.options.Mode = sysvipc.Mode(mode)
	return m, nil
}

// A found is what an object holds: a ring or a broadcast.
type found struct {
	ring      *shmring.Ring
	broadcast *shmring.Broadcast
}

func (f found) close() error {
	if f.broadcast != nil {
		return f.broadcast.Close()
	}
	return f.ring.Close()
}

// open finds the ring or broadcast, or makes it, or waits for it.
func (r object) open(ctx context.Context, m *making, sends bool, log *slog.Logger) (f found, err error) {
	key, isSegment := sysv.Key(0), r.Kind() == ref.Shm
	if isSegment {
		if key, err = r.Key(); err != nil {
			return f, err
		}
	}
	if _, err := r.Find(); !m.create && errors.Is(err, fs.ErrNotExist) {
		log.Info("waiting for a process to create the ring")
	}
	ring := func(kind shmring.Producers) error {
		o := m.options
		o.Producers = kind
		f.ring, err = openAt(ctx, r, key, isSegment, m.create && !m.broadcast, &o, rings())
		return err
	}
	broadcast := func() error {
		f.broadcast, err = openAt(ctx, r, key, isSegment, m.create && m.broadcast, &m.options, broadcasts())
		return err
	}
	kind := shmring.One
	if m.many {
		kind = shmring.Many
	}
	if m.broadcast {
		err = broadcast()
	} else {
		err = ring(kind)
	}
	other := shmring.One + shmring.Many - kind
	switch {
	case errors.Is(err, shmring.ErrMismatch) && sends:
		err = ring(other)
	case errors.Is(err, shmring.ErrNotRing) && !sends && !m.create:
		err = broadcast()
	}
	return f, r.explain(err, sends, m.size())
}

// A kind has the functions that find and make rings, or broadcasts.
type kind[T any] struct {
	make, await       func(context.Context, string, *shmring.NamedOptions) (T, error)
	makeKey, awaitKey func(context.Context, sysv.Key, *shmring.NamedOptions) (T, error)
}

func rings() kind[*shmring.Ring] {
	return kind[*shmring.Ring]{
		make: shmring.OpenOrCreate, await: shmring.Await,
		makeKey: shmring.OpenOrCreateKey, awaitKey: shmring.AwaitKey,
	}
}

func broadcasts() kind[*shmring.Broadcast] {
	return kind[*shmring.Broadcast]{
		make: shmring.OpenOrCreateBroadcast, await: shmring.AwaitBroadcast,
		makeKey: shmring.OpenOrCreateBroadcastKey, awaitKey: shmring.AwaitBroadcastKey,
	}
}

// openAt finds or makes what the kind says.
func openAt[T any](ctx context.Context, r object, key sysv.Key, isSegment, create bool, o *shmring.NamedOptions, k kind[T]) (T, error) {
	existing := *o
	existing.Capacity = 0 // any will do
	get := func(o *shmring.NamedOptions, byName func(context.Context, string, *shmring.NamedOptions) (T, error),
		byKey func(context.Context, sysv.Key, *shmring.NamedOptions) (T, error),
	) (T, error) {
		if isSegment {
			return byKey(ctx, key, o)
		}
		return byName(ctx, r.String(), o)
	}
	if create {
		got, err := get(o, k.make, k.makeKey)
		if !errors.Is(err, shmring.ErrMismatch) {
			return got, err
		}
	}
	return get(&existing, k.await, k.awaitKey)
}

// explain turns errors about the object into sentences. size is how large it was to be made.
func (r object) explain(err error, sends bool, size int) error {
	name := command.OneLine(r.String())
	role := "sender"
	if sends {
		role = "receiver"
	}
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, shmring.ErrBusy):
		return explain.As(err, fmt.Sprintf("%s is in use: it has a %s already", name, role))
	case errors.Is(err, shmring.ErrMismatch) && !strings.Contains(err.Error(), "belongs to"):
		return explain.As(err, fmt.Sprintf("the ring in %s is for several senders; a relay receives into a ring for one, or a broadcast", name))
	case errors.Is(err, shmring.ErrNotRing):
		return explain.As(err, fmt.Sprintf("%s holds something else than the relay needs; it is left as it is", name))
	case errors.Is(err, memory.ErrFault):
		return explain.As(err, fmt.Sprintf("somebody has made %s shorter while it was in use", name))
	}
	return fmt.Errorf("%s: %w", name, r.Explain(err, int64(size)))
}
