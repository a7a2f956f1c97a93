package inventory

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/sysv"
)

// A task is a thread of a process.
type task struct {
	tid int
	*crew
}

// A crew holds what the threads of a process have in common.
type crew struct {
	pid, via int  // its id, and the id under which it is reached
	bits     int  // of its program; 0 if not known yet
	carefree bool // no signal has a handler that could interrupt a wait
}

// A restless thread was moving whenever it was inspected. It may have left a wait only to
// handle a signal, and be about to continue it.
type restless struct {
	task
	costs       *costs
	first, last moment
}

var (
	errRestless = errors.New("never seen at rest")
	errTraced   = errors.New("stopped by its tracer in a call on an object")
)

// waits inspects the threads of a process.
func (s *scanner) waits(u *uses, pid, via int, c *costs) error {
	tids, err := s.fs.Threads(pid, func() error { return c.spend(procfs.SpendEvery * descriptorCost) })
	if err != nil {
		return err
	}
	all := &crew{pid: pid, via: via}
	for i, tid := range tids {
		t := task{tid, all}
		if err := c.spend(threadCost); err != nil {
			u.unknown, u.why = u.unknown+len(tids)-i, err
			break
		}
		w, settled, err := s.look(t)
		switch {
		case err != nil:
			u.unknown, u.why = u.unknown+1, err
		case w != nil:
			u.waiting = append(u.waiting, *w)
		case !s.self(pid) && !settled:
			now := s.moment(t)
			u.restless = append(u.restless, &restless{t, c, now, now})
		}
	}
	return nil
}

// look looks at a thread, and returns its wait on an object if it is in one. settled is
// false if the thread moves, since it may or may not wait.
func (s *scanner) look(t task) (w *found[Waiter], settled bool, err error) {
	call, err := s.fs.Call(t.pid, t.tid)
	switch {
	case err != nil:
		if s.ended(t) {
			return nil, true, nil
		}
		return nil, false, err
	case call.Running, call.Number < 0, call.Number == unix.SYS_RT_SIGRETURN:
		return nil, s.ended(t), nil
	case !mayWait(&call):
		return nil, !s.mayHandle(t, &call), nil
	}
	if t.bits == 0 {
		if t.bits, err = s.fs.Bits(t.via); err != nil {
			return nil, false, err
		}
	}
	wait, ok := abi.ClassifyWait(call.Number, &call.Args, t.bits)
	if !ok {
		return nil, true, nil
	}
	return s.waiter(t, &call, &wait)
}

// mayHandle reports whether a thread that sleeps elsewhere may do so in the handler of a
// signal that interrupted a wait on a queue. The kernel itself counts waits on sets.
func (s *scanner) mayHandle(t task, call *procfs.Call) bool {
	if len(s.queues) == 0 || t.carefree || s.self(t.pid) {
		return false
	}
	status, err := s.fs.ThreadStatus(t.pid, t.tid)
	if err == nil && !status.Interruptible() {
		t.carefree = true
		return false
	}
	if err == nil && !status.Handling() {
		// The call and the blocked signals may have been read at different moments, unless
		// the thread has not fallen asleep again since.
		again, err1 := s.fs.Call(t.pid, t.tid)
		later, err2 := s.fs.ThreadStatus(t.pid, t.tid)
		if err1 == nil && err2 == nil && again == *call && status.Sleeps >= 0 && later.Sleeps == status.Sleeps {
			return false
		}
	}
	return !s.ended(t)
}

// mayWait reports whether a call may be a wait on an object, in a 64-bit or a 32-bit
// program. Finding out which of them it is takes much longer.
func mayWait(call *procfs.Call) bool {
	_, wide := abi.ClassifyWait(call.Number, &call.Args, 64)
	_, narrow := abi.ClassifyWait(call.Number, &call.Args, 32)
	return wide || narrow
}

func (s *scanner) ended(t task) bool { return hasEnded(s.fs, t.pid, t.tid) }

