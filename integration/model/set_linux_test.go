package model_test

import (
	"slices"

	"golang.org/x/sys/unix"
)

type set struct {
	header
	values []int
	pids   []int         // last process to operate, by semaphore
	undo   map[int][]int // adjustments, by process and semaphore
	used   bool          // sem_otime is not 0

	// Calls that only wait for zero are tried first, then the others in order of
	// arrival, again and again from the front.
	zero, alter []*call
}

// An op is struct sembuf.
type op struct {
	num, add     int
	undo, noWait bool
}

func (s *system) semaphores() (n int) {
	for _, h := range live(s.sets) {
		n += len(s.sets[h].values)
	}
	return n
}

// semget creates a set, unless there is one under the key.
func (s *system) semget(key, nsems int) result {
	if nsems > semmsl {
		return fail(unix.EINVAL)
	}
	if lookup(s.sets, key) >= 0 {
		return fail(unix.EEXIST)
	}
	switch {
	case nsems < 1:
		return fail(unix.EINVAL)
	case s.semaphores()+nsems > semmns || len(live(s.sets)) >= semmni:
		return fail(unix.ENOSPC)
	}
	s.sets = append(s.sets, &set{
		header: header{key: key, mode: 0o600},
		values: make([]int, nsems), pids: make([]int, nsems), undo: map[int][]int{},
	})
	return result{len(s.sets) - 1}
}

// semop performs all of ops or none, or sleeps, unless noWait.
func (s *system) semop(proc, h int, ops []op, noWait bool) result {
	set := s.sets[h]
	switch {
	case len(ops) == 0:
		return fail(unix.EINVAL)
	case len(ops) > semopm:
		return fail(unix.E2BIG)
	case set.gone:
		return fail(unix.EINVAL)
	}
	if set.undo[proc] == nil && slices.ContainsFunc(ops, func(o op) bool { return o.undo }) {
		set.undo[proc] = make([]int, len(set.values)) // even if the call fails
	}
	if slices.ContainsFunc(ops, func(o op) bool { return o.num >= len(set.values) }) {
		return fail(unix.EFBIG)
	}
	c := &call{proc: proc, ops: ops}
	e, wait := set.attempt(c)
	switch {
	case wait && noWait:
		return fail(unix.EAGAIN)
	case wait && c.alters():
		set.alter = append(set.alter, c)
		return nil
	case wait:
		set.zero = append(set.zero, c)
		return nil
	case e != 0:
		return fail(e)
	}
	if c.alters() {
		set.update(s, c.touched())
	}
	return result{0}
}

func (c *call) alters() bool {
	return slices.ContainsFunc(c.ops, func(o op) bool { return o.add != 0 })
}

// touched returns the semaphores named by the operations.
func (c *call) touched() (nums []int) {
	for _, o := range c.ops {
		nums = append(nums, o.num)
	}
	return nums
}

// attempt performs the operations of a call in order, or none of them if one fails or
// must wait.
func (s *set) attempt(c *call) (e unix.Errno, wait bool) {
	values := slices.Clone(s.values)
	undo := slices.Clone(s.undo[c.proc])
	for i, o := range c.ops {
		value := values[o.num] + o.add
		switch {
		case value < 0 || o.add == 0 && value != 0:
			c.at = i
			if o.noWait {
				return unix.EAGAIN, false
			}
			return 0, true
		case value > semvmx:
			return unix.ERANGE, false
		}
		values[o.num] = value
		if o.undo {
			undo[o.num] -= o.add
			if undo[o.num] < -semvmx-1 || undo[o.num] > semvmx {
				return unix.ERANGE, false
			}
		}
	}
	s.values, s.used = values, true
	if undo != nil {
		s.undo[c.proc] = undo
	}
	for _, num := range c.touched() {
		s.pids[num] = c.proc
	}
	return 0, false
}

// update wakes the calls that can continue after semaphores have changed.
func (s *set) update(sys *system, changed []int) {
	s.updateZero(sys, changed)
	for i := 0; i < len(s.alter); {
		c := s.alter[i]
		e, wait := s.attempt(c)
		if wait {
			i++
			continue
		}
		s.alter = slices.Delete(s.alter, i, i+1)
		if e != 0 {
			sys.ended[c.proc] = fail(e)
			continue
		}
		sys.ended[c.proc] = result{0}
		s.updateZero(sys, c.touched())
		i = 0
	}
}

// updateZero wakes calls that only wait for zero if a changed semaphore is now zero. A
// call that waits for several is tried when any of them is.
func (s *set) updateZero(sys *system, changed []int) {
	if !slices.ContainsFunc(changed, func(num int) bool { return s.values[num] == 0 }) {
		return
	}
	s.zero = slices.DeleteFunc(s.zero, func(c *call) bool {
		e, wait := s.attempt(c)
		if wait {
			return false
		}
		sys.ended[c.proc] = result{0}
		if e != 0 {
			sys.ended[c.proc] = fail(e)
		}
		return true
	})
}

func (s *set) all() (nums []int) {
	for num := range s.values {
		nums = append(nums, num)
	}
	return nums
}

// setval is SETVAL, which clears the semaphore's undo adjustments.
func (s *system) setval(proc, h, num, value int) result {
	set := s.sets[h]
	switch {
	case value < 0 || value > semvmx:
		return fail(unix.ERANGE)
	case set.gone || num >= len(set.values):
		return fail(unix.EINVAL)
	}
	set.give(proc, num, value)
	set.update(s, set.all())
	return result{0}
}

// setall is SETALL.
func (s *system) setall(proc, h int, values []int) result {
	set := s.sets[h]
	switch {
	case set.gone || len(values) != len(set.values):
		return fail(unix.EINVAL)
	case slices.Max(values) > semvmx:
		return fail(unix.ERANGE)
	}
	for num, value := range values {
		set.give(proc, num, value)
	}
	set.update(s, set.all())
	return result{0}
}

func (s *set) give(proc, num, value int) {
	s.values[num], s.pids[num] = value, proc
	for _, undo := range s.undo {
		undo[num] = 0
	}
}

// exit applies the undo adjustments of a process.
func (s *set) exit(sys *system, proc int) {
	undo, ok := s.undo[proc]
	if !ok || s.gone {
		return
	}
	for num, n := range undo {
		if n != 0 {
			s.values[num] = min(max(s.values[num]+n, 0), semvmx)
			s.pids[num] = proc
		}
	}
	delete(s.undo, proc)
	s.used = true // even if there was nothing to undo
	s.update(sys, s.all())
}

// semlook is IPC_STAT, GETALL, and GETPID, GETNCNT and GETZCNT for each semaphore.
func (s *system) semlook(h int) result {
	set := s.sets[h]
	if set.gone {
		return fail(unix.EINVAL)
	}
	used := 0
	if set.used {
		used = 1
	}
	look := result{len(set.values), used, set.mode}
	look = append(append(look, set.values...), set.pids...)
	look = append(look, set.waiting(func(o op) bool { return o.add < 0 })...)
	return append(look, set.waiting(func(o op) bool { return o.add == 0 })...)
}

// waiting counts the calls blocked at an operation of a kind, by semaphore.
func (s *set) waiting(kind func(op) bool) []int {
	count := make([]int, len(s.values))
	for _, c := range slices.Concat(s.zero, s.alter) {
		if o := c.ops[c.at]; kind(o) {
			count[o.num]++
		}
	}
	return count
}
