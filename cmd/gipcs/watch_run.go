//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/ctxio"
	"github.com/sysvipc/gipc/cmd/internal/hook"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/watch"
)

// A watcher is a run of gipcs watch.
type watcher struct {
	*cli.Context
	watchOptions
	ctx      context.Context
	names    *account.Directory
	watcher  *watch.Watcher
	notifier *watch.Notifier // nil if the kernel has none for us
	hook     *hook.Hook      // nil without --exec
	said     map[string]bool // problems that were reported
	looked   bool

	reported uint64 // events
	// lost is how often the kernel dropped notices. unmatched is the number of events about
	// files that were gone before a condition could be applied to them.
	lost, unmatched int
}

// run watches until the end. An interruption is no error.
func (w *watcher) run() error {
	w.watcher = watch.New(watch.Options{
		Wait: w.wait, Verdicts: w.events[watch.Verdict], High: w.high(), Look: inventory.Look,
	})
	if err := w.openNotifier(); err != nil {
		return err
	}
	if w.notifier != nil {
		defer w.notifier.Close()
	}
	if w.program != nil {
		w.hook = w.startHook()
		defer w.hook.Stop()
	}
	err := w.loop()
	if w.hook != nil {
		w.hook.Close(w.ctx)
	}
	w.reportMissed()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// loop looks again and again.
func (w *watcher) loop() error {
	var pace time.Duration
	for first := true; ; first = false {
		began, ran := time.Now(), processorTime()
		events, err := w.look()
		switch {
		case err != nil && first:
			return err
		case err != nil:
			w.sayOnce(err)
		case first:
			w.describe()
		}
		if err := w.report(events); err != nil || w.count > 0 && w.reported == w.count {
			return err
		}
		const share = 10 // looking may take one part in so many of a processor
		cost := processorTime() - ran
		pause := max(w.interval, share*cost)
		if pause > w.interval && pause > 2*pace {
			pace = pause
			w.say("a look takes %v of a processor, so the next one comes after %v", cost.Round(time.Millisecond), pause.Round(time.Millisecond))
		}
		if err := w.pause(pause - time.Since(began)); err != nil {
			return err
		}
	}
}

// processorTime returns for how long this program has run on a processor.
func processorTime() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// pause waits until the next look.
func (w *watcher) pause(d time.Duration) error {
	if w.notifier != nil {
		return w.notifier.Wait(w.ctx, d)
	}
	select {
	case <-w.ctx.Done():
		return w.ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// look looks at the objects and returns the selected events since the last look.
func (w *watcher) look() ([]watch.Event, error) {
	var want inventory.Want
	if w.wait > 0 {
		want |= inventory.WantWaiting
	}
	if w.events[watch.Verdict] {
		want |= inventory.WantVerdict
	}
	inv, err := collectSelected(w.Context, w.selected, want)
	if err != nil {
		return nil, err // what it holds may lack objects
	}
	notices, err := w.takeNotices(inv)
	if err != nil {
		return nil, err
	}
	if !w.looked {
		reportUnselected(w.Context, inv, w.selected)
		w.looked = true
	}
	events := w.choose(w.watcher.Compare(inv, notices, w.readLimits()))
	if w.watcher.Undated > 0 {
		w.sayOnce(errors.New("the kernel does not tell since when some threads wait; they are not reported"))
	}
	return events, watch.FindActors(events)
}

// kinds returns the kinds whose objects can be selected.
func (w *watcher) kinds() []ref.Kind {
	visible := visibleKinds(w.Context)
	return slices.DeleteFunc(w.selected.Kinds(), func(k ref.Kind) bool { return !slices.Contains(visible, k) })
}

func (w *watcher) readLimits() []limits.Limit {
	if w.limit == nil {
		return nil
	}
	all, err := readLimits(w.Context, w.kinds())
	if err != nil {
		w.sayOnce(err)
	}
	return all
}

// high returns which limits are high, nil if none is to be reported.
func (w *watcher) high() func(limits.Limit) bool {
	if w.limit == nil {
		return nil
	}
	return func(l limits.Limit) bool { return exceeds(l, *w.limit) }
}

// choose returns the events that are to be reported, up to --count. An object is judged as
// it was last seen.
func (w *watcher) choose(events []watch.Event) []watch.Event {
	chosen := events[:0]
	for _, e := range events {
		if !w.events[e.What] || e.What != watch.Limit && !w.selects(&e) {
			continue
		}
		chosen = append(chosen, e)
		if w.count > 0 && w.reported+uint64(len(chosen)) == w.count {
			break
		}
	}
	return chosen
}

func (w *watcher) selects(e *watch.Event) bool {
	if len(w.selected) == 0 {
		return true
	}
	if e.Object == nil {
		return w.selectsName(e)
	}
	one := *e.Inventory
	one.Objects = []inventory.Object{*e.Object}
	choice := w.selected.Choose(&one, w.names)
	if err := choice.Err(); err != nil {
		w.sayOnce(fmt.Errorf("--where: %w", err))
	}
	return len(choice.Selected) > 0
}

// selectsName reports whether a file that was gone before it could be looked at is selected.
// Only its kind and name are known.
func (w *watcher) selectsName(e *watch.Event) bool {
	if !w.selected.MentionsOnly("kind", "name") {
		w.unmatched++
		return false
	}
	one := inventory.Inventory{Taken: e.Time, Objects: []inventory.Object{watch.Named(e.Ref)}}
	return len(w.selected.Choose(&one, w.names).Selected) > 0
}

// openNotifier prepares to receive the kernel's notices. Without them, watch goes on.
func (w *watcher) openNotifier() (err error) {
	if !slices.ContainsFunc(w.kinds(), ref.Kind.POSIX) {
		return nil
	}
	if w.notifier, err = watch.NewNotifier(); err != nil {
		w.sayOnce(err)
		w.notifier = nil
	}
	return nil
}

// takeNotices returns the notices about objects of the kinds that inv lists, and asks for
// further ones.
func (w *watcher) takeNotices(inv *inventory.Inventory) ([]watch.Notice, error) {
	if w.notifier == nil {
		return nil, nil
	}
	kinds := slices.DeleteFunc(w.kinds(), func(k ref.Kind) bool {
		return slices.ContainsFunc(inv.Unlisted, func(u inventory.Unlisted) bool { return u.Kind == k })
	})
	for _, kind := range kinds {
		if err := w.notifier.Add(kind); err != nil {
			w.sayOnce(err)
		}
	}
	notices, lost, err := w.notifier.Take()
	if lost > 0 && w.lost == 0 {
		w.say("POSIX objects come and go faster than the kernel can report; some are missed")
	}
	w.lost += lost
	return slices.DeleteFunc(notices, func(n watch.Notice) bool { return !slices.Contains(kinds, n.Ref.Kind) }), err
}

// describe says how objects are watched, and what may be missed.
func (w *watcher) describe() {
	var missed []string
	if kinds := w.kinds(); slices.ContainsFunc(kinds, func(k ref.Kind) bool { return !k.POSIX() }) {
		missed = append(missed, "System V objects")
	}
	how := "comparing"
	if w.notifier != nil {
		if dirs := w.notifier.Dirs(); len(dirs) > 0 {
			how += ", and inotify on " + strings.Join(dirs, " and ")
		} else {
			missed = append(missed, "POSIX objects")
		}
	}
	note := ""
	if len(missed) > 0 {
		note = fmt.Sprintf("; %s that live for less are missed", strings.Join(missed, " and "))
	}
	fmt.Fprintf(w.App.ErrWriter, "%s: watching %s by %s every %v%s\n", w.App.Name, counted(w.watcher.Objects(), "object", "objects"), how, w.interval, note)
}

// reportMissed counts what was not reported.
func (w *watcher) reportMissed() {
	if w.lost > 0 {
		w.say("the kernel dropped notices about POSIX objects %s", counted(w.lost, "time", "times"))
	}
	if w.unmatched > 0 {
		w.say("%s gone before the conditions could be applied", counted(w.unmatched, "event is not reported: the object was", "events are not reported: the objects were"))
	}
	if w.hook != nil && w.hook.Dropped() > 0 {
		w.say("%s was not run for %s", w.program[0], counted(int(w.hook.Dropped()), "event", "events"))
	}
}

// report prints events and passes them to the program of --exec.
func (w *watcher) report(events []watch.Event) error {
	if len(events) == 0 {
		return nil
	}
	w.reported += uint64(len(events))
	var out bytes.Buffer
	p := newPrinter(w.names)
	for i := range events {
		e := &events[i]
		line := []byte(nil)
		if w.ndjson || w.hook != nil {
			line = p.json(e)
		}
		if w.ndjson {
			out.Write(line)
		} else {
			out.WriteString(p.text(e))
		}
		if w.hook != nil {
			w.pass(e, line)
		}
	}
	_, err := ctxio.NewWriter(w.ctx, os.Stdout).Write(out.Bytes())
	return err
}
