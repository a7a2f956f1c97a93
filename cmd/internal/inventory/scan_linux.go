package inventory

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/sysv"
)

// An index finds objects by their identifiers, those of POSIX by their files.
type index struct {
	segments, sets, queues map[int]*Object
	files                  map[file]*Object
}

// A file is what /proc tells of one.
type file struct {
	device procfs.Device
	inode  uint64
}

func newIndex(objects []Object) index {
	x := index{make(map[int]*Object), make(map[int]*Object), make(map[int]*Object), make(map[file]*Object)}
	for i := range objects {
		o := &objects[i]
		switch o.Kind {
		case ref.Shm:
			x.segments[o.ID()] = o
		case ref.Sem:
			x.sets[o.ID()] = o
		case ref.Msg:
			x.queues[o.ID()] = o
		default:
			f := o.File()
			x.files[file{procfs.DeviceOf(f.Dev), f.Ino}] = o
		}
	}
	return x
}

// scan looks at all processes once, for all objects, and fills Use.Attached,
// Use.Waiting, Use.Mapped and Use.Open.
func (c *collector) scan() error {
	x := newIndex(c.inv.Objects)
	var want Want
	if len(x.segments) > 0 {
		want |= c.want & WantAttached
	}
	if len(x.sets)+len(x.queues) > 0 {
		want |= c.want & WantWaiting
	}
	if len(x.files) > 0 {
		want |= c.want & WantOpen
	}
	c.scanned = c.want&WantWaiting != 0
	if want == 0 {
		return nil
	}
	want |= c.want & WantContainers
	// A process may be started, and attach, after the list of all was made; if
	// somebody is missing, or nobody can tell, those that have come since are looked
	// at, too.
	const rounds = 3
	seen := make(map[int]bool)
	for round := range rounds {
		pids, err := c.fs.PIDs()
		if err != nil {
			return err
		}
		if round == 0 && c.fs.Real() && !slices.Contains(pids, 1) {
			c.inv.Hidden.Unlisted = true
		}
		pids = slices.DeleteFunc(pids, func(pid int) bool { return seen[pid] })
		for _, pid := range pids {
			seen[pid] = true
		}
		c.inspectAll(pids, x, want)
		if !c.countHidden() && want&WantOpen == 0 {
			break
		}
	}
	return nil
}

// inspectAll has several scanners look at the processes: nearly all of the time is
// spent in the kernel. No scanner asks for objects, which only the calling thread
// may (see Namespace.Do).
func (c *collector) inspectAll(pids []int, x index, want Want) {
	const processesEach = 50 // below that another one does not pay
	scanners := make([]*scanner, min(runtime.GOMAXPROCS(0), len(pids)/processesEach+1))
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range scanners {
		s := &scanner{index: x, want: want, fs: c.fs.Clone(), namespace: c.inv.Namespace, known: make(map[int]*known)}
		scanners[i] = s
		wg.Go(func() {
			for n := next.Add(1); n <= int64(len(pids)); n = next.Add(1) {
				s.inspect(pids[n-1])
			}
		})
	}
	wg.Wait()
	for _, s := range scanners {
		c.merge(s)
	}
	for i := range c.inv.Objects {
		u := c.inv.Objects[i].Use
		slices.SortFunc(u.Attached, func(a, b Attacher) int { return a.PID - b.PID })
		slices.SortFunc(u.Waiting, func(a, b Waiter) int { return cmp.Or(a.PID-b.PID, a.TID-b.TID) })
		slices.SortFunc(u.Mapped, func(a, b Mapper) int { return a.PID - b.PID })
		slices.SortFunc(u.Open, func(a, b Opener) int { return a.PID - b.PID })
	}
	slices.SortFunc(c.inv.Hidden.Processes, func(a, b HiddenProcess) int { return a.PID - b.PID })
}

// merge takes over what a scanner has found.
func (c *collector) merge(s *scanner) {
	c.inv.Hidden.Processes = append(c.inv.Hidden.Processes, s.hidden...)
	maps.Copy(c.known, s.known)
	for _, f := range s.attached {
		f.object.Use.Attached = append(f.object.Use.Attached, f.use)
	}
	for _, f := range s.waiting {
		f.object.Use.Waiting = append(f.object.Use.Waiting, f.use)
	}
	for _, f := range s.mapped {
		f.object.Use.Mapped = append(f.object.Use.Mapped, f.use)
	}
	for _, f := range s.open {
		f.object.Use.Open = append(f.object.Use.Open, f.use)
	}
}

