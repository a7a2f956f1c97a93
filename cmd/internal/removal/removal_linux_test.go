package removal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// now removes a target without waiting for it to settle.
func now(target Target, before func(*inventory.Object) error) error {
	o := Options{Again: func() (*inventory.Inventory, error) {
		return inventory.Collect(inventory.Options{Kinds: []ref.Kind{target.Kind}, Want: target.want, HiddenIdle: true})
	}}
	if before != nil {
		o.Before = step(before)
	}
	r := newRemover(context.Background(), []Target{target}, o)
	r.settled = 0
	return r.remove(&target)
}

// step returns a step before a removal, without a Hold.
func step(before func(*inventory.Object) error) func(*Target) (Hold, error) {
	return func(t *Target) (Hold, error) { return nil, before(t.Object) }
}

// selected returns a target for an object as if it had been selected.
func selected(t *testing.T, kind ref.Kind, id int, want inventory.Want) Target {
	t.Helper()
	inv, err := inventory.Collect(inventory.Options{Kinds: []ref.Kind{kind}, Want: want})
	if err != nil {
		t.Fatal(err)
	}
	targets, foreign := Select(inv, want, inv.Objects)
	for _, target := range targets {
		if target.ID == id {
			return target
		}
	}
	t.Fatalf("%v:%d is not among %v (and not %v)", kind, id, targets, foreign)
	return Target{}
}

