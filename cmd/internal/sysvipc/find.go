package sysvipc

import (
	"io/fs"
	"iter"
	"strconv"

	"github.com/sysvipc/gipc/sysv"
)

// FindSegment returns the segment with an identifier, whoever may read it. If
// there is none the error is fs.ErrNotExist.
func FindSegment(id int) (sysv.SegmentInfo, error) {
	return find(sysv.Shm, id, sysv.ShmStatAny, Segments(), func(s *sysv.SegmentInfo) int { return s.ID })
}

// FindSet is FindSegment for a semaphore set.
func FindSet(id int) (sysv.SetInfo, error) {
	return find(sysv.Sem, id, sysv.SemStatAny, Sets(), func(s *sysv.SetInfo) int { return s.ID })
}

// FindQueue is FindSegment for a message queue.
func FindQueue(id int) (sysv.QueueInfo, error) {
	return find(sysv.Msg, id, sysv.MsgStatAny, Queues(), func(q *sysv.QueueInfo) int { return q.ID })
}

// find looks at the index that is part of the identifier: the kernel takes what
// *_STAT_ANY is given apart as it does an identifier, but for the sequence number. Only
// where that is not known the objects are gone through.
func find[T any](kind sysv.Kind, id int, statAny func(int) (T, error), all iter.Seq2[T, error], idOf func(*T) int) (T, error) {
	var none T
	info, err := statAny(id)
	if err == nil && (!narrow || kind != sysv.Shm) {
		if idOf(&info) == id {
			return info, nil
		}
		return none, notFound{kind, id}
	}
	for info, err := range all {
		if err != nil {
			return none, err
		}
		if idOf(&info) == id {
			return info, nil
		}
	}
	return none, notFound{kind, id}
}

// notFound is fs.ErrNotExist.
type notFound struct {
	kind sysv.Kind
	id   int
}

func (e notFound) Error() string {
	return "no " + e.kind.Noun() + " has the identifier " + strconv.Itoa(e.id)
}

func (e notFound) Is(target error) bool { return target == fs.ErrNotExist }

// Semaphore is what the kernel tells of one semaphore of a set.
type Semaphore struct {
	Value          int
	PID            int // last that operated on it; 0 if none did or if it is not visible
	NCount, ZCount int // threads that wait for it to grow, and to be zero
}

// Semaphores returns all n semaphores of a set, by three or four calls each. It needs
// read permission.
func Semaphores(id, n int) ([]Semaphore, error) {
	set := sysv.Set(id)
	semaphores := make([]Semaphore, n)
	value := set.Value
	// GETALL takes room for any set that may have got the identifier meanwhile, which
	// pays for large ones.
	const large = 1 << 10
	if n >= large {
		values, err := set.Values()
		if err != nil {
			return nil, err
		}
		semaphores = semaphores[:min(n, len(values))]
		value = func(num int) (int, error) { return int(values[num]), nil }
	}
	for num := range semaphores {
		s := &semaphores[num]
		for _, query := range []struct {
			ask   func(int) (int, error)
			reply *int
		}{
			{value, &s.Value},
			{set.NCount, &s.NCount},
			{set.ZCount, &s.ZCount},
			{set.PID, &s.PID},
		} {
			var err error
			if *query.reply, err = query.ask(num); err != nil {
				return nil, err
			}
		}
	}
	return semaphores, nil
}