// A scanner looks at processes, each of which only one scanner looks at.
type scanner struct {
	index
	want      Want
	fs        *procfs.FS
	namespace uint64
	hits      []hit // of the process at hand

	hidden   []HiddenProcess
	known    map[int]*known
	attached []found[Attacher]
	waiting  []found[Waiter]
	mapped   []found[Mapper]
	open     []found[Opener]
}

// found is a use of an object.
type found[T any] struct {
	object *Object
	use    T
}

// A hit is a mapping of an object.
type hit struct {
	object                  *Object
	number                  uint64 // identifier or inode number
	writable, private, huge bool
}

// process returns a process that was seen a moment ago, nil if it is gone.
func (s *scanner) process(pid int) *Process {
	k := s.known[pid]
	if k == nil {
		k = inquire(s.fs, pid, s.want)
		s.known[pid] = k
	}
	return k.process
}

// hide notes that a process could not be looked at, or only so many of its threads if
// that is not 0. Name and credentials of a process are no secret.
func (s *scanner) hide(pid, threads int, why error) {
	h := HiddenProcess{Process: &Process{PID: pid}, Threads: threads, Why: why}
	if comm, err := s.fs.Comm(pid); err == nil {
		h.Comm = comm
	}
	if status, err := s.fs.Status(pid); err == nil {
		h.Credentials, h.UID = &status.Credentials, status.EUID()
	}
	s.hidden = append(s.hidden, h)
}

// inspect looks at one process. A file may be open in any IPC namespace.
func (s *scanner) inspect(pid int) {
	via, namespace, err := reach(s.fs, pid)
	own := namespace == s.namespace
	switch {
	case errors.Is(err, fs.ErrPermission):
		s.hide(pid, 0, err)
		return
	case err != nil || !own && s.want&WantOpen == 0:
		return
	}
	if s.want&(WantAttached|WantOpen) != 0 {
		err = s.attachments(pid, via, own)
	} else {
		err = withMemory(s.fs, via)
	}
	if err == nil && s.want&WantOpen != 0 {
		err = s.descriptors(pid, via)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist): // a kernel thread, or it has just ended
	case err != nil:
		s.hide(pid, 0, err)
	case own && s.want&WantWaiting != 0:
		s.waits(pid, via)
	}
}

// withMemory returns fs.ErrNotExist for a kernel thread.
func withMemory(f *procfs.FS, pid int) error {
	has, err := f.HasMemory(pid)
	if err == nil && !has {
		err = fs.ErrNotExist
	}
	return err
}

// reach returns the IPC namespace of a process, and the id under which its files
// are reached. A process that has ended is fs.ErrNotExist.
func reach(f *procfs.FS, pid int) (via int, namespace uint64, err error) {
	if namespace, err = f.IPCNamespace(pid); err == nil {
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

// attachments finds what a process has mapped: segments, if the process is in their
// namespace, and POSIX objects.
func (s *scanner) attachments(pid, via int, own bool) error {
	s.hits = s.hits[:0]
	segment := func(m procfs.Mapping) {
		if own && s.belongs(&m) {
			s.hits = append(s.hits, hit{s.segments[m.ID], uint64(m.ID), m.Writable, false, m.HugePages})
		}
	}
	var ofFile func(procfs.FileMapping)
	if s.want&WantOpen != 0 {
		ofFile = func(m procfs.FileMapping) {
			if o := s.files[file{m.Device, m.Inode}]; o != nil {
				s.hits = append(s.hits, hit{o, m.Inode, m.Writable, !m.Shared, false})
			}
		}
	}
	err := s.fs.AllMappings(via, segment, ofFile)
	if len(s.hits) == 0 {
		return err
	}
	p := s.process(pid)
	if p == nil {
		return fs.ErrNotExist
	}
	slices.SortFunc(s.hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(a.object.Kind, b.object.Kind), cmp.Compare(a.number, b.number))
	})
	for rest := s.hits; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(h hit) bool { return h.object != rest[0].object })
		if n < 0 {
			n = len(rest)
		}
		s.attachment(p, rest[:n])
		rest = rest[n:]
	}
	return err
}

