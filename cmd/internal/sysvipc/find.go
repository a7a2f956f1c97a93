package sysvipc

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/sysv"
)

// FindSegment returns the segment with an identifier, regardless of its permissions. If
// there is none the error is fs.ErrNotExist.
func FindSegment(id int) (sysv.SegmentInfo, error) { return segments().find(id) }

// FindSet is FindSegment for a semaphore set.
func FindSet(id int) (sysv.SetInfo, error) { return sets().find(id) }

// FindQueue is FindSegment for a message queue. Its QBytes may be UnknownQBytes.
func FindQueue(id int) (sysv.QueueInfo, error) { return queues().find(id) }

// find looks up the identifier with *_STAT_ANY, then with IPC_STAT. It lists all objects
// only if both fail.
func (s source[T]) find(id int) (T, error) {
	var none T
	object, err := s.oneAny(id)
	if err == nil {
		return object, nil
	}
	object, ownErr := s.one(id)
	switch {
	case ownErr == nil:
		return object, nil
	case errors.Is(ownErr, fs.ErrNotExist) && s.tells():
		return none, notFound{s.kind, id}
	}
	for object, procErr := range s.rows() {
		switch {
		case procErr != nil && errors.Is(ownErr, fs.ErrNotExist): // it may exist all the same
			return none, fmt.Errorf("%v:%d cannot be looked up: %v; %v", s.kind, id, err, procErr)
		case procErr != nil:
			return none, ownErr
		case s.id(&object) == id:
			if s.complete != nil {
				_ = s.complete(&object) // what it cannot find out stays unknown
			}
			return object, nil
		}
	}
	return none, notFound{s.kind, id}
}

// tells reports whether *_STAT_ANY works, so that an object it does not find does not
// exist.
func (s source[T]) tells() bool {
	for _, err := range s.walk {
		return err == nil
	}
	return true // the table is empty
}

// Remove removes the object with an identifier.
func Remove(kind sysv.Kind, id int) error {
	switch kind {
	case sysv.Shm:
		return sysv.Segment(id).Remove()
	case sysv.Sem:
		return sysv.Set(id).Remove()
	default:
		return sysv.Queue(id).Remove()
	}
}

// Open returns the identifier of the object with a key.
func Open(kind sysv.Kind, key sysv.Key) (id int, err error) {
	switch kind {
	case sysv.Shm:
		s, err := sysv.OpenSegment(key)
		return int(s), err
	case sysv.Sem:
		s, err := sysv.OpenSet(key)
		return int(s), err
	default:
		q, err := sysv.OpenQueue(key)
		return int(q), err
	}
}

// UnderFreeKey calls create with random keys until one is free. create must make a new
// object or return fs.ErrExist.
func UnderFreeKey[T any](create func(sysv.Key) (T, error)) (T, error) {
	for {
		key := sysv.Key(rand.Uint32())
		if key == sysv.Private {
			continue
		}
		if object, err := create(key); !errors.Is(err, fs.ErrExist) {
			return object, err
		}
	}
}

// notFound is an fs.ErrNotExist for an identifier.
type notFound struct {
	kind sysv.Kind
	id   int
}

func (e notFound) Error() string {
	return "no " + Noun(e.kind) + " has the identifier " + strconv.Itoa(e.id)
}

func (e notFound) Is(target error) bool { return target == fs.ErrNotExist }

// Semaphore is the state of one semaphore of a set.
type Semaphore struct {
	Value          int
	PID            int // last process to operate on it; 0 if none did or it is not visible
	NCount, ZCount int // threads that wait for an increase, and for zero
}

// Semaphores returns all n semaphores of a set, with three or four calls each. It needs
// read permission.
func Semaphores(id, n int) ([]Semaphore, error) {
	set := sysv.Set(id)
	semaphores := make([]Semaphore, n)
	value := set.Value
	// GETALL allocates room for the largest set, since another set may have the identifier by
	// now. That pays off only for large sets.
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

// Noun returns the kind's name for use in a sentence.
func Noun(kind sysv.Kind) string {
	return [...]string{"shared memory segment", "semaphore set", "message queue"}[kind]
}

// Slot returns the identifier of the object at an index of the kernel's table (*_STAT_ANY).
// index may also be an identifier: the kernel ignores its sequence number here. The error
// is fs.ErrNotExist for an empty slot, and for any slot before Linux 4.17.
func Slot(kind sysv.Kind, index int) (id int, err error) { return slot(kind, index, true) }

// slot is Slot, or does the same for objects that the caller may read (*_STAT).
func slot(kind sysv.Kind, index int, anyone bool) (id int, err error) {
	var e abi.Errno
	var call string
	command := "_STAT"
	choose := func(stat, statAny int) int {
		if anyone {
			command = "_STAT_ANY"
			return statAny
		}
		return stat
	}
	switch kind {
	case sysv.Shm:
		call = "shmctl SHM"
		_, id, e = abi.Shmstat(index, choose(abi.ShmStat, abi.ShmStatAny))
	case sysv.Sem:
		call = "semctl SEM"
		_, id, e = abi.Semstat(index, choose(abi.SemStat, abi.SemStatAny))
	default:
		call = "msgctl MSG"
		_, id, e = abi.Msgstat(index, choose(abi.MsgStat, abi.MsgStatAny))
	}
	switch {
	case e == abi.EINVAL || e == abi.EIDRM:
		return -1, fs.ErrNotExist
	case e != 0:
		return -1, &sysv.Error{Op: call + command, Kind: kind, ID: index, Err: e}
	}
	return id, nil
}
