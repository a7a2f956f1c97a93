package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/groups"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// A Diff is what changed between two snapshots.
type Diff struct {
	// Elapsed is the time between the snapshots, including the time that the machine slept.
	// It is 0 if it is unknown because the machine was restarted.
	Elapsed time.Duration
	// Notes are for people: which objects could not be the same, and what was not compared.
	Notes   []string
	Changes []Change // most growth first
	same    []Change // the objects that did not change
	texts   []string
	makers  map[int64]groups.Value // programs by the id of the process that made one of their segments
}

// What says what became of an object.
type What int

// The values of What.
const (
	Came    What = iota // created
	Went                // removed
	Grew                // more bytes, messages or attachments, and less of none
	Shrank              // less of one of them, and more of none
	Changed             // more of one, less of another
	stayed
)

func (w What) String() string { return [...]string{"came", "went", "grew", "shrank", "changed"}[w] }

// A Change is an object that came, went or changed.
type Change struct {
	What          What
	Before, After *Object // nil for an object that came or went
}

// Object returns the newer state.
func (c *Change) Object() *Object {
	if c.After != nil {
		return c.After
	}
	return c.Before
}

// A Quantity is a number before and after. It is 0 where the object does not exist, and
// never negative.
type Quantity struct {
	Before, After int64
	Known         bool // the object has this number, and it is known
}

// Delta returns the difference.
func (q Quantity) Delta() int64 { return q.After - q.Before }

// Latest returns the number now, or the last number of an object that went.
func (c *Change) Latest(q Quantity) int64 {
	if c.After == nil {
		return q.Before
	}
	return q.After
}

func (q *Quantity) add(p Quantity) {
	q.Before, q.After, q.Known = plus(q.Before, p.Before), plus(q.After, p.After), q.Known || p.Known
}

// plus returns a+b, or the largest number instead of more. Neither a nor b is negative.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// quantity returns a field before and after. A field that is unknown on one side did not
// change.
func (c *Change) quantity(n number) Quantity {
	before, was := c.Before.value(n)
	after, is := c.After.value(n)
	switch both := c.Before != nil && c.After != nil; {
	case both && !was:
		before = after
	case both && !is:
		after = before
	}
	return Quantity{before, after, was || is}
}

// Bytes returns the bytes of the memory, or in the queue.
func (c *Change) Bytes() Quantity { return c.quantity(size) }

// Messages returns the messages in the queue.
func (c *Change) Messages() Quantity { return c.quantity(messages) }

// Attachments returns the attachments of the segment.
func (c *Change) Attachments() Quantity { return c.quantity(nattch) }

// Semaphores returns the semaphores in the set.
func (c *Change) Semaphores() Quantity { return c.quantity(nsems) }

// Objects returns whether the object is there: 1 or 0.
func (c *Change) Objects() (q Quantity) {
	q.Known = true
	if c.Before != nil {
		q.Before = 1
	}
	if c.After != nil {
		q.After = 1
	}
	return q
}

// Key returns the key of a System V object.
func (c *Change) Key() (key32 uint32, known bool) {
	k, known := c.Object().number(key)
	return uint32(k), known
}

// Created returns when the object was created or last changed; the zero time if unknown.
func (c *Change) Created() time.Time {
	t, known := c.Object().number(ctime)
	if !known {
		return time.Time{}
	}
	return time.Unix(t, 0)
}

// Text returns a text of the object. If it is unknown now, the older one counts: a program
// can be named only while one of its processes lives. A segment whose program is unknown
// gets the program of another segment with the same creator.
func (d *Diff) Text(c *Change, name string) groups.Value {
	i := slices.Index(d.texts, name)
	for _, o := range []*Object{c.After, c.Before} {
		if o != nil && o.texts[i].Known {
			return o.texts[i]
		}
	}
	if pid, known := c.Object().number(cpid); known && name == program {
		return d.makers[pid]
	}
	return groups.Value{}
}

// learnMakers fills makers from snapshots that number processes alike.
func (d *Diff) learnMakers(snapshots ...*Snapshot) {
	d.makers = make(map[int64]groups.Value)
	i := slices.Index(d.texts, program)
	for _, s := range snapshots {
		for j := range s.Objects {
			o := &s.Objects[j]
			if pid, known := o.number(cpid); known && o.texts[i].Known {
				d.makers[pid] = o.texts[i]
			}
		}
	}
}

// Compare returns what changed from a to b. It fails if b is older. It also fails if their
// selections differ, since an object could be missing in one only because it was not
// selected. Both must hold the same texts.
func Compare(a, b *Snapshot) (*Diff, error) {
	if !a.Selection.Equal(b.Selection) {
		return nil, fmt.Errorf("they hold different selections of objects (%v; %v); compare snapshots that were taken with the same flags", a.Selection, b.Selection)
	}
	d := &Diff{texts: b.Texts}
	oneBoot := a.BootID == b.BootID
	if oneBoot {
		if d.Elapsed = b.Uptime - a.Uptime; d.Elapsed < 0 {
			return nil, errors.New("the first is newer than the second; name the older one first")
		}
	}
	d.note(a, b)
	if oneBoot && a.PIDNamespace == b.PIDNamespace {
		d.learnMakers(a, b)
	}
	kinds := d.kinds(a, b)
	d.match(a, b, func(k ref.Kind) bool { return slices.Contains(kinds, k) })
	slices.SortStableFunc(d.Changes, func(x, y Change) int { return cmp.Or(growth(&x, &y), order(&x, &y)) })
	return d, nil
}