// hasEnded reports whether a thread has ended, or is about to without going back to its
// program.
func hasEnded(f *procfs.FS, pid, tid int) bool {
	stat, err := f.ThreadStat(pid, tid)
	if err == nil {
		return stat.Exiting
	}
	return errors.Is(err, fs.ErrNotExist) && !f.Exists(tid)
}

// waiter returns the wait of a thread in a call on an object, or none if the object is not
// one that is looked for.
func (s *scanner) waiter(t task, call *procfs.Call, w *abi.Wait) (f *found[Waiter], settled bool, err error) {
	objects := s.queues
	if w.Call == abi.WaitSemop {
		objects = s.sets
	}
	o := objects[w.ID]
	if o == nil {
		return nil, true, nil
	}
	stat, err := s.fs.ThreadStat(t.pid, t.tid)
	switch {
	case err != nil:
		return nil, false, err
	case stat.State == 't':
		// Its tracer may have stopped it at the entry of a call that the kernel would refuse,
		// or in the middle of a wait.
		return nil, false, errTraced
	case stat.State == 'R':
		return nil, false, nil
	}
	wait := Waiter{TID: t.tid, Blocked: -1}
	if wait.Credentials, err = s.credentials(t); err != nil {
		return nil, false, err
	}
	if w.Call == abi.WaitSemop {
		wait.Timed = w.Timeout != 0
		wait.Ops = s.readOps(t.tid, w)
		wait.Blocked = blockedOp(wait.Ops, o)
	} else {
		wait.Sending, wait.Size = w.Call == abi.WaitMsgsnd, w.Count
		wait.Type, wait.TypeKnown = s.messageType(t.tid, w)
		wait.Except = !wait.Sending && w.Flags&abi.MsgExcept != 0
	}
	wait.Since = s.asleepSince(t)
	// The memory that was read belongs to the call only if the thread is still in it.
	again, err := s.fs.Call(t.pid, t.tid)
	if err != nil || again != *call {
		return nil, err == nil && s.ended(t), err
	}
	return &found[Waiter]{o, wait}, true, nil
}

// credentials returns the credentials of a thread. Capabilities do not count in a user
// namespace that has no say in this IPC namespace: anybody can make one.
func (s *scanner) credentials(t task) (*procfs.Credentials, error) {
	status, err := s.fs.ThreadStatus(t.pid, t.tid)
	if err != nil {
		return nil, err
	}
	if status.Caps != 0 && s.allOwners {
		inode, err := s.fs.UserNamespace(t.pid, t.tid)
		if err == nil && !slices.Contains(s.owners, inode) {
			status.Caps = 0
		}
	}
	return &status.Credentials, nil
}

// settle inspects the moving threads again, all of them together, and hides
// the ones that never rest.
func (s *scanner) settle() {
	const first, last = 200 * time.Microsecond, 3200 * time.Microsecond
	moving := s.restless
	for pause := first; len(moving) > 0 && pause <= last; pause *= 2 {
		time.Sleep(pause)
		moving = slices.DeleteFunc(moving, s.settled)
	}
	for _, r := range moving {
		if !r.last.sleptSince(r.first) {
			s.unsettled(r.pid, 1, errRestless)
		}
	}
	s.restless = nil
}

// settled looks at a thread once more, and reports whether it need not be looked at
// again.
func (s *scanner) settled(r *restless) bool {
	err := r.costs.spend(threadCost)
	var w *found[Waiter]
	settled := false
	if err == nil {
		w, settled, err = s.look(r.task)
	}
	if err == nil && w != nil {
		if w.use.Process = s.process(r.pid); w.use.Process == nil {
			err = errUnnamed
		}
	}
	switch {
	case err != nil:
		s.unsettled(r.pid, 1, err)
		return true
	case w != nil:
		s.waiting = append(s.waiting, *w)
		return true
	case settled:
		return true
	}
	before := r.last
	r.last = s.moment(r.task)
	return r.last.computesSince(before)
}

// A moment is the state of a moving thread at one time.
type moment struct {
	call   procfs.Call
	status *procfs.Status // nil if any of this is not known
	ran    time.Duration  // for how long it had run on a processor
}