func found(t *testing.T, find func(ref.Kind, ref.Ref) (Target, error), kind ref.Kind, id int) Target {
	t.Helper()
	r, err := ref.Parse(strconv.Itoa(id))
	if err != nil {
		t.Fatal(err)
	}
	target, err := find(kind, r)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestRemove(t *testing.T) {
	for _, kind := range kinds {
		for name, choose := range map[string]func(id int) Target{
			"selected": func(id int) Target { return selected(t, kind, id, inventory.WantSemaphores) },
			"found":    func(id int) Target { return found(t, Find, kind, id) },
			"named":    func(id int) Target { return found(t, Name, kind, id) },
		} {
			id, other := create(t, kind, 0o600), create(t, kind, 0o600)
			if err := now(choose(id), nil); err != nil || exists(kind, id) || !exists(kind, other) {
				t.Errorf("%s %v: %v; exists: %v, other object exists: %v", name, kind, err, exists(kind, id), exists(kind, other))
			}
		}
	}
}

// A change is something that happens to an object between selection and removal.
type change struct {
	name  string
	kind  ref.Kind
	do    func(t *testing.T, id int)
	why   string // of a selected object
	found string // of a named object; "" if the change does not matter
}

func changes() []change {
	again := func(kind ref.Kind, mode fs.FileMode, size int) func(*testing.T, int) {
		return func(t *testing.T, id int) { replace(t, kind, id, mode, size) }
	}
	check := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	return []change{
		{"attached", ref.Shm, func(t *testing.T, id int) {
			mem, err := sysv.Segment(id).Attach(nil)
			check(t, err)
			t.Cleanup(func() { mem.Detach() })
		}, "a process has attached it", ""},
		{"attached for a moment", ref.Shm, func(t *testing.T, id int) {
			mem, err := sysv.Segment(id).Attach(&sysv.AttachOptions{ReadOnly: true})
			check(t, err)
			check(t, mem.Detach())
		}, "it was used since it was selected", ""},
		{"mode of a segment", ref.Shm, func(t *testing.T, id int) {
			check(t, sysv.Segment(id).SetOwnership(sysv.Ownership{Mode: 0o640}))
		}, "it was changed or recreated since it was selected", ""},
		{"locked", ref.Shm, func(t *testing.T, id int) { check(t, sysv.Segment(id).Lock()) }, "it was changed or recreated since it was selected", ""},
		{"gone segment", ref.Shm, func(t *testing.T, id int) { check(t, destroy(ref.Shm, id)) }, "it is already gone", "no shared memory segment has the identifier"},
		{"segment made anew, as big", ref.Shm, again(ref.Shm, 0o644, 4096), "since it was selected", ""},
		{"segment made anew, bigger", ref.Shm, again(ref.Shm, 0o600, 8192), "another shared memory segment has its identifier now", "another shared memory segment has its identifier now"},
		{"operated on", ref.Sem, func(t *testing.T, id int) {
			check(t, sysv.Set(id).Do(t.Context(), sysv.Op{Num: 2, Add: 1}))
		}, "it was used since it was selected", ""},
		{"values", ref.Sem, func(t *testing.T, id int) { check(t, sysv.Set(id).SetValue(1, 7)) }, "it was used since it was selected", ""},
		{"waited on", ref.Sem, func(t *testing.T, id int) {
			ipctest.Start(t, "wait", nil, strconv.Itoa(id))
			await(t, func() bool { n, err := sysv.Set(id).NCount(0); return err == nil && n == 1 })
		}, "a process waits on it now", ""},
		{"owner of a set", ref.Sem, func(t *testing.T, id int) {
			check(t, sysv.Set(id).SetOwnership(sysv.Ownership{UID: 1, Mode: 0o600}))
		}, "it was changed or recreated since it was selected", ""},
		{"gone set", ref.Sem, func(t *testing.T, id int) { check(t, destroy(ref.Sem, id)) }, "it is already gone", "no semaphore set has the identifier"},
		{"set made anew", ref.Sem, again(ref.Sem, 0o644, 3), "since it was selected", ""},
		{"set made anew, smaller", ref.Sem, again(ref.Sem, 0o600, 2), "another semaphore set has its identifier now", "another semaphore set has its identifier now"},
		{"sent to", ref.Msg, func(t *testing.T, id int) {
			_, err := sysv.Queue(id).TrySend(1, []byte("x"))
			check(t, err)
		}, "it was used since it was selected", ""},
		{"waited for", ref.Msg, func(t *testing.T, id int) {
			ipctest.Start(t, "receive", nil, strconv.Itoa(id))
			await(t, func() bool { return receivers(t, id) == 1 })
		}, "a process waits on it now", ""},
		{"gone queue", ref.Msg, func(t *testing.T, id int) { check(t, destroy(ref.Msg, id)) }, "it is already gone", "no message queue has the identifier"},
		{"queue made anew", ref.Msg, again(ref.Msg, 0o644, 0), "since it was selected", ""},
	}
}

func TestLeftAlone(t *testing.T) {
	for _, c := range changes() {
		t.Run(c.name, func(t *testing.T) {
			id := create(t, c.kind, 0o600)
			bySelection := selected(t, c.kind, id, inventory.WantSemaphores|inventory.WantWaiting)
			byName := found(t, Find, c.kind, id)
			c.do(t, id)
			there := exists(c.kind, id)

			err := now(bySelection, nil)
			var s *Skipped
			if !errors.As(err, &s) || !strings.Contains(s.Why, c.why) || exists(c.kind, id) != there {
				t.Errorf("selected: %v; exists: %v", err, exists(c.kind, id))
			}
			err = now(byName, nil)
			switch {
			case c.found == "" && (err != nil || exists(c.kind, id) && c.name != "attached"):
				t.Errorf("named: %v; exists: %v", err, exists(c.kind, id))
			case c.found != "" && (err == nil || !strings.Contains(err.Error(), c.found) || exists(c.kind, id) != there):
				t.Errorf("named: %v, want %q; exists: %v", err, c.found, exists(c.kind, id))
			}
		})
	}
}

// replace makes another object with the same identifier.
func replace(t *testing.T, kind ref.Kind, id int, mode fs.FileMode, size int) {
	t.Helper()
	if err := destroy(kind, id); err != nil {
		t.Fatal(err)
	}
	if err := chooseID(kind, id); err != nil {
		t.Skipf("no identifier can be chosen here: %v", err)
	}
	var (
		got int
		err error
	)
	switch kind {
	case ref.Shm:
		var s sysv.Segment
		s, err = sysv.CreateSegment(sysv.Private, int64(size), &sysv.SegmentOptions{Mode: mode})
		got = int(s)
	case ref.Sem:
		var s sysv.Set
		s, err = sysv.CreateSet(sysv.Private, size, &sysv.SetOptions{Mode: mode})
		got = int(s)
	default:
		var q sysv.Queue
		q, err = sysv.CreateQueue(sysv.Private, &sysv.QueueOptions{Mode: mode})
		got = int(q)
	}
	if err != nil || got != id {
		t.Fatalf("made %d, %v; want %d", got, err, id)
	}
}

// await polls for a condition for which the kernel offers no event.
func await(t *testing.T, condition func() bool) {
	t.Helper()
	const patience = 30 * time.Second
	for began := time.Now(); !condition(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatal("it did not happen in time")
		}
	}
}

