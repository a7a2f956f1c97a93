package shmring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"

	"github.com/sysvipc/gipc/sysv"
)

// Errors of a Broadcast.
var (
	// ErrSlow means that the writer waited in vain for readers that Block. The error is a
	// *SlowError, which names them.
	ErrSlow = errors.New("writer waits for a slow reader")
	// ErrOverwritten means that the writer overwrote the message while it was read in place.
	// The caller must throw away anything made from it.
	ErrOverwritten = errors.New("message was overwritten while it was read")
)

// A Broadcast passes each message of one writer to up to 64 readers in other processes.
// Readers come and go. The writer waits for a reader that Blocks, which therefore receives
// every message from where it subscribed. A reader of the Latest may lose messages, and
// learns how many.
//
// Like a Ring, a Broadcast holds one open descriptor. A Broadcast of CreateBroadcastIn or
// OpenBroadcastIn keeps its memory mapped while one of its handles is open. Several
// goroutines may use a Broadcast at a time.
type Broadcast struct {
	base
	geometry
	header  *broadcastHeader
	readers []reader
	index   []entry
	data    []byte
}

// OpenOrCreateBroadcast opens the broadcast in the POSIX object called name, or makes it,
// as OpenOrCreate does with rings. In o, Producers is One or 0.
//
// Errors: ErrMismatch; ErrNotRing (the object holds something else, which is left
// unchanged); those of OpenBroadcastIn, posix.CreateObject and posix.OpenObject.
func OpenOrCreateBroadcast(ctx context.Context, name string, o *NamedOptions) (*Broadcast, error) {
	return o.broadcast(o.at(ctx, byName(name), true))
}

// OpenOrCreateBroadcastKey is OpenOrCreateBroadcast for the broadcast in the System V
// segment under key; see OpenOrCreateKey.
func OpenOrCreateBroadcastKey(ctx context.Context, key sysv.Key, o *NamedOptions) (*Broadcast, error) {
	return o.broadcast(o.at(ctx, byKey(key), true))
}

// AwaitBroadcast opens the broadcast in the POSIX object called name, and blocks until
// another process has made it, as Await does with rings.
func AwaitBroadcast(ctx context.Context, name string, o *NamedOptions) (*Broadcast, error) {
	return o.broadcast(o.at(ctx, byName(name), false))
}

// AwaitBroadcastKey is AwaitBroadcast for the broadcast in the System V segment under key.
func AwaitBroadcastKey(ctx context.Context, key sysv.Key, o *NamedOptions) (*Broadcast, error) {
	return o.broadcast(o.at(ctx, byKey(key), false))
}

