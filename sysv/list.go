package sysv

import (
	"iter"

	"github.com/sysvipc/gipc/internal/abi"
)

// Segments returns all segments of the caller's IPC namespace, whoever may read
// them (SHM_STAT_ANY, Linux 4.17), in the order of the kernel's table. It is no
// snapshot: what is made or removed meanwhile may be there or not. An error ends
// the sequence.
func Segments() iter.Seq2[SegmentInfo, error] {
	return table[SegmentInfo]{
		kind: Shm, op: "shmctl SHM_STAT_ANY",
		at: func(index int) (SegmentInfo, abi.Errno) {
			ds, id, e := abi.Shmstat(index, abi.ShmStatAny)
			return segmentInfo(id, &ds), e
		},
		top: func() (int, abi.Errno) {
			_, top, e := abi.Shmlimits()
			return top, e
		},
		inUse: func() (int, abi.Errno) {
			usage, e := abi.Shmusage()
			return int(usage.UsedIDs), e
		},
	}.all
}

// Sets returns all semaphore sets, as Segments does segments.
func Sets() iter.Seq2[SetInfo, error] {
	return table[SetInfo]{
		kind: Sem, op: "semctl SEM_STAT_ANY",
		at: func(index int) (SetInfo, abi.Errno) {
			ds, id, e := abi.Semstat(index, abi.SemStatAny)
			return setInfo(id, &ds), e
		},
		top: func() (int, abi.Errno) {
			_, top, e := abi.Seminfos(abi.SemInfo)
			return top, e
		},
		inUse: func() (int, abi.Errno) {
			usage, _, e := abi.Seminfos(abi.SemInfo)
			return int(usage.Usz), e
		},
	}.all
}

// Queues returns all message queues, as Segments does segments.
func Queues() iter.Seq2[QueueInfo, error] {
	return table[QueueInfo]{
		kind: Msg, op: "msgctl MSG_STAT_ANY",
		at: func(index int) (QueueInfo, abi.Errno) {
			ds, id, e := abi.Msgstat(index, abi.MsgStatAny)
			return queueInfo(id, &ds), e
		},
		top: func() (int, abi.Errno) {
			_, top, e := abi.Msginfos(abi.MsgInfo)
			return top, e
		},
		inUse: func() (int, abi.Errno) {
			usage, _, e := abi.Msginfos(abi.MsgInfo)
			return int(usage.Pool), e
		},
	}.all
}

// A table is the kernel's table of one kind of objects.
type table[T any] struct {
	kind  Kind
	op    string
	at    func(index int) (T, abi.Errno) // EINVAL where there is none
	top   func() (int, abi.Errno)        // the highest index in use
	inUse func() (int, abi.Errno)        // how many there are
}

// all yields the objects of the table. A kernel that does not know *_STAT_ANY says
// EINVAL to every index: that must not look like an empty table, nor may a table
// whose only object came and went look like such a kernel, so an empty walk is
// held against the number in use, several times.
func (t table[T]) all(yield func(T, error) bool) {
	var none T
	const attempts = 10
	for range attempts {
		found, more, e := t.walk(yield)
		if found > 0 || !more {
			return
		}
		inUse := 0
		if e == 0 {
			inUse, e = t.inUse()
		}
		switch {
		case e != 0:
			yield(none, &Error{Op: t.op, Kind: t.kind, Err: e})
			return
		case inUse == 0:
			return
		}
	}
	yield(none, &Error{Op: t.op, Kind: t.kind, Err: abi.ENOSYS})
}

// walk yields what it finds, and tells how many that were and whether the loop
// wants more.
func (t table[T]) walk(yield func(T, error) bool) (found int, more bool, e abi.Errno) {
	top, e := t.top()
	for index := 0; e == 0 && index <= top; index++ {
		info, e := t.at(index)
		if e != 0 { // not in use, or removed this moment
			continue
		}
		found++
		if !yield(info, nil) {
			return found, false, 0
		}
	}
	return found, true, e
}

// ShmStat returns the segment at an index of the kernel's table (SHM_STAT). It
// needs read permission. An index that is not in use is fs.ErrNotExist.
func ShmStat(index int) (SegmentInfo, error) { return shmStat("shmctl SHM_STAT", index, abi.ShmStat) }

// ShmStatAny is ShmStat without asking for permission (SHM_STAT_ANY, Linux 4.17).
func ShmStatAny(index int) (SegmentInfo, error) {
	return shmStat("shmctl SHM_STAT_ANY", index, abi.ShmStatAny)
}

func shmStat(op string, index, cmd int) (SegmentInfo, error) {
	ds, id, e := abi.Shmstat(index, cmd)
	if e != 0 {
		return SegmentInfo{}, lookupError(op, Shm, index, e)
	}
	return segmentInfo(id, &ds), nil
}

// SemStat returns the set at an index of the kernel's table (SEM_STAT). It needs
// read permission. An index that is not in use is fs.ErrNotExist.
func SemStat(index int) (SetInfo, error) { return semStat("semctl SEM_STAT", index, abi.SemStat) }

// SemStatAny is SemStat without asking for permission (SEM_STAT_ANY, Linux 4.17).
func SemStatAny(index int) (SetInfo, error) {
	return semStat("semctl SEM_STAT_ANY", index, abi.SemStatAny)
}

func semStat(op string, index, cmd int) (SetInfo, error) {
	ds, id, e := abi.Semstat(index, cmd)
	if e != 0 {
		return SetInfo{}, lookupError(op, Sem, index, e)
	}
	return setInfo(id, &ds), nil
}

// MsgStat returns the queue at an index of the kernel's table (MSG_STAT). It needs
// read permission. An index that is not in use is fs.ErrNotExist.
func MsgStat(index int) (QueueInfo, error) { return msgStat("msgctl MSG_STAT", index, abi.MsgStat) }

// MsgStatAny is MsgStat without asking for permission (MSG_STAT_ANY, Linux 4.17).
func MsgStatAny(index int) (QueueInfo, error) {
	return msgStat("msgctl MSG_STAT_ANY", index, abi.MsgStatAny)
}

func msgStat(op string, index, cmd int) (QueueInfo, error) {
	ds, id, e := abi.Msgstat(index, cmd)
	if e != 0 {
		return QueueInfo{}, lookupError(op, Msg, index, e)
	}
	return queueInfo(id, &ds), nil
}
