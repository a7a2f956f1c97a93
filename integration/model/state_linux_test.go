package model_test

import (
	"slices"

	"golang.org/x/sys/unix"
)

// The limits of the namespaces: small, so that steps often reach them.
const (
	pageSize = 4096
	shmmax   = 3 * pageSize
	shmall   = 4 // pages
	shmmni   = 3
	semmsl   = 4
	semmns   = 8
	semopm   = 5
	semmni   = 3
	semvmx   = 32767
	msgmni   = 3
	msgmax   = 8
	msgmnb   = 16
)

// A result is what a call returns: numbers, or a single negated error number. nil means
// that the call sleeps.
type result []int

func fail(e unix.Errno) result { return result{-int(e)} }

// A system is the contents of an IPC namespace, as the manual says it should be.
// Objects have handles, in order of creation, which are never reused. Processes are
// numbered from 1.
type system struct {
	segments []*segment
	sets     []*set
	queues   []*queue
	ended    map[int]result // calls that slept and that the last step ended, by process
}

// A header is what all objects have.
type header struct {
	key, mode int
	gone      bool
}

type object interface{ head() *header }

func (h *header) head() *header { return h }

// lookup returns the handle of the object with a key, or -1.
func lookup[T object](all []T, key int) int {
	return slices.IndexFunc(all, func(o T) bool { return !o.head().gone && key != 0 && o.head().key == key })
}

// live returns the handles of existing objects.
func live[T object](all []T) result {
	handles := result{}
	for h, o := range all {
		if !o.head().gone {
			handles = append(handles, h)
		}
	}
	return handles
}

// chmod is IPC_SET.
func chmod(o object, mode int) result {
	if o.head().gone {
		return fail(unix.EINVAL)
	}
	o.head().mode = mode
	return result{0}
}

// A call is a system call that sleeps in a queue of waiters.
type call struct {
	proc  int
	ops   []op    // of semop
	at    int     // of semop: the operation that had to wait at the last try
	msg   message // of msgsnd
	which receive // of msgrcv
}

// leave removes a process's call from a queue and reports whether it was there.
func leave(waiters *[]*call, proc int) bool {
	before := len(*waiters)
	*waiters = slices.DeleteFunc(*waiters, func(c *call) bool { return c.proc == proc })
	return len(*waiters) < before
}

// interrupt ends a process's sleep with EINTR.
func (s *system) interrupt(proc int) {
	if s.wake(proc) {
		s.ended[proc] = fail(unix.EINTR)
	}
}

// wake removes a process's call from the queue it sleeps in.
func (s *system) wake(proc int) (slept bool) {
	for _, set := range s.sets {
		slept = leave(&set.zero, proc) || leave(&set.alter, proc) || slept
	}
	for _, queue := range s.queues {
		slept = leave(&queue.senders, proc) || leave(&queue.receivers, proc) || slept
	}
	return slept
}

// exit ends a process, in whatever way.
func (s *system) exit(proc int) {
	s.wake(proc)
	for slot := range slots {
		s.shmdt(proc, slot)
	}
	for _, set := range s.sets {
		set.exit(s, proc)
	}
}

// remove is IPC_RMID for a set or a queue: its waiters fail with EIDRM.
func (s *system) remove(o object, waiters ...*[]*call) result {
	if o.head().gone {
		return fail(unix.EINVAL)
	}
	o.head().gone = true
	for _, queue := range waiters {
		for _, c := range *queue {
			s.ended[c.proc] = fail(unix.EIDRM)
		}
		*queue = nil
	}
	return result{0}
}

// usage is *_INFO for all kinds.
func (s *system) usage() result {
	segments, sets, queues := live(s.segments), live(s.sets), live(s.queues)
	messages, bytes := 0, 0
	for _, h := range queues {
		messages += len(s.queues[h].messages)
		bytes += s.queues[h].bytes()
	}
	return result{len(segments), s.pages(), len(sets), s.semaphores(), len(queues), messages, bytes}
}
