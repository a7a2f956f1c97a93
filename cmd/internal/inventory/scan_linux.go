package inventory

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// An index finds System V objects by their identifiers, and POSIX objects by their files.
type index struct {
	segments, sets, queues map[int]*Object
	files                  map[file][]*Object // several if they are links to one file
}

// A file is the identity of a file in /proc.
type file struct {
	device procfs.Device
	inode  uint64
}

func newIndex(objects []Object) index {
	x := index{make(map[int]*Object), make(map[int]*Object), make(map[int]*Object), make(map[file][]*Object)}
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
			id := file{procfs.DeviceOf(f.Dev), f.Ino}
			x.files[id] = append(x.files[id], o)
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
	shared := newShared(c.fs, x, want)
	// A process may start and attach after the processes were listed. If users are missing,
	// or that is unknown, the scan is complete only when a new list has no new process: a
	// program may wait in one worker after another.
	const rounds = 8
	seen := make(map[int]bool)
	for round := range rounds {
		pids, err := c.fs.PIDs()
		if err != nil {
			return err
		}
		if round == 0 && c.fs.Real() && !slices.Contains(pids, 1) {
			c.inv.Hidden.Unlisted = true // hidepid
		}
		pids = slices.DeleteFunc(pids, func(pid int) bool { return seen[pid] })
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			seen[pid] = true
		}
		c.inspectAll(inOrder(pids, x, want), shared)
		if !c.countHidden(shared) && want&WantOpen == 0 && !c.unwaited() {
			return nil
		}
	}
	c.inv.Hidden.Fleeting = true
	return nil
}

// unwaited reports whether the caller wants to know who waits, and a queue was found on
// which nobody does.
func (c *collector) unwaited() bool {
	return c.want&WantWaiting != 0 && slices.ContainsFunc(c.inv.Objects, func(o Object) bool {
		return o.Kind == ref.Msg && len(o.Use.Waiting) == 0
	})
}

