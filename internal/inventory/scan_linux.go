package inventory

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/procfs"
	"github.com/sysvipc/gipc/sysv"
)

// A scanner looks at all processes once, for all objects.
type scanner struct {
	*collector
	segments map[int]*Object
	sets     map[int]*Object
	queues   map[int]*Object
	hits     []hit // of the process at hand
}

// A hit is a mapping of a segment.
type hit struct {
	id             int
	writable, huge bool
}

// scan fills Use.Attached and Use.Waiting.
func (c *collector) scan() error {
	s := &scanner{collector: c, segments: make(map[int]*Object), sets: make(map[int]*Object), queues: make(map[int]*Object)}
	for i := range c.inv.Objects {
		o := &c.inv.Objects[i]
		switch o.Kind {
		case sysv.Shm:
			s.segments[o.ID()] = o
		case sysv.Sem:
			s.sets[o.ID()] = o
		case sysv.Msg:
			s.queues[o.ID()] = o
		}
	}
	maps := c.want&WantAttached != 0 && len(s.segments) > 0
	threads := c.want&WantWaiting != 0 && len(s.sets)+len(s.queues) > 0
	if maps || threads {
		pids, err := c.fs.PIDs()
		if err != nil {
			return err
		}
		for _, pid := range pids {
			s.inspect(pid, maps, threads)
		}
	}
	c.scanned = c.want&WantWaiting != 0
	s.countHidden()
	return nil
}

// inspect looks at one process.
func (s *scanner) inspect(pid int, maps, threads bool) {
	via, namespace, err := reach(s.fs, pid)
	switch {
	case errors.Is(err, fs.ErrPermission):
		s.inv.Hidden.Processes++
		return
	case err != nil || namespace != s.inv.Namespace:
		return
	}
	if maps {
		s.attachments(pid, via)
	}
	if threads {
		s.waits(pid, via)
	}
}

// reach returns the IPC namespace of a process, and the id under which its files
// are reached. A kernel thread is fs.ErrNotExist, like a process that has ended.
func reach(f *procfs.FS, pid int) (via int, namespace uint64, err error) {
	if namespace, err = f.IPCNamespace(pid); err == nil {
		if has, err := f.HasMemory(pid); err == nil && !has {
			return 0, 0, fs.ErrNotExist
		}
		return pid, namespace, nil
	}
	// Of a process that is ending the kernel says that it is forbidden.
	stat, e := f.Stat(pid)
	if e != nil {
		return 0, 0, e
	}
	if via, e = f.Reach(stat); e != nil {
		return 0, 0, e
	}
	if via != pid {
		namespace, err = f.IPCNamespace(via)
	}
	return via, namespace, err
}

// attachments finds the segments that a process has mapped.
func (s *scanner) attachments(pid, via int) {
	s.hits = s.hits[:0]
	err := s.fs.Mappings(via, func(m procfs.Mapping) {
		if s.belongs(&m) {
			s.hits = append(s.hits, hit{m.ID, m.Writable, m.HugePages})
		}
	})
	if errors.Is(err, fs.ErrPermission) {
		s.inv.Hidden.Processes++
	}
	if len(s.hits) == 0 {
		return
	}
	p := s.process(pid)
	if p == nil {
		return
	}
	slices.SortFunc(s.hits, func(a, b hit) int { return a.id - b.id })
	for i := 0; i < len(s.hits); {
		a := Attacher{Process: p, ReadOnly: true}
		id := s.hits[i].id
		for ; i < len(s.hits) && s.hits[i].id == id; i++ {
			a.Mappings++
			a.ReadOnly = a.ReadOnly && !s.hits[i].writable
			a.HugePages = a.HugePages || s.hits[i].huge
		}
		use := s.segments[id].Use
		use.Attached = append(use.Attached, a)
	}
}

// belongs tells whether a mapping is one of a segment that was listed. A process
// keeps what it has mapped when it moves to another namespace, where the same
// identifier may be that of another segment, so key and size must fit, too.
func (s *scanner) belongs(m *procfs.Mapping) bool {
	o := s.segments[m.ID]
	return o != nil && (o.Segment.Key == sysv.Private || o.Segment.Key == sysv.Key(m.Key)) &&
		m.Offset < uint64(o.Segment.Size)
}

