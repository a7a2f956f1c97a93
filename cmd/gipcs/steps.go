//go:build linux

package main

import (
	"context"
	"errors"

	"github.com/sysvipc/gipc/cmd/internal/backup"
	"github.com/sysvipc/gipc/cmd/internal/removal"
	"github.com/sysvipc/gipc/cmd/internal/removallog"
	"github.com/sysvipc/gipc/cmd/internal/statusline"
)

// steps are what --backup and --log do before each removal.
type steps struct {
	store *backup.Store   // or nil
	log   *removallog.Log // or nil
}

func (r *rmRun) openSteps() (s steps, err error) {
	if r.IsSet("backup") {
		if s.store, err = backup.Create(r.String("backup")); err != nil {
			return steps{}, err
		}
		s.store.Progress = statusline.New(r.App.ErrWriter).Bytes()
	}
	if r.IsSet("log") {
		if s.log, err = removallog.Open(r.String("log"), removallog.Why{Conditions: conditions(r.selected)}); err != nil {
			return steps{}, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func (s steps) close() (err error) {
	if s.store != nil {
		err = s.store.Close()
	}
	if s.log != nil {
		err = errors.Join(err, s.log.Close())
	}
	return err
}

// before returns the function that takes the steps. An object in use is left alone.
func (s steps) before(ctx context.Context) func(*removal.Target) (removal.Hold, error) {
	if s.store == nil && s.log == nil {
		return nil
	}
	return func(t *removal.Target) (removal.Hold, error) {
		var hold removal.Hold
		if s.store != nil {
			saved, err := s.store.Save(ctx, t.Ref())
			if err != nil {
				return nil, leftAlone(t, err)
			}
			hold = savedHold{saved, t}
		}
		if s.log == nil {
			return hold, nil
		}
		err := s.log.Removing(t.Object)
		if err != nil && hold != nil {
			err, hold = errors.Join(err, hold.Kept()), nil
		}
		return hold, err
	}
}

// failed logs the reason if a target was not removed.
func (s steps) failed(t removal.Target, reason error) error {
	if s.log == nil || reason == nil || wasRemovedAnyway(reason) {
		return reason
	}
	return errors.Join(reason, s.log.Failed(t.Object, reason))
}

// wasRemovedAnyway reports whether a target was removed in spite of an error: its backup
// may lack what a process wrote meanwhile.
func wasRemovedAnyway(reason error) bool {
	var removed *removal.Removed
	return errors.As(reason, &removed)
}

// A savedHold is a saved target that is about to be removed.
type savedHold struct {
	*backup.Saved
	target *removal.Target
}

func (h savedHold) Check() error { return leftAlone(h.target, h.Saved.Check()) }

// leftAlone turns an error that the target is in use into a Skipped.
func leftAlone(t *removal.Target, err error) error {
	if errors.Is(err, backup.ErrUsed) {
		return &removal.Skipped{Target: *t, Why: err.Error()}
	}
	return err
}
