//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/detail"
	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/fields"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/selection"
	"github.com/sysvipc/gipc/sysv"
)

// A request is what a collection should find out besides the objects.
type request struct {
	filter  selection.Selection
	visible map[int]bool // semaphore sets whose waiters are counted in any case
	detail  *identity    // the object to describe; nil for none
}

// A sample is what one collection found. It never changes.
type sample struct {
	taken    time.Time
	rows     []row
	limits   []limits.Limit
	problems []string      // what could not be collected
	detail   *description  // nil if none was requested, or if it is too early for a new one
	pause    time.Duration // before the next collection, at least
}

// A description is what gipcs show prints about an object.
type description struct {
	id   identity
	text string
}

// A collector makes samples, one at a time.
type collector struct {
	names   *account.Directory // looked up again from time to time
	namesAt time.Time
	waiters map[int]figure // of semaphore sets
	next    int            // the set to begin with when there are too many

	described identity
	describe  time.Time // when the description may be made again
}

// pauseAfter returns how long to pause after work that took processor time: top takes about
// one percent of a processor, and a few percent if there are very many objects, which would
// otherwise be shown too late.
func pauseAfter(cost time.Duration, objects int) time.Duration {
	const many = 5000
	if objects > many {
		return 25 * cost
	}
	return 80 * cost
}

// collect finds out what the request asks for.
func (c *collector) collect(r request) *sample {
	began := processorTime()
	s := &sample{taken: time.Now()}
	const lifetime = time.Minute
	if c.names == nil || time.Since(c.namesAt) > lifetime {
		c.names, c.namesAt = account.New(), time.Now()
	}
	inv, err := inventory.Collect(inventory.Options{Want: r.filter.Want() | inventory.WantMemory})
	s.problem(err)
	for _, u := range inv.Unlisted {
		s.problem(u.Err)
	}
	fields.ExpectNames(inv, c.names)
	c.countWaiters(inv, r.visible)
	s.rows = c.rows(inv, r.filter, s)
	s.limits, err = limits.Read(ref.Kinds())
	s.problem(err)
	s.pause = pauseAfter(processorTime()-began, len(inv.Objects))
	if r.detail != nil {
		s.detail = c.description(*r.detail, len(inv.Objects))
	}
	return s
}

// problem adds an error to the problems.
func (s *sample) problem(err error) {
	if err == nil {
		return
	}
	if text := explain.Error(err); !slices.Contains(s.problems, text) {
		s.problems = append(s.problems, text)
	}
}

// processorTime returns the processor time that this process has used.
func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0 // it cannot fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rows returns a row for each object. If the filter fails for objects, they are not shown.
func (c *collector) rows(inv *inventory.Inventory, filter selection.Selection, s *sample) []row {
	choice := filter.Choose(inv, c.names)
	s.problem(choice.Err())
	rows := make([]row, len(inv.Objects))
	selected := choice.Selected // in the order of the objects
	for i := range inv.Objects {
		o := &inv.Objects[i]
		rows[i] = newRow(o, c.waiters[o.ID()])
		rows[i].owner = c.names.UserOrID(o.Ownership().UID)
		if len(selected) > 0 && selected[0].Ref() == rows[i].id.Object {
			rows[i].shown, selected = true, selected[1:]
		}
	}
	return rows
}

// semaphoreBudget is how many semaphores a collection asks for waiters. A sample then costs
// little even if there are many sets; their turn comes in a later one.
const semaphoreBudget = 4000

// countWaiters counts the waiters of the visible sets and then of others, round robin. Sets
// that are not counted now keep the number that was counted last.
func (c *collector) countWaiters(inv *inventory.Inventory, visible map[int]bool) {
	var sets []*sysv.SetInfo
	for i := range inv.Objects {
		if set := inv.Objects[i].Set; set != nil {
			sets = append(sets, set)
		}
	}
	counted, budget := make(map[int]figure, len(sets)), semaphoreBudget
	count := func(set *sysv.SetInfo) {
		id := set.ID
		if _, done := counted[id]; !done && set.NSems <= budget {
			counted[id] = waitersOf(id, set.NSems)
			budget -= set.NSems
		}
	}
	for _, set := range sets {
		if visible[set.ID] {
			count(set)
		}
	}
	for i := range sets {
		at := (c.next + i) % len(sets)
		if count(sets[at]); budget <= 0 {
			c.next = at + 1
			break
		}
	}
	for _, set := range sets {
		id := set.ID
		if _, done := counted[id]; !done {
			counted[id] = c.waiters[id]
		}
	}
	c.waiters = counted
}

// waitersOf counts the threads that wait on a set; unknown if the caller may not read it.
func waitersOf(id, n int) figure {
	set, waiters := sysv.Set(id), 0
	for num := range n {
		more, err := set.NCount(num)
		if err != nil {
			return figure{}
		}
		zero, err := set.ZCount(num)
		if err != nil {
			return figure{}
		}
		waiters += more + zero
	}
	return known(uint64(waiters))
}

// description describes an object as gipcs show does. That inspects all processes, so an
// object is described again only from time to time, and it returns nil meanwhile.
func (c *collector) description(id identity, objects int) *description {
	if c.described == id && time.Now().Before(c.describe) {
		return nil
	}
	const often = 3 * time.Second
	began := processorTime()
	text, err := describe(id, c.names)
	if err != nil {
		text = explain.Error(err) + "\n"
	}
	c.described = id
	c.describe = time.Now().Add(max(often, pauseAfter(processorTime()-began, objects)))
	return &description{id, text}
}

func describe(id identity, names *account.Directory) (string, error) {
	inv, object, err := inspect(id)
	if err != nil {
		return "", err
	}
	subject := detail.Subject{Object: object, Inventory: inv, Names: names}
	if subject.Limits, err = limits.Read([]ref.Kind{id.Kind}); err != nil {
		return "", err
	}
	var notes string
	if id.Kind == ref.Msg {
		const most = 20
		if subject.Messages, err = detail.ReadMessages(sysv.Queue(id.ID), most); err != nil {
			notes = "\n" + explain.Error(err) + "\n"
		}
	}
	record := detail.New(subject)
	if i := slices.IndexFunc(record.Columns, func(c render.Column) bool { return c.Name == "removed_by" }); i >= 0 { // top does not find out
		record.Columns, record.Cells = slices.Delete(record.Columns, i, i+1), slices.Delete(record.Cells, i, i+1)
	}
	var text strings.Builder
	err = render.WriteRecord(&text, render.Plain, record.Columns, record.Cells, render.Options{Terminal: true, HumanSizes: true})
	return text.String() + notes, err
}

// evidence returns the options with which an object is judged.
func evidence(id identity) inventory.Options {
	kinds := ref.SystemV()
	if id.Kind.POSIX() {
		kinds = ref.POSIX()
	}
	return inventory.Options{
		Kinds: kinds, Partial: true, Want: detail.Want(id.Kind),
		Memory: func(o *inventory.Object) bool { return o.Ref() == id.Object },
	}
}

// inspect finds out everything about an object.
func inspect(id identity) (*inventory.Inventory, *inventory.Object, error) {
	inv, err := inventory.CollectOne(id.Object, evidence(id))
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(inv.Objects, func(o inventory.Object) bool { return o.Ref() == id.Object })
	switch {
	case i < 0:
		return nil, nil, fmt.Errorf("%v was removed meanwhile", id.Object)
	case identityOf(&inv.Objects[i]) != id:
		return nil, nil, fmt.Errorf("%v was replaced meanwhile: another object has its name now", id.Object)
	}
	return inv, &inv.Objects[i], nil
}

// wait returns after d, or when ctx is done.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
