package sysv

import (
	"iter"

	"github.com/sysvipc/gipc/internal/abi"
)

// Segments returns all segments of the caller's IPC namespace, in the order of the
// kernel's table, including objects that the caller may not read. It is not a snapshot: a
// segment created or removed meanwhile may be included or not. An error ends the sequence.
// Errors: ENOSYS (errors.ErrUnsupported) before Linux 4.17, which lacks SHM_STAT_ANY; the
// error of a security policy that refuses IPC_INFO or SHM_STAT_ANY, such as EPERM.
//
// A 32-bit program takes sizes from /proc/sysvipc/shm, because a 64-bit kernel truncates
// them in the system call. If that file cannot be read, the error is EOVERFLOW.
func Segments() iter.Seq2[SegmentInfo, error] {
	return func(yield func(SegmentInfo, error) bool) { segments(new(sizer)).all(yield) }
}

func segments(sizes *sizer) table[SegmentInfo] {
	return table[SegmentInfo]{
		kind: Shm, call: "shmctl", command: "SHM",
		at: func(index, cmd int) (SegmentInfo, int, abi.Errno) {
			ds, id, e := abi.Shmstat(index, cmd)
			info := segmentInfo(id, &ds)
			if e == 0 {
				e = sizes.fix(&info)
			}
			return info, id, e
		},
		stat: abi.ShmStat, statAny: abi.ShmStatAny,
		top: func() (int, abi.Errno) {
			_, top, e := abi.Shmlimits()
			return top, e
		},
		inUse: func() (int, abi.Errno) {
			usage, e := abi.Shmusage()
			return int(usage.UsedIDs), e
		},
	}
}

// Sets returns all semaphore sets, in the same way as Segments.
func Sets() iter.Seq2[SetInfo, error] {
	return table[SetInfo]{
		kind: Sem, call: "semctl", command: "SEM",
		at: func(index, cmd int) (SetInfo, int, abi.Errno) {
			ds, id, e := abi.Semstat(index, cmd)
			return setInfo(id, &ds), id, e
		},
		stat: abi.SemStat, statAny: abi.SemStatAny,
		top: func() (int, abi.Errno) {
			_, top, e := abi.Seminfos(abi.IPCInfo)
			return top, e
		},
		inUse: func() (int, abi.Errno) {
			usage, _, e := abi.Seminfos(abi.SemInfo)
			return int(usage.Usz), e
		},
	}.all
}

// Queues returns all message queues, in the same way as Segments.
func Queues() iter.Seq2[QueueInfo, error] {
	return table[QueueInfo]{
		kind: Msg, call: "msgctl", command: "MSG",
		at: func(index, cmd int) (QueueInfo, int, abi.Errno) {
			ds, id, e := abi.Msgstat(index, cmd)
			return queueInfo(id, &ds), id, e
		},
		stat: abi.MsgStat, statAny: abi.MsgStatAny,
		top: func() (int, abi.Errno) {
			_, top, e := abi.Msginfos(abi.IPCInfo)
			return top, e
		},
		inUse: func() (int, abi.Errno) {
			usage, _, e := abi.Msginfos(abi.MsgInfo)
			return int(usage.Pool), e
		},
	}.all
}

// A table is the kernel's table of one kind of object.
type table[T any] struct {
	kind          Kind
	call, command string // such as shmctl and SHM, for errors
	// at returns the object at an index, and its identifier. The command is stat or
	// statAny. EINVAL and EIDRM mean that there is no object.
	at            func(index, cmd int) (T, int, abi.Errno)
	stat, statAny int
	top           func() (int, abi.Errno) // the highest index in use
	inUse         func() (int, abi.Errno) // the number of objects
}

// all yields the objects of the table. A kernel that lacks *_STAT_ANY returns the same
// error for the unknown command as for an unused index, so finding nothing does not prove
// that the table is empty. A walk may also miss objects that come and go.
func (t table[T]) all(yield func(T, error) bool) {
	const attempts = 30
	evidence := support(0) // that the kernel lacks *_STAT_ANY
	var refused abi.Errno  // why inUse failed
	for range attempts {
		if t.walk(yield) {
			return
		}
		var n int
		if n, refused = t.inUse(); n == 0 && refused == 0 {
			return
		}
		switch found := t.probe(); {
		case found == has:
			evidence = 0
		case found > blind || refused == 0:
			evidence += found
		}
		if evidence >= attempts {
			t.fail(yield, t.command+"_STAT_ANY", abi.ENOSYS)
			return
		}
	}
	if refused != 0 {
		t.fail(yield, t.command+"_INFO", refused)
	}
}

// walk yields the objects that it finds. It reports whether the work is done: it found an
// object, the loop ended early, or the kernel refused.
func (t table[T]) walk(yield func(T, error) bool) (done bool) {
	top, e := t.top()
	if e != 0 {
		return t.fail(yield, "IPC_INFO", e)
	}
	for index := 0; index <= top; index++ {
		switch info, _, e := t.at(index, t.statAny); {
		case e == 0:
			done = true
			if !yield(info, nil) {
				return true
			}
		case !vacant(e):
			return t.fail(yield, t.command+"_STAT_ANY", e)
		}
	}
	return done
}

// vacant reports whether e means that an index is not in use.
func vacant(e abi.Errno) bool { return e == abi.EINVAL || e == abi.EIDRM }

func (t table[T]) fail(yield func(T, error) bool, command string, e abi.Errno) bool {
	var none T
	yield(none, &Error{Op: t.call + " " + command, Kind: t.kind, Err: e})
	return true
}

// A support is the weight of evidence against *_STAT_ANY, after a walk that found nothing
// in a table that has objects.
type support int

const (
	has         support = 0  // *_STAT_ANY found an object, or objects come and go
	blind       support = 1  // *_STAT found nothing either, which is rare even if objects come and go
	seemsToLack support = 3  // *_STAT_ANY missed an object, unless that was replaced meanwhile
	lacks       support = 30 // *_STAT_ANY missed an object that was there all the time
)

// probe tries *_STAT_ANY at an index where *_STAT finds an object both before and after.
func (t table[T]) probe() support {
	top, e := t.top()
	found := blind
	for index := 0; e == 0 && index <= top; index++ {
		_, before, e := t.at(index, t.stat)
		if vacant(e) {
			continue
		}
		found = has
		if _, _, any := t.at(index, t.statAny); !vacant(any) {
			return has
		}
		switch _, after, again := t.at(index, t.stat); {
		case e == 0 && again == 0 && before == after:
			return lacks
		case e != 0 && e == again: // no permission to see the identifier
			return seemsToLack
		}
	}
	return found
}
