package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/selection"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// playWait waits on semaphore 0 of a set until the set is removed.
func playWait(args []string) error {
	id, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	fmt.Println("waiting")
	if err := sysv.Set(id).Do(context.Background(), sysv.Op{Add: -1}); err == nil {
		return fmt.Errorf("semaphore of set %d: acquired, although nobody releases it", id)
	}
	return nil
}

func segment(t testing.TB, size int64) sysv.Segment {
	t.Helper()
	s, err := sysv.CreateSegment(sysv.Private, size, nil)
	check(t, err)
	t.Cleanup(func() { _ = s.Remove() }) // the test may have removed it
	return s
}

// find returns the row of an object in a new sample.
func find(t testing.TB, c *collector, r request, o ref.Object) row {
	t.Helper()
	s := c.collect(r)
	for _, r := range s.rows {
		if r.id.Object == o {
			return r
		}
	}
	t.Fatalf("%v is not in the sample; problems: %v", o, s.problems)
	return row{}
}

// TestCollect compares figures with what the test did to the objects.
func TestCollect(t *testing.T) {
	var c collector
	s := segment(t, 64<<10)
	mem, err := s.Attach(nil)
	check(t, err)
	defer mem.Detach()
	_, err = mem.WriteAt(make([]byte, 16<<10), 0)
	check(t, err)
	r := find(t, &c, request{}, ref.Object{Kind: ref.Shm, ID: int(s)})
	if want := [measures]figure{known(16 << 10), {}, known(1), {}}; r.figures != want || r.size != known(64<<10) || !r.shown {
		t.Errorf("segment: %+v", r)
	}
	q, err := sysv.CreateQueue(sysv.Private, nil)
	check(t, err)
	defer q.Remove()
	check(t, q.Send(t.Context(), 1, []byte("hello")))
	r = find(t, &c, request{}, ref.Object{Kind: ref.Msg, ID: int(q)})
	if want := [measures]figure{known(5), known(1), {}, {}}; r.figures != want {
		t.Errorf("queue: %+v", r)
	}
	object, err := posix.CreateObject("/frames", 1<<20, nil)
	check(t, err)
	defer posix.UnlinkObject("/frames")
	_, err = object.File().WriteAt(make([]byte, 8<<10), 0)
	check(t, err)
	check(t, object.Close())
	r = find(t, &c, request{}, ref.Object{Kind: ref.PShm, Name: "/frames"})
	if want := [measures]figure{known(8 << 10), {}, {}, {}}; r.figures != want || r.size != known(1<<20) || r.id.inode == 0 {
		t.Errorf("POSIX object: %+v", r)
	}
	condition, err := selection.Parse(`kind == "msg" && messages > 0`)
	check(t, err)
	filtered := c.collect(request{filter: selection.Selection{condition}})
	for _, r := range filtered.rows {
		if r.shown != (r.id.Kind == ref.Msg) {
			t.Errorf("the filter shows %v: %v", r.id, r.shown)
		}
	}
	if len(filtered.rows) != 3 || len(filtered.problems) > 0 || len(filtered.limits) < 10 || filtered.pause <= 0 {
		t.Errorf("%d rows, problems %v, %d limits, pause %v", len(filtered.rows), filtered.problems, len(filtered.limits), filtered.pause)
	}
}

// set makes a set of semaphores that are 0.
func set(t testing.TB, n int) sysv.Set {
	t.Helper()
	s, err := sysv.CreateSet(sysv.Private, n, nil)
	check(t, err)
	t.Cleanup(func() { _ = s.Remove() }) // the test may have removed it
	return s
}

// waiter starts a process that waits on a set, and returns when it does.
func waiter(t testing.TB, s sysv.Set) *ipctest.Process {
	t.Helper()
	p := ipctest.Start(t, "wait", nil, strconv.Itoa(int(s)))
	p.Line()
	for n := 0; n == 0; {
		var err error
		n, err = s.NCount(0)
		check(t, err)
	}
	return p
}

func TestWaiters(t *testing.T) {
	var c collector
	s := set(t, 2)
	o := ref.Object{Kind: ref.Sem, ID: int(s)}
	if r := find(t, &c, request{}, o); r.figures[waiterMeasure] != known(0) {
		t.Errorf("waiters: %+v", r.figures)
	}
	p := waiter(t, s)
	if r := find(t, &c, request{}, o); r.figures[waiterMeasure] != known(1) {
		t.Errorf("waiters: %+v", r.figures)
	}
	sample := c.collect(request{detail: &identity{Object: o}})
	if d := sample.detail; d == nil || !strings.Contains(d.text, "verdict:") || !strings.Contains(d.text, fmt.Sprint(p.PID())) || strings.Contains(d.text, "removed_by") {
		t.Errorf("description: %+v", d)
	}
	if sample = c.collect(request{detail: &identity{Object: o}}); sample.detail != nil {
		t.Error("the object was described again at once")
	}
	check(t, s.Remove())
	p.End()
	if sample = c.collect(request{detail: &identity{Object: o, inode: 1}}); sample.detail == nil || !strings.Contains(sample.detail.text, "was removed meanwhile") {
		t.Errorf("description of what is gone: %+v", sample.detail)
	}
}