// waits looks at the threads of a process.
func (s *scanner) waits(pid, via int) {
	tids, err := s.fs.Threads(pid)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			s.inv.Hidden.Processes++
		}
		return
	}
	bits := 0
	for _, tid := range tids {
		call, err := s.fs.Call(pid, tid)
		switch {
		case errors.Is(err, fs.ErrPermission):
			s.inv.Hidden.Threads++
			continue
		case err != nil || call.Running || !mayWait(&call):
			continue
		}
		if bits == 0 {
			if bits, err = s.fs.Bits(via); err != nil {
				s.inv.Hidden.Threads++
				return
			}
		}
		if w, ok := abi.ClassifyWait(call.Number, &call.Args, bits); ok {
			s.waiter(pid, tid, &call, &w)
		}
	}
}

// mayWait tells whether a call is one of those in question, in either class of
// programs. Finding out the class takes much longer.
func mayWait(call *procfs.Call) bool {
	_, wide := abi.ClassifyWait(call.Number, &call.Args, 64)
	_, narrow := abi.ClassifyWait(call.Number, &call.Args, 32)
	return wide || narrow
}

func (s *scanner) waiter(pid, tid int, call *procfs.Call, w *abi.Wait) {
	objects := s.queues
	if w.Call == abi.WaitSemop {
		objects = s.sets
	}
	o := objects[w.ID]
	if o == nil {
		return
	}
	found := Waiter{TID: tid, Blocked: -1}
	if w.Call == abi.WaitSemop {
		found.Timed = w.Timeout != 0
		found.Ops = s.readOps(tid, w)
		found.Blocked = blockedOp(found.Ops, o)
	} else {
		found.Sending, found.Size = w.Call == abi.WaitMsgsnd, w.Count
		found.Type, found.TypeKnown = s.messageType(tid, w)
		found.Except = !found.Sending && w.Flags&abi.MsgExcept != 0
	}
	found.Since = s.asleepSince(pid, tid)
	// What was read of its memory belongs to the call only if it is still in it.
	if again, err := s.fs.Call(pid, tid); err != nil || again != *call {
		return
	}
	if found.Process = s.process(pid); found.Process != nil {
		o.Use.Waiting = append(o.Use.Waiting, found)
	}
}

// readOps returns the operations of a semop, nil if they can't be read.
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

// blockedOp returns the index of the operation that has to wait, -1 if that can't
// be told: the first that can't go on with the values as they are.
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

// asleepSince returns about when a thread fell asleep, zero if that is not known.
func (s *scanner) asleepSince(pid, tid int) time.Time {
	then, err1 := s.fs.ExecStart(pid, tid)
	now, err2 := s.fs.OwnExecStart()
	if err1 != nil || err2 != nil {
		return time.Time{}
	}
	return time.Now().Add(-max(0, now-then))
}

// countHidden counts the attachments and waiters that were not found. An object
// may have lost some while processes were looked at, so it is asked once more.
func (s *scanner) countHidden() {
	for i := range s.inv.Objects {
		o := &s.inv.Objects[i]
		switch {
		case o.Kind == sysv.Shm && s.want&WantAttached != 0:
			seen := 0
			for _, a := range o.Use.Attached {
				seen += a.Mappings
			}
			hidden := int(o.Segment.NAttch) - seen
			if hidden > 0 {
				if info, err := sysv.Segment(o.ID()).Stat(); err == nil {
					hidden = min(hidden, int(info.NAttch)-seen)
				}
			}
			o.Use.HiddenAttachments = max(0, hidden)
		case o.Kind == sysv.Sem && s.want&WantWaiting != 0:
			hidden := waiters(o.Use.Semaphores) - len(o.Use.Waiting)
			if hidden > 0 {
				hidden = min(hidden, waiters(semaphores(o.Set))-len(o.Use.Waiting))
			}
			o.Use.HiddenWaiters = max(0, hidden)
		}
	}
}

func waiters(semaphores []Semaphore) (n int) {
	for _, s := range semaphores {
		n += s.NCount + s.ZCount
	}
	return n
}
