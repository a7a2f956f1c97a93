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

// ErrUsed is the error (errors.Is) for an object that is in use, or was used while it
// was saved: a backup would miss what was written meanwhile.
var ErrUsed = errors.New("it was used while it was saved")

// used is ErrUsed with its own text.
type used string

func (u used) Error() string { return string(u) }

func (u used) Is(target error) bool { return target == ErrUsed }

// A Saved is an object that Save has saved and that is about to be removed. The caller
// must end it with Removed or Kept.
type Saved struct {
	store *Store
	entry *Entry
	hold  hold
}

// A hold watches an object for use after it was saved.
type hold interface {
	// check returns ErrUsed if the object differs from what was saved. As far as the
	// kernel allows, it keeps others from using the object from then on.
	check() error
	// removed must be called after the removal. If a process used the object between
	// check and the removal, it calls save with the new contents.
	removed(save func() error) error
	// kept undoes check.
	kept() error
	// exclusive reports whether check detects every use, however short.
	exclusive() bool
}

// Save saves an object that is to be removed. When it returns nil, the backup is on
// disk and nobody has used the object since it was read; otherwise the error is
// ErrUsed. It is an error if the backup already has an object of that kind and
// identifier.
//
// Only pages that are in memory are read. A segment stays attached, read-only, until
// Removed or Kept. A POSIX queue must be empty: reading its messages would remove them.
func (s *Store) Save(ctx context.Context, o ref.Object) (*Saved, error) {
	name := fileName(o)
	if _, err := s.root.Lstat(name + entrySuffix); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s already has a backup of %v; choose another directory", s.dir, o)
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
		return nil, fmt.Errorf("%v cannot be saved: %w", o, err)
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

// Check returns ErrUsed if the object was used since it was saved. Call it just before
// the removal.
func (s *Saved) Check() error { return s.hold.check() }

// Exclusive reports whether Check detects every use of the object, however short. If so, no
// other check is needed; another check might be denied, or count as a use.
func (s *Saved) Exclusive() bool { return s.hold.exclusive() }

// Removed must be called after the object was removed. If the object was used between Check
// and the removal, Removed saves it again. Removed fails if the object is still in use.
func (s *Saved) Removed() error {
	return s.hold.removed(func() error { return s.store.commit(s.entry) })
}

// Kept must be called if the object was not removed. It takes the object out of the
// backup.
func (s *Saved) Kept() error {
	return errors.Join(s.hold.kept(), s.store.discard(s.entry))
}

// grace is how long to wait for system calls that passed the permission check before
// the object was shut or unlinked. They take about a microsecond to have their effect.
const grace = time.Millisecond

// patience is how long Removed waits for processes that use the removed object.
const patience = 2 * time.Second

// retry calls try until it reports done or fails, for at most patience.
func retry(try func() (done bool, err error)) error {
	pause := time.Millisecond
	for begin := time.Now(); ; {
		if done, err := try(); done || err != nil {
			return err
		}
		if time.Since(begin) > patience {
			return errors.New("a process began to use it during the removal and still does: what it writes is not in the backup")
		}
		time.Sleep(pause)
		pause = min(2*pause, patience/20)
	}
}

// unchanged returns ErrUsed unless before and now are equal.
func unchanged[T comparable](before, now T, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return used("it is already gone")
	case err == nil && before != now:
		return ErrUsed
	}
	return err
}