func receivers(t *testing.T, id int) (n int) {
	r := newRemover(t.Context(), []Target{{Kind: ref.Msg, want: inventory.WantWaiting, selected: true}}, Options{})
	if err := r.scan(); err != nil {
		t.Fatal(err)
	}
	return users(r.now.objects[ref.Object{Kind: ref.Msg, ID: id}])
}

// TestBefore: something happens to the object in the step before its removal.
func TestBefore(t *testing.T) {
	for _, kind := range kinds {
		id := create(t, kind, 0o600)
		target := selected(t, kind, id, inventory.WantSemaphores)
		saying := errors.New("no")
		if err := now(target, func(*inventory.Object) error { return saying }); !errors.Is(err, saying) || !exists(kind, id) {
			t.Errorf("%v: %v, exists: %v; want it kept for that reason", kind, err, exists(kind, id))
		}
		calls := 0
		err := now(target, func(o *inventory.Object) error {
			calls++
			if o != target.Object || !exists(kind, id) {
				t.Errorf("%v: called for %v:%d, which exists: %v", kind, o.Kind, o.ID(), exists(kind, id))
			}
			return nil
		})
		if err != nil || calls != 1 || exists(kind, id) {
			t.Errorf("%v: %v after %d calls, exists: %v", kind, err, calls, exists(kind, id))
		}
	}

	id := create(t, ref.Shm, 0o600)
	err := now(selected(t, ref.Shm, id, 0), func(*inventory.Object) error {
		p := ipctest.Start(t, "attach", nil, strconv.Itoa(id))
		p.Line()
		p.End()
		return nil
	})
	var s *Skipped
	if !errors.As(err, &s) || !exists(ref.Shm, id) {
		t.Errorf("attached by another process meanwhile: %v, exists: %v", err, exists(ref.Shm, id))
	}
}

// A held counts the calls of a Hold.
type held struct {
	check, late   error
	removed, kept int
}

func (h *held) Check() error    { return h.check }
func (h *held) Exclusive() bool { return true }
func (h *held) Removed() error  { h.removed++; return h.late }
func (h *held) Kept() error     { h.kept++; return nil }

func TestHold(t *testing.T) {
	used := errors.New("used")
	for _, kind := range kinds {
		id := create(t, kind, 0o600)
		target := selected(t, kind, id, inventory.WantSemaphores)
		remove := func(h *held) error {
			o := Options{Before: func(*Target) (Hold, error) { return h, nil }}
			r := newRemover(t.Context(), []Target{target}, o)
			r.settled = 0
			return r.remove(&target)
		}
		h := &held{check: used}
		if err := remove(h); !errors.Is(err, used) || !exists(kind, id) || *h != (held{used, nil, 0, 1}) {
			t.Errorf("%v, used: %v, exists: %v, %+v", kind, err, exists(kind, id), *h)
		}
		h = &held{}
		if err := remove(h); err != nil || exists(kind, id) || *h != (held{nil, nil, 1, 0}) {
			t.Errorf("%v: %v, exists: %v, %+v", kind, err, exists(kind, id), *h)
		}
	}
	target := selected(t, ref.Sem, create(t, ref.Sem, 0o600), inventory.WantSemaphores)
	r := newRemover(t.Context(), []Target{target}, Options{Before: func(*Target) (Hold, error) { return &held{late: used}, nil }})
	r.settled = 0
	var removed *Removed
	if err := r.remove(&target); !errors.As(err, &removed) || !errors.Is(err, used) || exists(ref.Sem, target.ID) {
		t.Errorf("used during the removal: %v, exists: %v; want a Removed", err, exists(ref.Sem, target.ID))
	}
}