// broadcast opens or makes a broadcast. o may be nil.
func (o *NamedOptions) broadcast(find finder) (*Broadcast, error) {
	if o == nil {
		o = &NamedOptions{}
	}
	if o.Producers > One {
		return nil, fmt.Errorf("shmring: a broadcast has one writer, not %d", o.Producers)
	}
	capacity := o.Capacity
	if capacity == 0 {
		capacity = namedCapacity
	}
	if _, err := layOutBroadcast(BroadcastSize(capacity), capacity); err != nil {
		return nil, err
	}
	var b *Broadcast
	err := find(recipe{
		size: BroadcastSize(capacity),
		make: func(mem []byte) (io.Closer, error) { return createBroadcast(mem, capacity) },
		open: func(mem Memory) (_ *base, err error) {
			if b, err = OpenBroadcastIn(mem); err != nil {
				return nil, err
			}
			if o.Capacity != 0 && b.Capacity() != o.Capacity {
				err = fmt.Errorf("shmring: %w: it has a capacity of %d bytes", ErrMismatch, b.Capacity())
			}
			return &b.base, err
		},
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// CreateBroadcastIn makes a broadcast in mem, and keeps mem mapped while a handle is open.
// It overwrites mem, which no other process may be using. capacity is as for BroadcastSize;
// 0 means the largest that fits. Errors: those of CreateIn.
func CreateBroadcastIn(mem Memory, capacity int) (*Broadcast, error) {
	return broadcastIn(mem, func(b []byte) (*Broadcast, error) { return createBroadcast(b, capacity) })
}

// OpenBroadcastIn returns the broadcast that another call made in mem, and keeps mem mapped
// while a handle is open. mem must be writable. Errors: those of OpenIn.
func OpenBroadcastIn(mem Memory) (*Broadcast, error) { return broadcastIn(mem, openBroadcast) }

func broadcastIn(mem Memory, open func([]byte) (*Broadcast, error)) (b *Broadcast, err error) {
	err = within(mem, func(bytes []byte) error { b, err = open(bytes); return err })
	if err != nil {
		return nil, err
	}
	b.memory = mem
	return b, nil
}

// BroadcastSize returns the number of bytes of memory that a broadcast of this capacity
// needs. capacity is a power of two of at least 4096.
func BroadcastSize(capacity int) int { return int(broadcastData(uint64(capacity)) + uint64(capacity)) }

func broadcastFormat() format { return formats()[1] }

func createBroadcast(mem []byte, capacity int) (*Broadcast, error) {
	if err := usable(mem); err != nil {
		return nil, err
	}
	g, err := layOutBroadcast(len(mem), capacity)
	if err != nil {
		return nil, err
	}
	err = guarded(func() error {
		err := broadcastFormat().write(mem, parts{g.capacity, indexOffset, broadcastData(g.capacity)})
		if err == nil {
			preambleOf(mem).magic.Store(broadcastMagic)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return openBroadcast(mem)
}

// layOutBroadcast determines the capacity.
func layOutBroadcast(size, capacity int) (geometry, error) {
	c := uint64(capacity)
	if c == 0 {
		for c = maxCapacity; c > minCapacity && broadcastData(c)+c > uint64(size); c /= 2 {
		}
	}
	switch {
	case c < minCapacity || c > maxCapacity || bits.OnesCount64(c) != 1:
		return geometry{}, fmt.Errorf("shmring: %w: capacity %d is not a power of two from %d on", ErrSize, capacity, minCapacity)
	case broadcastData(c)+c > uint64(size):
		return geometry{}, fmt.Errorf("shmring: %w: capacity %d takes %d bytes, there are %d", ErrSize, c, broadcastData(c)+c, size)
	}
	return geometry{capacity: c, mask: c - 1}, nil
}

func openBroadcast(mem []byte) (b *Broadcast, err error) {
	if err := usable(mem); err != nil {
		return nil, err
	}
	err = guarded(func() error {
		if err := broadcastFormat().identify(mem, 0); err != nil {
			return err
		}
		h := preambleOf(mem)
		c := h.capacity.Load()
		if c < minCapacity || c > maxCapacity || bits.OnesCount64(c) != 1 || broadcastData(c)+c > h.size.Load() ||
			h.states.Load() != indexOffset || h.data.Load() != broadcastData(c) {
			return fmt.Errorf("shmring: %w: header", ErrCorrupt)
		}
		b = &Broadcast{geometry: geometry{capacity: c, mask: c - 1}}
		b.header, b.readers, b.index, b.data = overlayBroadcast(mem, c)
		b.members, b.tickets = b.header.members[:], &b.header.tickets
		return b.open(mem)
	})
	return b, err
}

// Close closes the descriptor of the Broadcast. It also unmaps the memory if the Broadcast
// owns it, as Ring.Close does. Close the handles first; otherwise the error is EBUSY.
func (b *Broadcast) Close() error { return b.close() }

// Made reports whether OpenOrCreateBroadcast or OpenOrCreateBroadcastKey made the
// broadcast, rather than found it.
func (b *Broadcast) Made() bool { return b.made }

// Prefault is Ring.Prefault for a broadcast.
func (b *Broadcast) Prefault() error { return b.prefault() }

// Remove removes the name or the key of a broadcast, under the same conditions as
// Ring.Remove.
func (b *Broadcast) Remove() error { return b.remove() }

// CloseAndRemove closes the broadcast, and removes its name or key if no other process has it
// open, as Ring.CloseAndRemove does.
func (b *Broadcast) CloseAndRemove() error { return b.closeAndRemove(b.Close) }

// Unlink removes the name or the key at once, even though processes have the broadcast
// open, as Ring.Unlink does. Its readers still receive the messages that it holds.
func (b *Broadcast) Unlink() error { return b.unlink() }

// ID returns the random id of the broadcast, which differs from that of any other.
func (b *Broadcast) ID() [16]byte { return b.id }

// Capacity returns the number of bytes of messages that are kept. Each message counts as
// its length rounded up to a multiple of 64, but at least as 256 bytes.
func (b *Broadcast) Capacity() int { return int(b.capacity) }

// MaxMessage returns the length of the longest message: half the capacity.
func (b *Broadcast) MaxMessage() int { return int(b.capacity / 2) }

// A Subscriber is a reader of a Broadcast, as other processes see it.
type Subscriber struct {
	Policy       Policy
	Label        string // see SubscribeOptions
	Alive        bool   // false if the process ended without closing and nobody has noticed yet
	PID          int    // process id in PIDNamespace, as the process itself wrote it
	PIDNamespace uint64 // inode number of the PID namespace, as in /proc/PID/ns/pid
	Behind       uint64 // messages that it has not received yet
	Lost         uint64 // messages that were overwritten before it received them
}

func (s Subscriber) String() string {
	name := ""
	if s.Label != "" {
		name = fmt.Sprintf("%q, ", s.Label)
	}
	messages := "messages"
	if s.Behind == 1 {
		messages = "message"
	}
	return fmt.Sprintf("%sprocess %d, %d %s behind", name, s.PID, s.Behind, messages)
}

// Subscribers returns the readers. The kernel reports whether they are alive; the processes
// wrote everything else. Errors: ErrClosed; ErrFault; fs.PathError.
func (b *Broadcast) Subscribers() (all []Subscriber, err error) {
	unpin, err := b.pin()
	if err != nil {
		return nil, err
	}
	defer unpin()
	l, err := b.lifeline()
	if err != nil {
		return nil, err
	}
	defer l.Close()
	err = guarded(func() error {
		for i := range b.readers {
			if ticket, dead := b.dead(l, i); !vacant(ticket) {
				s := b.subscriber(i)
				s.Alive = !dead
				all = append(all, s)
			}
		}
		return nil
	})
	return all, err
}

// subscriber returns what reader i wrote about itself.
func (b *Broadcast) subscriber(i int) Subscriber {
	who, r := b.members[i].label(), &b.readers[i]
	s := Subscriber{
		Policy: Policy(r.policy.Load()), Label: r.name(), Alive: true,
		PID: int(who.pid), PIDNamespace: uint64(who.namespace), Lost: r.lost.Load(),
	}
	if behind := b.header.published.Load() - r.next.Load(); int64(behind) > 0 {
		s.Behind = behind
	}
	return s
}

// Writer returns whether a process has the writer's role and is alive.
func (b *Broadcast) Writer() (alive bool, err error) {
	unpin, err := b.pin()
	if err != nil {
		return false, err
	}
	defer unpin()
	l, err := b.lifeline()
	if err != nil {
		return false, err
	}
	defer l.Close()
	err = guarded(func() error {
		ticket, dead := b.dead(l, writerRole)
		alive = !vacant(ticket) && !dead
		return nil
	})
	return alive, err
}

// Published returns how many messages have been sent, by all writers. Errors: ErrClosed;
// ErrFault.
func (b *Broadcast) Published() (n uint64, err error) {
	unpin, err := b.pin()
	if err != nil {
		return 0, fmt.Errorf("shmring: %w", closedOr(err))
	}
	defer unpin()
	err = guarded(func() error { n = b.header.published.Load(); return nil })
	return n, err
}

// Abandoned reports whether the last writer died without closing, and no other writer has
// come. Readers may still be waiting for one.
func (b *Broadcast) Abandoned() bool {
	unpin, err := b.pin()
	if err != nil {
		return false
	}
	defer unpin()
	l, err := b.lifeline()
	if err != nil {
		return false
	}
	defer l.Close()
	left := false
	fault := guarded(func() error { _, left = b.dead(l, writerRole); return nil })
	return fault == nil && left
}

// A SlowError is an ErrSlow that lists the readers that the writer waited for, slowest
// first. It also unwraps to the error that ended the wait, such as
// context.DeadlineExceeded.
type SlowError struct {
	Readers []Subscriber
	Cause   error
}

func (e *SlowError) Error() string {
	var names []string
	for _, r := range e.Readers {
		names = append(names, r.String())
	}
	return fmt.Sprintf("shmring: %v: %v: %s", e.Cause, ErrSlow, strings.Join(names, "; "))
}

// Unwrap returns ErrSlow and the cause.
func (e *SlowError) Unwrap() []error { return []error{ErrSlow, e.Cause} }

// bury takes over the role of reader i if its process is dead, so that the writer no longer
// waits for it; otherwise it returns 0. It clears the reader's bit before it frees the
// role. A process that dies in between leaves its own ticket, and the next one finishes the
// work.
func (b *Broadcast) bury(l line, i int) (ticket uint64, err error) {
	was, dead := b.dead(l, i)
	if !dead {
		return 0, nil
	}
	if ticket, err = b.take(l, i, was); ticket == 0 || err != nil {
		return 0, err
	}
	b.header.blocking.And(^(uint64(1) << i))
	b.header.deaths.Add(1)
	return ticket, nil
}

// evict buries the dead among the readers that the writer waits for.
func (b *Broadcast) evict(l line) {
	for mask := b.header.blocking.Load(); mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		if ticket, _ := b.bury(l, i); ticket != 0 {
			b.leave(l, i, ticket)
		}
	}
}
