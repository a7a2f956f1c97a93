package rendezvous

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// A shared is a ring or a broadcast.
type shared interface {
	Made() bool
	Prefault() error
	Unlink() error
	Close() error
}

// A kind has the functions that find and make rings, or broadcasts.
type kind[T shared] struct {
	what                      string // for messages
	size                      func(capacity int) int
	openOrCreate, await       func(context.Context, string, *shmring.NamedOptions) (T, error)
	openOrCreateKey, awaitKey func(context.Context, sysv.Key, *shmring.NamedOptions) (T, error)
	// discard reports whether a ring or broadcast is unfit for use. It may remove it.
	discard func(*Options, T) (old bool, err error)
	// mismatch explains an ErrMismatch that is not about the owner.
	mismatch func(o *Options, object string, err error) error
}

// A site is the ring or broadcast where processes have met.
type site struct {
	what    string // for messages, like object
	object  string
	shared  shared
	mine    bool // this process removes the object
	options *Options
}

// leastWait is how long meet looks even if Options.Wait is 0.
const leastWait = 100 * time.Millisecond

var (
	// errLeft means that the processes in the ring have all died.
	errLeft = errors.New("ring was left by processes that have died")
	// errNobody means that the other side has not come in time.
	errNobody = errors.New("nobody came")
)

// meet finds or makes a ring or broadcast, and waits for it if another process has to make
// it.
func meet[T shared](ctx context.Context, o *Options, k kind[T]) (T, site, error) {
	var none T
	patient, cancel := context.WithTimeout(ctx, max(o.Wait, leastWait))
	defer cancel()
	found, err := find(patient, o, k)
	switch {
	case err == nil:
		s := site{what: k.what, object: o.object(), shared: found, mine: found.Made(), options: o}
		if err := ctx.Err(); err != nil {
			return none, site{}, errors.Join(err, s.Leave())
		}
		return found, s, nil
	case ctx.Err() != nil:
		return none, site{}, ctx.Err()
	}
	return none, site{}, k.explain(o, err)
}

// find returns the ring or broadcast to use. It discards rings and broadcasts that dead
// processes left.
func find[T shared](ctx context.Context, o *Options, k kind[T]) (none T, err error) {
	var left error
	for {
		found, err := k.open(ctx, o)
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.Join(err, left)
		}
		if err != nil {
			return none, err
		}
		old, err := k.discard(o, found)
		if !old && err == nil {
			return found, nil
		}
		if err := errors.Join(err, found.Close()); err != nil {
			return none, err
		}
		if o.Create {
			continue
		}
		left = errLeft
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// open finds or makes a ring or broadcast.
func (k kind[T]) open(ctx context.Context, o *Options) (none T, err error) {
	openOrCreate := func(r *shmring.NamedOptions) (T, error) { return k.openOrCreate(ctx, o.Ref.String(), r) }
	await := func(r *shmring.NamedOptions) (T, error) { return k.await(ctx, o.Ref.String(), r) }
	if o.Ref.Kind() == ref.Shm {
		key, err := o.Ref.Key()
		if err != nil {
			return none, err
		}
		openOrCreate = func(r *shmring.NamedOptions) (T, error) { return k.openOrCreateKey(ctx, key, r) }
		await = func(r *shmring.NamedOptions) (T, error) { return k.awaitKey(ctx, key, r) }
	}
	if o.Create {
		made, err := openOrCreate(&o.Ring)
		if !errors.Is(err, shmring.ErrMismatch) && !errors.Is(err, shmring.ErrNotRing) {
			return made, err
		}
	}
	// Any capacity will do, and memory of zeros may still get its contents.
	any := o.Ring
	any.Capacity = 0
	return await(&any)
}

// joined completes joining, which returned err. It makes the pages present only now,
// because that can take longer than the other side waits. has names the members in the
// error if there is no room for another.
func (s *site) joined(err error, has string) error {
	switch {
	case errors.Is(err, shmring.ErrBusy):
		return explain.As(err, fmt.Sprintf("the %s is in use: it has %s already", s.what, has))
	case err != nil || !s.options.Populate:
		return err
	}
	return s.shared.Prefault()
}

// await waits until there returns true. Messages name the awaited side by who.
func (s *site) await(ctx context.Context, who string, there func() (bool, error)) error {
	over := time.Now().Add(s.options.Wait)
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		if ok, err := there(); ok || err != nil {
			return err
		}
		left := time.Until(over)
		if left <= 0 {
			return explain.As(errNobody, fmt.Sprintf("no %s came to %s (waited %v)", who, s.object, s.options.Wait))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(pause, left)):
		}
	}
}

// Settle removes the object if this process has to remove it. Call it when no other process
// has to find the object any more: from then on, not even SIGKILL leaves it behind.
// Processes that have it attached keep it.
func (s *site) Settle() error {
	if !s.mine {
		return nil
	}
	s.mine = false
	return s.shared.Unlink()
}

// Leave calls Settle and releases the memory. A role that is still held stays held until
// the process ends, which tells the other side that something is missing.
func (s *site) Leave() error {
	settled := s.Settle()
	err := s.shared.Close()
	if errors.Is(err, unix.EBUSY) { // a role is still held
		err = nil
	}
	return errors.Join(settled, err)
}
