//go:build linux

package main

import (
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
)

// An identity tells an object from a later one with the same name: the kernel reuses the
// name of a POSIX object at once, but not the inode. The identifier of a System V object
// has a sequence number.
type identity struct {
	ref.Object
	inode uint64 // of a POSIX object
}

func identityOf(o *inventory.Object) identity {
	id := identity{Object: o.Ref()}
	if f := o.File(); f != nil {
		id.inode = f.Ino
	}
	return id
}

// A measure is a figure that top follows over time.
type measure int

const (
	byteMeasure measure = iota
	messageMeasure
	attachMeasure
	waiterMeasure
	measures int = iota
)

// String returns the name of the measure in machine formats.
func (m measure) String() string {
	return [...]string{"bytes", "messages", "attached", "waiters"}[m]
}

// A figure is the value of a measure. Not every kind of object has every measure, and the
// caller may not be allowed to read it.
type figure struct {
	n     uint64
	known bool
}

func known(n uint64) figure { return figure{n, true} }

// A row is an object as one collection found it.
type row struct {
	object  *inventory.Object
	id      identity
	owner   string
	size    figure // what the object can hold
	figures [measures]figure
	shown   bool // the filter selects it
}

// newRow returns the row of an object. waiters are those of a semaphore set.
func newRow(o *inventory.Object, waiters figure) row {
	r := row{object: o, id: identityOf(o)}
	switch o.Kind {
	case ref.Shm:
		r.size = known(uint64(o.Segment.Size))
		r.figures[attachMeasure] = known(o.Segment.NAttch)
		if o.Use != nil && o.Use.Memory != nil {
			r.figures[byteMeasure] = known(o.Use.Memory.Resident + o.Use.Memory.Swapped)
		}
	case ref.Sem:
		r.figures[waiterMeasure] = waiters
	case ref.Msg:
		r.size = figure{o.Queue.QBytes, o.Queue.QBytes != sysvipc.UnknownQBytes}
		r.figures[byteMeasure] = known(o.Queue.CBytes)
		r.figures[messageMeasure] = known(o.Queue.QNum)
	case ref.PShm:
		r.size = known(uint64(o.PShm.Size))
		r.figures[byteMeasure] = known(uint64(o.PShm.Memory))
	case ref.PSem:
		r.figures[waiterMeasure] = figure{uint64(o.PSem.Waiters), o.PSem.Known}
	case ref.PMsg:
		r.size = figure{uint64(o.PMsg.MaxMsgs) * uint64(o.PMsg.MsgSize), o.PMsg.Known}
		r.figures[byteMeasure] = figure{o.PMsg.Bytes, o.PMsg.Known}
		r.figures[messageMeasure] = figure{uint64(o.PMsg.CurMsgs), o.PMsg.Known}
	}
	return r
}

// A track is an object and what its measures have been.
type track struct {
	row
	rates     [measures]rate
	histories [measures]*history // nil while the measure has had one value only
	since     int                // number of the sample in which the object appeared
	seen      int                // number of the latest sample with the object
}

// A rate is a change per second.
type rate struct {
	perSecond float64
	known     bool
}

// update adds the row of sample number turn, which was taken elapsed after the last one.
func (t *track) update(r row, turn int, elapsed time.Duration) {
	for m := range r.figures {
		then, now := t.figures[m], r.figures[m]
		t.rates[m] = rate{}
		if !then.known || !now.known {
			t.histories[m] = nil
			continue
		}
		if elapsed > 0 {
			t.rates[m] = rate{(float64(now.n) - float64(then.n)) / elapsed.Seconds(), true}
		}
		if t.histories[m] == nil && now.n != then.n {
			t.histories[m] = &history{turn: turn - 1}
			t.histories[m].fill(then.n)
		}
		if t.histories[m] != nil {
			t.histories[m].add(now.n, turn)
		}
	}
	t.row, t.seen = r, turn
}

// past returns the last n values of a measure, oldest first; fewer if the object is younger.
func (t *track) past(m measure, n int) []uint64 {
	if !t.figures[m].known {
		return nil
	}
	values := make([]uint64, min(n, historyLength, t.seen-t.since+1))
	for i := range values {
		ago := len(values) - 1 - i
		if h := t.histories[m]; h != nil {
			values[i] = h.at(t.seen - ago)
		} else {
			values[i] = t.figures[m].n
		}
	}
	return values
}

// historyLength is the number of samples that a history has.
const historyLength = 60

// A history holds the latest values of a measure. Most objects never change, and have none.
type history struct {
	values [historyLength]uint64 // that of sample number n at n % historyLength
	turn   int                   // the latest sample
}

func (h *history) fill(n uint64) {
	for i := range h.values {
		h.values[i] = n
	}
}

// add adds the value of sample number turn. In samples that are left out the measure had its
// old value.
func (h *history) add(n uint64, turn int) {
	old := h.at(h.turn)
	for h.turn++; h.turn < turn; h.turn++ {
		h.values[h.turn%historyLength] = old
	}
	h.values[turn%historyLength] = n
	h.turn = turn
}

func (h *history) at(turn int) uint64 {
	return h.values[(turn%historyLength+historyLength)%historyLength]
}