// inOrder moves the creators and last users of segments to the front if only attachments
// are wanted: once all are found, no other process is looked at.
func inOrder(pids []int, x index, want Want) []int {
	if want&(WantAttached|WantOpen) != WantAttached {
		return pids
	}
	likely := make(map[int]bool)
	for _, o := range x.segments {
		likely[o.Segment.CPID], likely[o.Segment.LPID] = true, true
	}
	weight := func(pid int) int {
		if likely[pid] {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(pids, func(a, b int) int { return weight(a) - weight(b) })
	return pids
}

// inspectAll lets several scanners inspect the processes, because nearly all of the time
// is spent in the kernel. Scanners do not query objects: only the calling thread may (see
// Namespace.Do).
func (c *collector) inspectAll(pids []int, shared *shared) {
	const processesEach = 50 // with fewer, another scanner does not pay
	scanners := make([]*scanner, min(runtime.GOMAXPROCS(0), len(pids)/processesEach+1))
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range scanners {
		s := &scanner{shared: shared, fs: c.fs.Clone(), namespace: c.inv.Namespace, known: make(map[int]*known)}
		scanners[i] = s
		wg.Go(func() {
			for n := next.Add(1); n <= int64(len(pids)) && shared.wanted(); n = next.Add(1) {
				s.inspect(pids[n-1])
			}
		})
	}
	wg.Wait()
	first := scanners[0]
	for _, s := range scanners[1:] {
		first.restless = append(first.restless, s.restless...)
	}
	first.settle()
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

// merge adds what a scanner has found.
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

// A shared holds what all scanners of one scan have in common.
type shared struct {
	index
	want   Want
	budget *budget
	owed   *owed
	// These are the address spaces and tables of descriptors that cost much, or in which
	// something was found, and that other processes may share.
	memories, tables *sharing
	owners           []uint64 // user namespaces in which capabilities count
	allOwners        bool     // owners are all of them
}

func newShared(f *procfs.FS, x index, want Want) *shared {
	s := &shared{
		index: x, want: want, budget: newBudget(), owed: newOwed(x.segments),
		memories: &sharing{what: procfs.Memory}, tables: &sharing{what: procfs.Descriptors},
	}
	if want&WantWaiting != 0 {
		s.owners, s.allOwners = f.Owners()
	}
	return s
}

// wanted reports whether anything is left to be found. The kernel counts attachments: once
// all are found, and nothing else is asked for, other processes do not matter.
func (s *shared) wanted() bool { return s.want&(WantOpen|WantWaiting) != 0 || s.owed.any() }

// A scanner inspects processes. Each process is inspected by one scanner.
type scanner struct {
	*shared
	fs        *procfs.FS
	namespace uint64

	hidden   []HiddenProcess
	known    map[int]*known
	attached []found[Attacher]
	waiting  []found[Waiter]
	mapped   []found[Mapper]
	open     []found[Opener]
	restless []*restless
}

// found is a use of an object.
type found[T any] struct {
	object *Object
	use    T
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

// hide notes that a process could not be looked at or, unless threads is 0, that so many of
// its threads could not.
func (s *scanner) hide(pid, threads int, why error) {
	s.hidden = append(s.hidden, newHidden(s.fs, pid, threads, why))
}

// newHidden describes a hidden process. Its name and credentials can be read by every
// user.
func newHidden(f *procfs.FS, pid, threads int, why error) HiddenProcess {
	h := HiddenProcess{Process: &Process{PID: pid}, Threads: threads, Why: why}
	if comm, err := f.Comm(pid); err == nil {
		h.Comm = comm
	}
	if status, err := f.Status(pid); err == nil {
		h.Credentials, h.UID = &status.Credentials, status.EUID()
	}
	return h
}

// inspect looks at one process. A failure hides it, unless it has ended. The thread through
// which it was reached may end while others go on, so a failed attempt is repeated.
func (s *scanner) inspect(pid int) {
	const tries = 3
	for try := 1; ; try++ {
		err := s.uses(pid)
		if err == nil {
			return
		}
		if errors.Is(err, fs.ErrNotExist) {
			if absent(s.fs, pid) {
				return
			}
			if try < tries {
				continue
			}
		}
		s.hide(pid, 0, err)
		return
	}
}

// uses finds what a process uses. Files can be open in any IPC namespace.
func (s *scanner) uses(pid int) error {
	via, namespace, err := reach(s.fs, pid)
	if err != nil {
		return err
	}
	c := s.costs(pid)
	u := new(uses)
	own := namespace == s.namespace
	if !own && s.want&WantWaiting != 0 && len(s.queues) > 0 { // the kernel counts the users of other objects
		if own, err = s.hasThreadHere(pid, c); err != nil {
			return err
		}
	}
	if !own && s.want&WantOpen == 0 {
		return nil
	}
	if s.want&WantOpen != 0 || s.want&WantAttached != 0 && s.owed.any() {
		err = s.mappings(u, via, own, c)
	} else if has, e := s.fs.HasMemory(via); e != nil || !has {
		err = cmp.Or(e, error(fs.ErrNotExist))
	}
	if err == nil && s.want&WantOpen != 0 {
		err = s.descriptors(u, via, c)
	}
	if err == nil && own && s.want&WantWaiting != 0 {
		err = s.waits(u, pid, via, c)
	}
	if err != nil {
		return err
	}
	return s.record(pid, u)
}

// hasThreadHere reports whether a thread of a process is in the namespace, though the
// process is in another one: setns(2) and unshare(2) move one thread.
func (s *scanner) hasThreadHere(pid int, c *costs) (bool, error) {
	tids, err := s.fs.Threads(pid, func() error { return c.spend(procfs.SpendEvery * descriptorCost) })
	if err != nil || len(tids) < 2 {
		return false, err
	}
	for _, tid := range tids {
		if err := c.spend(descriptorCost); err != nil {
			return false, err
		}
		inode, err := s.fs.ThreadIPCNamespace(pid, tid)
		switch {
		case err == nil && inode == s.namespace:
			return true, nil
		case err != nil && !hasEnded(s.fs, pid, tid):
			return false, err
		}
	}
	return false, nil
}

// absent reports whether a process is known to have ended, or to be a kernel thread. A
// missing file of the process proves neither.
func absent(f *procfs.FS, pid int) bool {
	stat, err := f.Stat(pid)
	if err == nil {
		_, err = f.Reach(stat)
		return errors.Is(err, fs.ErrNotExist)
	}
	return errors.Is(err, fs.ErrNotExist) && !f.Exists(pid)
}

// reach returns the IPC namespace of a process, and the id under which its files are
// reached. The error is fs.ErrNotExist if the process has ended.
func reach(f *procfs.FS, pid int) (via int, namespace uint64, err error) {
	if namespace, err = f.IPCNamespace(pid); err == nil {
		return pid, namespace, nil
	}
	// Reading a process that is about to end fails with a permission error.
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

// self reports whether a process is this one, whose own threads are busy looking.
func (s *scanner) self(pid int) bool { return s.fs.Real() && pid == os.Getpid() }

// countHidden counts the attachments and waiters that were not found, and reports whether
// there are any. An object may have lost some while processes were looked at, so it is read
// once more.
func (c *collector) countHidden(shared *shared) (any bool) {
	for i := range c.inv.Objects {
		o := &c.inv.Objects[i]
		switch {
		case o.Kind == ref.Shm && c.want&WantAttached != 0:
			hidden := shared.owed.of(o)
			if hidden > 0 {
				if info, err := sysv.Segment(o.ID()).Stat(); err == nil {
					hidden -= max(0, int(o.Segment.NAttch)-int(info.NAttch))
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