// TestOtherVerdict: the verdict of a selected object changes before the removal.
func TestOtherVerdict(t *testing.T) {
	const reason = "httpd[17] is alive"
	for _, tt := range []struct {
		then, now inventory.Verdict
		why       string
	}{
		{inventory.Orphan, inventory.Orphan, ""},
		{inventory.Orphan, inventory.Unknown, `its verdict is "unknown" now, not "orphan": ` + reason},
		{inventory.Orphan, inventory.InUse, `its verdict is "in use" now, not "orphan": ` + reason},
	} {
		id := create(t, ref.Sem, 0o600)
		target := selected(t, ref.Sem, id, inventory.WantVerdict)
		target.Object.Use.Verdict = tt.then
		again := func() (*inventory.Inventory, error) {
			inv, err := inventory.Collect(inventory.Options{Kinds: []ref.Kind{ref.Sem}, Want: inventory.WantVerdict})
			for i := range inv.Objects {
				u := inv.Objects[i].Use
				u.Verdict, u.Reasons = tt.now, append(u.Reasons, inventory.Reason{Code: "new", Text: reason})
			}
			return inv, err
		}
		r := newRemover(t.Context(), []Target{target}, Options{Again: again})
		r.settled = 0
		err := r.remove(&target)
		if s := (*Skipped)(nil); tt.why == "" && err != nil || tt.why != "" && (!errors.As(err, &s) || s.Why != tt.why) {
			t.Errorf("%v, then %v: %v, want %q", tt.then, tt.now, err, tt.why)
		}
		if exists(ref.Sem, id) != (tt.why != "") {
			t.Errorf("%v, then %v: exists: %v", tt.then, tt.now, exists(ref.Sem, id))
		}
	}
}

// TestCancelled cancels a removal that waits for an object to settle.
func TestCancelled(t *testing.T) {
	id := create(t, ref.Sem, 0o600)
	target := selected(t, ref.Sem, id, inventory.WantSemaphores)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := newRemover(ctx, []Target{target}, Options{})
	r.settled = time.Hour
	if err := r.remove(&target); !errors.Is(err, context.Canceled) || !exists(ref.Sem, id) {
		t.Errorf("%v, exists: %v", err, exists(ref.Sem, id))
	}
	for target, err := range Remove(ctx, []Target{target}, Options{}) {
		t.Errorf("%v: %v after the end", target, err)
	}
}

// TestSettle: Remove waits until a selected object has settled.
func TestSettle(t *testing.T) {
	id := create(t, ref.Sem, 0o600)
	target := selected(t, ref.Sem, id, inventory.WantSemaphores)
	watch := ipctest.StartWatch(t)
	for _, err := range Remove(t.Context(), []Target{target}, Options{}) {
		age := time.Since(target.Object.Set.CTime)
		if _, tooLong := watch.Stop(2 * settled); err != nil || age < settled || tooLong {
			t.Errorf("%v after %v, want it removed after %v", err, age, settled)
		}
	}
	named := found(t, Find, ref.Sem, create(t, ref.Sem, 0o600))
	watch = ipctest.StartWatch(t)
	for _, err := range Remove(t.Context(), []Target{named}, Options{}) {
		if took, tooLong := watch.Stop(settled / 2); err != nil || tooLong {
			t.Errorf("%v after %v, want a named object removed at once", err, took)
		}
	}
}

// TestForeign: an ordinary user selects everything.
func TestForeign(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to have objects of two users")
	}
	theirs, roots := create(t, ref.Sem, 0o666), create(t, ref.Sem, 0o666)
	if err := sysv.Set(theirs).SetOwnership(sysv.Ownership{UID: nobody.Uid, GID: nobody.Gid, Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	p := ipctest.Start(t, "remove", nobody)
	want := fmt.Sprintf("1 1\n<nil> false\npermission denied: sem:%d belongs to uid 0, you are uid %d true\n", roots, nobody.Uid)
	if got := p.Wait(); got != want || exists(ref.Sem, theirs) || !exists(ref.Sem, roots) {
		t.Errorf("got %q, want %q; left: %v %v", got, want, exists(ref.Sem, theirs), exists(ref.Sem, roots))
	}
}

func TestFindNothing(t *testing.T) {
	for _, kind := range kinds {
		for _, text := range []string{"2147483647", "0x7fffff01"} {
			r, err := ref.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Find(kind, r); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Find(%v, %s): %v", kind, text, err)
			}
		}
		gone := Target{Kind: kind, ID: 1<<31 - 1}
		if err := now(gone, nil); err == nil {
			t.Errorf("%v was removed, and does not exist", gone)
		}
	}
}
