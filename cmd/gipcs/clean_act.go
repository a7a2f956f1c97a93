//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/backup"
	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/policy"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/removal"
	"github.com/sysvipc/gipc/cmd/internal/removallog"
	"github.com/sysvipc/gipc/cmd/internal/safepath"
)

// act removes the objects and reports.
func (r *cleanRun) act() error {
	lock, err := r.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	ctx, stop := command.Interruptible(r.Context.Context)
	defer stop()
	if err := r.cleanUp(ctx); err != nil {
		return err
	}
	return r.report()
}

// lock takes the lock that allows one run at a time. The kernel releases it when the
// process ends.
func (r *cleanRun) lock() (*os.File, error) {
	path, err := r.lockPath()
	if err != nil {
		return nil, err
	}
	file, err := safepath.OpenAppend(path)
	if err != nil {
		return nil, fmt.Errorf("the lock cannot be taken: %w", err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.Mode().Perm()&0o077 != 0: // a user who can open it can lock it
		err = fmt.Errorf("the lock cannot be taken: other users may open %s (mode %04o); it should have mode 0600", path, info.Mode().Perm())
	default:
		if err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("another clean-up is running: it holds the lock %s", path)
		}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// lockPath returns the policy's lock or the default.
func (r *cleanRun) lockPath() (string, error) {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	switch {
	case r.policy.Lock != "":
		return r.policy.Lock, nil
	case os.Geteuid() == 0:
		return "/run/gipc-clean.lock", nil
	case dir != "":
		return filepath.Join(dir, "gipc-clean.lock"), nil
	}
	return "", command.Usagef("XDG_RUNTIME_DIR is not set, so the policy must name a lock, such as lock = \"/home/USER/gipc-clean.lock\"")
}

// cleanUp finishes what a killed run left, removes the objects, and deletes old backups.
func (r *cleanRun) cleanUp(ctx context.Context) (err error) {
	var s steps
	defer func() { err = errors.Join(err, s.close()) }()
	if s.log, err = r.openLog(); err != nil {
		return err
	}
	var series *backup.Series
	var run *backup.Run
	if b := r.policy.Backup; b != nil {
		if series, err = backup.OpenSeries(b.Directory); err != nil {
			return err
		}
	}
	if err := r.resume(series, s.log); err != nil {
		return err
	}
	if err := r.choose(); err != nil {
		return err
	}
	if series != nil {
		if run, err = series.Begin(r.began); err != nil {
			r.prune(series, "") // otherwise old backups could fill the disk for ever
			return err
		}
		s.store = run.Store
	}
	r.removeAll(ctx, s)
	if run == nil {
		return nil
	}
	s.store = nil // End closes the store
	saved, err := run.End()
	if err != nil {
		r.fail(err)
	}
	if saved {
		r.backup = run.Path()
	}
	r.prune(series, run.Path())
	return nil
}

func (r *cleanRun) openLog() (*removallog.Log, error) {
	why := removallog.Why{Policy: r.policyName()}
	switch r.policy.Log {
	case "":
		return nil, nil
	case policy.Journal:
		return removallog.OpenJournal(why)
	default:
		return removallog.Open(r.policy.Log, why)
	}
}

// policyName returns the policy's path, as the log gives it.
func (r *cleanRun) policyName() string {
	path, err := filepath.Abs(r.String("policy"))
	if err != nil {
		return r.String("policy")
	}
	return path
}

// resume finishes the backup and the log of a run that was killed.
func (r *cleanRun) resume(series *backup.Series, log *removallog.Log) error {
	var back []ref.Object
	if series != nil {
		finished, err := series.Settle()
		for _, f := range finished {
			back = append(back, f.Kept...)
			r.resumed = true
			r.say("finished the backup %s of a run that was killed: %s that still %s, and %s, taken out", f.Path,
				counted(len(f.Kept), "object", "objects"), plural(len(f.Kept), "exists", "exist"),
				counted(f.Fragments, "incomplete file", "incomplete files"))
		}
		if err != nil {
			r.fail(err)
		}
	}
	if log == nil {
		return nil
	}
	done, err := log.Resume(back)
	if done.Dropped {
		r.resumed = true
		r.say("took a line out of the log that a killed process had left incomplete")
	}
	if done.Kept != nil {
		r.resumed = true
		r.say("noted in the log that a killed run did not remove %v", done.Kept)
	}
	return err
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// removeAll removes the chosen objects of all rules, until the budget is spent, the log
// cannot be written, or a signal comes.
func (r *cleanRun) removeAll(ctx context.Context, s steps) {
	going := true
	for _, rule := range r.rules {
		done := 0
		if going {
			done, going = r.removeOf(ctx, rule, s)
		}
		for _, t := range rule.chosen[done:] {
			r.results = append(r.results, cleanResult{rule.Name, t, wasLeft, errLeft})
		}
	}
	r.interrupted = ctx.Err() != nil
}

// removeOf removes the objects of a rule. It returns how many have a result, and whether
// to go on.
func (r *cleanRun) removeOf(ctx context.Context, rule *cleanRule, s steps) (done int, going bool) {
	if s.log != nil {
		s.log.Because(removallog.Why{Conditions: conditions(rule.selected), Policy: r.policyName(), Rule: rule.Name})
	}
	// A signal ends the run after the current object, whose backup is still completed.
	before := s.before(context.WithoutCancel(ctx))
	options := removal.Options{Again: rule.collect, Before: func(t *removal.Target) (removal.Hold, error) {
		if err := r.budget.take(t.Object); err != nil {
			return nil, err
		}
		if before == nil {
			return nil, nil
		}
		return before(t)
	}}
	for t, reason := range removal.Remove(ctx, rule.chosen, options) {
		if reason != nil && !wasRemovedAnyway(reason) {
			r.budget.giveBack(t.Object)
		}
		reason = s.failed(t, reason)
		if reason != nil && ctx.Err() != nil && errors.Is(reason, ctx.Err()) {
			return done, false
		}
		result := cleanResult{rule.Name, t, outcomeOf(reason), reason}
		if result.outcome == wasLeft && r.budget.spent {
			return done, false
		}
		done++
		r.results = append(r.results, result)
		r.tell(result)
		if errors.Is(reason, removallog.ErrWrite) {
			return done, false
		}
	}
	return done, ctx.Err() == nil
}

// outcomeOf returns what a result of the removal means.
func outcomeOf(reason error) outcome {
	var gone *removal.Skipped
	switch {
	case reason == nil, wasRemovedAnyway(reason):
		return wasRemoved
	case errors.Is(reason, errLeft):
		return wasLeft
	case errors.As(reason, &gone) && !errors.Is(reason, removallog.ErrWrite):
		return wasSkipped
	default:
		return hasFailed
	}
}

// tell reports what became of an object, unless it was removed without an error.
func (r *cleanRun) tell(result cleanResult) {
	switch result.outcome {
	case wasRemoved:
		if result.reason != nil {
			r.fail(result.reason)
		}
	case wasLeft:
		r.say("%v: %v", result.target, result.reason)
	case wasSkipped:
		r.say("%v", result.reason)
	case hasFailed:
		command.Report(r.App.ErrWriter, r.App.Name, result.reason)
	}
}

// prune deletes old backups.
func (r *cleanRun) prune(series *backup.Series, current string) {
	b := r.policy.Backup
	if b.MaxAge == 0 && b.MaxSize == 0 {
		return
	}
	deleted, err := series.Prune(backup.Limit{Age: b.MaxAge, Size: b.MaxSize}, r.began, current)
	r.deleted = deleted
	if err != nil {
		r.fail(err)
	}
}