// attachment adds the mappings of one object.
func (s *scanner) attachment(p *Process, hits []hit) {
	o, m, huge := hits[0].object, Mapper{Process: p, ReadOnly: true, Private: true, Mappings: len(hits)}, false
	for _, h := range hits {
		m.ReadOnly, m.Private = m.ReadOnly && !h.writable, m.Private && h.private
		huge = huge || h.huge
	}
	if o.Kind == ref.Shm {
		a := Attacher{Process: p, ReadOnly: m.ReadOnly, Mappings: m.Mappings, HugePages: huge}
		s.attached = append(s.attached, found[Attacher]{o, a})
		return
	}
	s.mapped = append(s.mapped, found[Mapper]{o, m})
}

// descriptors finds the POSIX objects that a process has open.
func (s *scanner) descriptors(pid, via int) error {
	openers := make(map[*Object]*Opener)
	err := s.fs.Descriptors(via, func(d procfs.Descriptor) {
		o := s.files[file{d.Device, d.Inode}]
		if o == nil {
			return
		}
		u := openers[o]
		if u == nil {
			u = &Opener{}
			openers[o] = u
		}
		u.Descriptors++
		if read, write, err := s.fs.Access(via, d.FD); err == nil {
			u.Read, u.Write = u.Read || read, u.Write || write
		}
	})
	if len(openers) == 0 {
		return err
	}
	p := s.process(pid)
	if p == nil {
		return fs.ErrNotExist
	}
	for o, u := range openers {
		u.Process = p
		s.open = append(s.open, found[Opener]{o, *u})
	}
	return err
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
			s.hide(pid, 0, err)
		}
		return
	}
	hidden, why := 0, error(nil)
	defer func() {
		if hidden > 0 {
			s.hide(pid, hidden, why)
		}
	}()
	bits := 0
	for _, tid := range tids {
		call, err := s.fs.Call(pid, tid)
		switch {
		case errors.Is(err, fs.ErrPermission):
			hidden, why = hidden+1, err
			continue
		case err != nil || call.Running || !mayWait(&call):
			continue
		}
		if bits == 0 {
			if bits, err = s.fs.Bits(via); err != nil {
				hidden, why = hidden+1, err
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
	wait := Waiter{TID: tid, Blocked: -1}
	if w.Call == abi.WaitSemop {
		wait.Timed = w.Timeout != 0
		wait.Ops = s.readOps(tid, w)
		wait.Blocked = blockedOp(wait.Ops, o)
	} else {
		wait.Sending, wait.Size = w.Call == abi.WaitMsgsnd, w.Count
		wait.Type, wait.TypeKnown = s.messageType(tid, w)
		wait.Except = !wait.Sending && w.Flags&abi.MsgExcept != 0
	}
	wait.Since = s.asleepSince(pid, tid)
	// What was read of its memory belongs to the call only if it is still in it.
	if again, err := s.fs.Call(pid, tid); err != nil || again != *call {
		return
	}
	if wait.Process = s.process(pid); wait.Process != nil {
		s.waiting = append(s.waiting, found[Waiter]{o, wait})
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
// may have lost some while processes were looked at, so it is asked once more. It
// tells whether there are any.
func (c *collector) countHidden() (any bool) {
	for i := range c.inv.Objects {
		o := &c.inv.Objects[i]
		switch {
		case o.Kind == ref.Shm && c.want&WantAttached != 0:
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
			any = any || hidden > 0
		case o.Kind == ref.Sem && c.want&WantWaiting != 0:
			hidden := waiters(o.Use.Semaphores) - len(o.Use.Waiting)
			if hidden > 0 {
				hidden = min(hidden, waiters(semaphores(o.Set))-len(o.Use.Waiting))
			}
			o.Use.HiddenWaiters = max(0, hidden)
			any = any || hidden > 0
		}
	}
	return any
}

func waiters(semaphores []Semaphore) (n int) {
	for _, s := range semaphores {
		n += s.NCount + s.ZCount
	}
	return n
}
