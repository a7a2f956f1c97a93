package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// ErrUsed is behind the error of an object that is in use, or was used while it was
// saved: what was written meanwhile would be lost.
var ErrUsed = errors.New("it was used while it was saved")

// used is ErrUsed with another sentence.
type used string

func (u used) Error() string { return string(u) }

func (u used) Is(target error) bool { return target == ErrUsed }

// A Saved is an object that Save has saved and that is about to be removed. Removed or
// Kept must be called at its end.
type Saved struct {
	store *Store
	entry *Entry
	hold  hold
}

// A hold keeps what it takes to see that an object is used after it was saved.
type hold interface {
	// check returns an ErrUsed if the object is not what was saved any more. As far as
	// the kernel allows it keeps everybody from using it from then on.
	check() error
	// removed is called after the object was removed. Where somebody has used it
	// between check and the removal it calls save for what it holds now.
	removed(save func() error) error
	// kept undoes what check has done.
	kept() error
	// exclusive reports whether check sees every use, however short.
	exclusive() bool
}

// Save saves an object that is to be removed. When it returns without an error
// everything is on disk, and nobody uses the object, nor has meanwhile: that is ErrUsed.
// It is an error if the backup has an object of that kind and identifier already.
//
// Of memory only those pages are read that are there. A segment is attached read-only
// until Removed or Kept. A POSIX queue is saved only if it is empty: the kernel gives
// its messages to nobody but who takes them.
func (s *Store) Save(ctx context.Context, o ref.Object) (*Saved, error) {
	name := fileName(o)
	if _, err := s.root.Lstat(name + entrySuffix); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has a backup of %v already; choose another directory", s.dir, o)
	}
	e, h, err := s.save(ctx, o)
	if err == nil {
		if err = s.commit(e); err != nil {
			err = errors.Join(err, s.discard(e), h.kept())
		}
	}
	switch {
	case errors.Is(err, ErrUsed), err != nil && ctx.Err() != nil:
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%v can't be saved: %w", o, err)
	}
	return &Saved{s, e, h}, nil
}

func (s *Store) save(ctx context.Context, o ref.Object) (*Entry, hold, error) {
	switch o.Kind {
	case ref.Shm:
		return s.saveSegment(ctx, sysv.Segment(o.ID))
	case ref.Sem:
		return saveSet(sysv.Set(o.ID))
	case ref.Msg:
		return saveQueue(sysv.Queue(o.ID))
	case ref.PShm:
		return s.saveObject(ctx, o.Name)
	case ref.PSem:
		return saveSemaphore(o.Name)
	default:
		return saveMQueue(o.Name)
	}
}

// Check returns an ErrUsed if the object was used since it was saved. It is to be called
// just before the object is removed.
func (s *Saved) Check() error { return s.hold.check() }

// Exclusive reports whether Check sees every use of the object, however short, so that
// no other look at it is needed. Another look may be refused, or be taken for a use.
func (s *Saved) Exclusive() bool { return s.hold.exclusive() }

// Removed tells that the object was removed. If somebody has used it in that very
// moment it is saved again, as it is now. It is an error if somebody still uses it.
func (s *Saved) Removed() error {
	return s.hold.removed(func() error { return s.store.commit(s.entry) })
}

// Kept tells that the object was not removed. It is no longer in the backup then.
func (s *Saved) Kept() error {
	return errors.Join(s.hold.kept(), s.store.discard(s.entry))
}

// grace is how long a call that was let in before the object was shut or unlinked is
// given to show. It takes a microsecond to get from there to its effect.
const grace = time.Millisecond

// patience is how long Removed waits for those who use what was removed.
const patience = 2 * time.Second

// retry calls try until it reports that it is done, and gives up after patience.
func retry(try func() (done bool, err error)) error {
	pause := time.Millisecond
	for begin := time.Now(); ; {
		if done, err := try(); done || err != nil {
			return err
		}
		if time.Since(begin) > patience {
			return errors.New("somebody began to use it while it was removed, and uses it still: what they write to it is not in the backup")
		}
		time.Sleep(pause)
		pause = min(2*pause, patience/20)
	}
}

// unchanged returns ErrUsed unless before and now are equal.
func unchanged[T comparable](before, now T, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return used("it is gone already")
	case err == nil && before != now:
		return ErrUsed
	}
	return err
}