func (s *scanner) moment(t task) (m moment) {
	call, err1 := s.fs.Call(t.pid, t.tid)
	ran, err2 := s.fs.RunTime(t.pid, t.tid)
	status, err3 := s.fs.ThreadStatus(t.pid, t.tid)
	if err1 == nil && err2 == nil && err3 == nil {
		m = moment{call, &status, ran}
	}
	return m
}

// computesSince reports whether the thread was on the processor ever since an earlier
// moment, and cannot have been called away from a wait.
func (m *moment) computesSince(before moment) bool {
	return m.sleepsAs(before) && m.call.Running && !m.status.Interruptible() && m.ran > before.ran
}

// sleptSince reports whether the thread has slept in the same place ever since an earlier
// moment. A handler does not sleep for as long as all looks take.
func (m *moment) sleptSince(before moment) bool {
	return m.sleepsAs(before) && m.call == before.call && !m.call.Running && m.call.Number >= 0 && !mayWait(&m.call)
}

// sleepsAs reports whether the thread has not fallen asleep anew since an earlier moment.
func (m *moment) sleepsAs(before moment) bool {
	return m.status != nil && before.status != nil && m.status.Sleeps >= 0 && m.status.Sleeps == before.status.Sleeps
}

// unsettled hides n threads of a process.
func (s *scanner) unsettled(pid, n int, why error) {
	i := slices.IndexFunc(s.hidden, func(h HiddenProcess) bool { return h.PID == pid })
	switch {
	case i < 0:
		s.hide(pid, n, why)
	case s.hidden[i].Threads > 0:
		s.hidden[i].Threads += n
	}
}

// readOps returns the operations of a semop, or nil if they cannot be read.
func (s *scanner) readOps(tid int, w *abi.Wait) []sysv.Op {
	const most = 1 << 15 // the kernel refuses more than SEMOPM, which is 500 unless it was raised
	if w.Count < 1 || w.Count > most {
		return nil
	}
	mem := make([]byte, w.Count*abi.SembufSize)
	if s.fs.ReadMemory(tid, w.Data, mem) != nil {
		return nil
	}
	ops := make([]sysv.Op, 0, w.Count)
	for _, b := range abi.DecodeSembufs(nil, mem) {
		ops = append(ops, sysv.Op{
			Num: b.Num, Add: b.Op, Undo: b.Flg&abi.SemUndo != 0, NoWait: b.Flg&abi.IPCNoWait != 0,
		})
	}
	return ops
}

// blockedOp returns the index of the operation that blocks, or -1 if unknown. It is the
// first that cannot be performed with the current values.
func blockedOp(ops []sysv.Op, o *Object) int {
	for _, op := range ops {
		if int(op.Num) >= o.Set.NSems { // not what the kernel was given
			return -1
		}
	}
	if len(ops) == 1 {
		return 0
	}
	if o.Use.Semaphores == nil {
		return -1
	}
	values := make(map[uint16]int)
	for i, op := range ops {
		if _, ok := values[op.Num]; !ok {
			values[op.Num] = o.Use.Semaphores[op.Num].Value
		}
		if op.Add == 0 && values[op.Num] != 0 || values[op.Num]+int(op.Add) < 0 {
			return i
		}
		values[op.Num] += int(op.Add)
	}
	return -1
}

// messageType returns the type of the message to send, or the receiver's selector.
func (s *scanner) messageType(tid int, w *abi.Wait) (int64, bool) {
	at := w.TypeAt
	switch {
	case w.Call == abi.WaitMsgsnd:
		at = w.Data
	case at == 0:
		return w.Type, true
	}
	mem := make([]byte, w.Long)
	if s.fs.ReadMemory(tid, at, mem) != nil {
		return 0, false
	}
	return abi.DecodeLong(mem), true
}

// asleepSince returns approximately when a thread fell asleep, or zero if unknown.
func (s *scanner) asleepSince(t task) time.Time {
	then, err1 := s.fs.ExecStart(t.pid, t.tid)
	now, err2 := s.fs.OwnExecStart()
	if err1 != nil || err2 != nil {
		return time.Time{}
	}
	return time.Now().Add(-max(0, now-then))
}