// TestSemaphoreBudget has more semaphores than a collection counts. All sets have their turn,
// and visible ones are always counted.
func TestSemaphoreBudget(t *testing.T) {
	var c collector
	const sets = 6
	all := make([]sysv.Set, sets)
	for i := range all {
		all[i] = set(t, semaphoreBudget/4)
	}
	p := waiter(t, all[sets-1])
	last := ref.Object{Kind: ref.Sem, ID: int(all[sets-1])}
	if r := find(t, &c, request{}, last); r.figures[waiterMeasure].known {
		t.Fatal("the first sample has counted all sets")
	}
	if r := find(t, &c, request{}, last); r.figures[waiterMeasure] != known(1) {
		t.Error("the second sample has not counted the others")
	}
	if r := find(t, &c, request{}, last); r.figures[waiterMeasure] != known(1) {
		t.Error("the count was forgotten")
	}
	check(t, all[sets-1].Remove())
	p.End()
	all[sets-1] = set(t, 1)
	c = collector{}
	id := int(all[sets-1])
	if r := find(t, &c, request{visible: map[int]bool{id: true}}, ref.Object{Kind: ref.Sem, ID: id}); !r.figures[waiterMeasure].known {
		t.Error("a visible set was not counted")
	}
}

func segmentIdentity(s sysv.Segment) identity {
	return identity{Object: ref.Object{Kind: ref.Shm, ID: int(s)}}
}

func TestRemoval(t *testing.T) {
	s := segment(t, 4096)
	p := planFor(segmentIdentity(s))
	if p.target == nil || p.why != "" {
		t.Fatalf("%+v", p)
	}
	for _, want := range []string{"shared memory segment of root, 4K", "verdict: "} {
		if !strings.Contains(strings.Join(p.lines, "\n"), want) {
			t.Errorf("the plan lacks %q: %q", want, p.lines)
		}
	}
	used := planFor(segmentIdentity(s))
	if said := p.carryOut(t.Context()); said != fmt.Sprintf("shm:%d was removed", s) {
		t.Error(said)
	}
	if _, err := s.StatAny(); err == nil {
		t.Error("it is still there")
	}
	if said := used.carryOut(t.Context()); !strings.Contains(said, "left alone: it is already gone") {
		t.Error(said)
	}
	if p := planFor(segmentIdentity(s)); p.target != nil || !strings.Contains(p.why, "was removed meanwhile") {
		t.Errorf("%+v", p)
	}
}

// TestRemovalOfUsed uses objects after the plan.
func TestRemovalOfUsed(t *testing.T) {
	s := segment(t, 4096)
	p := planFor(segmentIdentity(s))
	mem, err := s.Attach(nil)
	check(t, err)
	if said := p.carryOut(t.Context()); !strings.Contains(said, "was left alone: ") {
		t.Error(said)
	}
	p = planFor(segmentIdentity(s)) // now it is known to be in use
	if !strings.Contains(strings.Join(p.lines, "\n"), "verdict: in use") {
		t.Errorf("the plan is %q", p.lines)
	}
	if said := p.carryOut(t.Context()); !strings.Contains(said, "is marked for removal") {
		t.Error(said)
	}
	check(t, mem.Detach())

	object, err := posix.CreateObject("/one", 4096, nil)
	check(t, err)
	info, err := object.Stat()
	check(t, err)
	check(t, object.Close())
	id := identity{ref.Object{Kind: ref.PShm, Name: "/one"}, info.Ino}
	p = planFor(id)
	if p.target == nil {
		t.Fatalf("%+v", p)
	}
	check(t, posix.UnlinkObject("/one"))
	pad, err := posix.CreateObject("/pad", 4096, nil) // takes the inode number, if that is reused
	check(t, err)
	defer posix.UnlinkObject("/pad")
	check(t, pad.Close())
	object, err = posix.CreateObject("/one", 4096, nil)
	check(t, err)
	defer posix.UnlinkObject("/one")
	check(t, object.Close())
	if said := p.carryOut(t.Context()); !strings.Contains(said, "another POSIX shared-memory object has its name now") {
		t.Error(said)
	}
	if p := planFor(id); p.target != nil || !strings.Contains(p.why, "was replaced meanwhile") {
		t.Errorf("%+v", p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p = planFor(segmentIdentity(segment(t, 4096)))
	cancel()
	if said := p.carryOut(ctx); !strings.Contains(said, "was not removed: interrupted") {
		t.Error(said)
	}
}

// TestWaitEnds checks that a context ends a pause.
func TestWaitEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wait(ctx, time.Hour)
}