// String describes a selection in an error message.
func (s Selection) String() string {
	words := slices.Clone(s.Conditions)
	if s.WithMessages {
		words = append(words, "with messages")
	}
	if s.IgnoreHidden {
		words = append(words, "hidden processes ignored")
	}
	if len(words) == 0 {
		return "all objects"
	}
	return strings.Join(words, " && ")
}

// match finds the objects of a among the objects of b.
func (d *Diff) match(a, b *Snapshot, compared func(ref.Kind) bool) {
	m := matcher{
		users: a.UserNamespace == b.UserNamespace && a.UserNamespace != 0,
		pids:  a.PIDNamespace == b.PIDNamespace && a.PIDNamespace != 0,
	}
	old := make(map[identity]*Object, len(a.Objects))
	for i := range a.Objects {
		if o := &a.Objects[i]; compared(o.Kind) && mayShare(a.Header, b.Header, o.Kind) {
			old[o.identity()] = o
		}
	}
	kept := make(map[*Object]bool, len(old))
	for i := range b.Objects {
		after := &b.Objects[i]
		if !compared(after.Kind) {
			continue
		}
		before := old[after.identity()]
		if before == nil || kept[before] || !m.same(before, after) {
			d.Changes = append(d.Changes, Change{Came, nil, after})
			continue
		}
		kept[before] = true
		if c := changeOf(before, after); c.What == stayed {
			d.same = append(d.same, c)
		} else {
			d.Changes = append(d.Changes, c)
		}
	}
	for i := range a.Objects {
		if before := &a.Objects[i]; compared(before.Kind) && !kept[before] {
			d.Changes = append(d.Changes, Change{Went, before, nil})
		}
	}
}

// mayShare reports whether an object of a kind can be the same in both snapshots.
func mayShare(a, b *Header, kind ref.Kind) bool {
	switch {
	case a.BootID != b.BootID:
		return false
	case kind == ref.PShm || kind == ref.PSem:
		return a.ShmDevice == b.ShmDevice
	default:
		return a.Namespace == b.Namespace
	}
}

// kinds returns the kinds that both snapshots list, and notes the kinds that only one
// lists.
func (d *Diff) kinds(a, b *Snapshot) (both []ref.Kind) {
	var one []string
	for _, k := range ref.Kinds() {
		inA, inB := slices.Contains(a.Kinds, k), slices.Contains(b.Kinds, k)
		if inA && inB {
			both = append(both, k)
		} else if inA || inB {
			one = append(one, k.Noun()+"s")
		}
	}
	if len(one) > 0 {
		d.Notes = append(d.Notes, strings.Join(one, ", ")+" are not compared: only one of the snapshots could list them")
	}
	return both
}

// slack is how far the clock may drift between two snapshots without being set: programs
// such as chronyd correct it by at most a part in two thousand.
func slack(elapsed time.Duration) time.Duration { return time.Second + elapsed/1000 }

// note notes which objects cannot be the same, and whether the clock was set.
func (d *Diff) note(a, b *Snapshot) {
	add := func(format string, args ...any) { d.Notes = append(d.Notes, fmt.Sprintf(format, args...)) }
	switch {
	case a.BootID != b.BootID && a.Host != b.Host:
		add("the snapshots are of different machines, %s and %s: they have no object in common, and there are no rates", a.Host, b.Host)
		return
	case a.BootID != b.BootID:
		add("the machine was restarted in between: the snapshots have no object in common, and there are no rates")
		return
	case a.Namespace != b.Namespace:
		add("the snapshots are of different IPC namespaces, %d and %d: they have no System V object and no POSIX queue in common", a.Namespace, b.Namespace)
	}
	if a.ShmDevice != b.ShmDevice && a.ShmDevice != 0 && b.ShmDevice != 0 {
		add("the snapshots are of different file systems on /dev/shm: they have no POSIX shared memory and no POSIX semaphore in common")
	}
	set := b.Taken.Sub(a.Taken) - d.Elapsed
	if set.Abs() > slack(d.Elapsed) {
		direction := "forward"
		if set < 0 {
			direction = "back"
		}
		add("the clock was set %s by %v in between; the rates do not depend on it", direction, set.Abs().Round(time.Second))
	}
	if a.UID != b.UID {
		add("the snapshots were taken by different users, uid %d and uid %d, who may not see the same objects and processes", a.UID, b.UID)
	}
}

// changeOf compares two states of one object.
func changeOf(before, after *Object) Change {
	c := Change{stayed, before, after}
	more, less := false, false
	for _, q := range []Quantity{c.Bytes(), c.Messages(), c.Attachments()} {
		more, less = more || q.Delta() > 0, less || q.Delta() < 0
	}
	switch {
	case more && less:
		c.What = Changed
	case more:
		c.What = Grew
	case less:
		c.What = Shrank
	}
	return c
}

// growth orders changes by growth, most first.
func growth(x, y *Change) int {
	for _, q := range []func(*Change) Quantity{(*Change).Bytes, (*Change).Objects, (*Change).Messages, (*Change).Semaphores, (*Change).Attachments} {
		if n := cmp.Compare(q(y).Delta(), q(x).Delta()); n != 0 {
			return n
		}
	}
	return 0
}

// order orders objects by kind, and then by identifier or name.
func order(x, y *Change) int {
	a, b := x.Object(), y.Object()
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name), cmp.Compare(x.What, y.What))
}
