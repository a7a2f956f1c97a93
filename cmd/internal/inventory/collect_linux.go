package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/imports"
	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// Collect lists the objects of the IPC namespace of the calling thread, and finds out what
// o asks for. If it returns an error, the inventory holds what it found: no objects of a
// kind that could not be listed, zero values for what could not be read from /proc, and
// only the verdict unknown.
func Collect(o Options) (*Inventory, error) {
	// The calling thread's namespace is the one that counts; see Namespace.Do.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	c := &collector{o: o, inv: &Inventory{Taken: time.Now(), HiddenIdle: o.HiddenIdle, WithMessages: o.WithMessages}, known: make(map[int]*known)}
	err := c.list()
	c.want = o.Want.needs(slices.ContainsFunc(c.inv.Objects, func(o Object) bool { return o.Kind == ref.Msg }))
	if o.Want == 0 {
		return c.inv, err
	}
	uses := make([]Use, len(c.inv.Objects))
	for i := range c.inv.Objects {
		c.inv.Objects[i].Use = &uses[i]
	}
	if c.want&wantProc != 0 {
		c.openProc()
		if c.fs != nil {
			defer c.fs.Close()
		}
	}
	c.explore()
	return c.inv, errors.Join(err, c.procErr)
}

// A collector holds what Collect knows so far.
type collector struct {
	o    Options
	want Want
	inv  *Inventory

	fs      *procfs.FS // nil if /proc is not needed or of no use
	procErr error      // why fs is of no use
	clock   clock
	seesAll bool // no process lacks an id here
	scanned bool // threads were looked at
	known   map[int]*known
	running map[running]*person // see servers
	// dirs are where PostgreSQL servers may keep their data, if dirsRead.
	dirs     []dataDir
	dirsRead bool

	people *census // see type census
	pauses int     // for processes between two programs
	files  map[fileID]imports.File
	// How many more bytes may be read of files, by owner and in all; see allow.
	allowances map[uint32]*int
	allowance  int
	local      map[procfs.Device]bool // devices of local file systems
	xServers   map[fileID]bool
}

// list fills Inventory.Objects. The kernel's structures of one kind are kept
// together, for there may be many.
func (c *collector) list() error {
	if c.o.only != nil {
		return c.listOne(*c.o.only)
	}
	var errs []error
	for _, kind := range ref.Kinds() {
		if !c.o.lists(kind) {
			continue
		}
		incomplete := (*sysvipc.Incomplete)(nil)
		switch err := c.listKind(kind); {
		case err == nil:
		case errors.As(err, &incomplete):
			c.inv.Unlisted = append(c.inv.Unlisted, Unlisted{kind, incomplete})
		case (len(c.o.Kinds) == 0 || c.o.Partial) && kind.POSIX():
			c.inv.Unlisted = append(c.inv.Unlisted, Unlisted{kind, fmt.Errorf("%ss are not listed: %w", kind.Noun(), err)})
		default:
			errs = append(errs, err)
		}
	}
	if c.o.Unlinked && c.o.lists(ref.PShm) && c.o.Missing[ref.PShm] == nil {
		errs = append(errs, c.listUnlinked())
	}
	return errors.Join(errs...)
}

func (c *collector) listKind(kind ref.Kind) error {
	if err := c.o.Missing[kind]; err != nil {
		return err
	}
	switch kind {
	case ref.Shm:
		return add(c.inv, sysvipc.Segments(), func(i *sysv.SegmentInfo) Object { return Object{Kind: kind, Segment: i} })
	case ref.Sem:
		return add(c.inv, sysvipc.Sets(), func(i *sysv.SetInfo) Object { return Object{Kind: kind, Set: i} })
	case ref.Msg:
		return add(c.inv, sysvipc.Queues(), func(i *sysv.QueueInfo) Object { return Object{Kind: kind, Queue: i} })
	case ref.PShm:
		return add(c.inv, posix.Objects(), func(i *posix.FileInfo) Object { return Object{Kind: kind, PShm: i} })
	case ref.PSem:
		return add(c.inv, posix.Semaphores(), func(i *posix.SemaphoreInfo) Object { return Object{Kind: kind, PSem: i} })
	default:
		return add(c.inv, Queues(), func(i *posix.QueueInfo) Object { return Object{Kind: kind, PMsg: i} })
	}
}

// add adds objects to an inventory.
func add[T any](inv *Inventory, all iter.Seq2[T, error], object func(*T) Object) error {
	parts, n, err := collect(all)
	inv.Objects = slices.Grow(inv.Objects, n)
	for _, part := range parts {
		for i := range part {
			inv.Objects = append(inv.Objects, object(&part[i]))
		}
	}
	return err
}

// collect returns the elements in parts, so that adding elements moves none.
func collect[T any](all iter.Seq2[T, error]) (parts [][]T, n int, err error) {
	const least, most = 16, 2048
	var part []T
	for info, e := range all {
		if e != nil {
			err = e
			break
		}
		if len(part) == cap(part) {
			parts = append(parts, part)
			part = make([]T, 0, min(max(least, n), most))
		}
		part = append(part, info)
		n++
	}
	return append(parts, part), n, err
}

// openProc prepares /proc, or stores in procErr why it cannot be used.
func (c *collector) openProc() {
	root := cmp.Or(c.o.Proc, procfs.Root)
	proc, err := procfs.Open(root)
	if err != nil {
		c.procErr = err
		return
	}
	c.fs = proc
	proc.Interpose(c.o.fault)
	if proc.Foreign() {
		c.procErr = fmt.Errorf("%s shows the processes of another pid namespace", root)
	} else {
		c.inv.Namespace, c.procErr = proc.OwnIPCNamespace()
	}
	if c.procErr == nil {
		c.clock.boot, c.procErr = proc.BootTime()
	}
	if c.procErr != nil {
		proc.Close()
		c.fs = nil
		return
	}
	c.seesAll = proc.SeesAllProcesses()
	c.inv.Outside = !c.seesAll
	if proc.Real() {
		c.clock.step, _ = ClockStep(c.clock.boot)
	}
}

// ClockStep returns by how much, at least, the wall clock has been set forward since boot;
// boot is the boot time computed from the present clock. The kernel makes the file system of
// /dev moments after it starts, and stamps it with the clock as it is then. known is false,
// and step 0, if the kernel does not report that stamp (before Linux 4.11) or if /dev was
// made later, as in a container.
func ClockStep(boot time.Time) (step time.Duration, known bool) {
	const startup = time.Minute
	var st unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, "/dev", unix.AT_STATX_SYNC_AS_STAT, unix.STATX_BTIME, &st) != nil || st.Mask&unix.STATX_BTIME == 0 {
		return 0, false
	}
	step = boot.Sub(time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)))
	return max(0, step), step > -startup
}

// explore finds out what is wanted. The steps are in order: later ones need what earlier
// ones found.
func (c *collector) explore() {
	if c.want&WantSemaphores != 0 {
		c.readSemaphores()
	}
	if c.fs != nil && c.want&WantMemory != 0 {
		c.readMemory()
	}
	if c.fs != nil && c.want&(WantAttached|WantWaiting|WantOpen) != 0 {
		if err := c.scan(); err != nil {
			c.procErr = err
		}
		c.confirmWaiters()
	}
	if c.want&WantActors != 0 {
		c.findActors()
	}
	if c.want&WantWaiting != 0 {
		c.findHolders()
		c.inv.Deadlocks = deadlocks(c.inv.Objects)
	}
	if c.want&WantVerdict != 0 {
		judge(c.inv.Objects, evidence{
			now: c.inv.Taken, proc: c.procErr, waiters: c.scanned, hidden: &c.inv.Hidden,
			idle: c.o.HiddenIdle, seesAll: c.seesAll, messages: c.o.WithMessages, witness: c,
		})
		c.confirm()
	}
	if c.want&WantOwner != 0 {
		c.answerOwners()
	}
	if c.want&WantProgram != 0 {
		c.identify()
	}
}

func (c *collector) readMemory() {
	byID := make(map[uint64]*Use)
	for i := range c.inv.Objects {
		if o := &c.inv.Objects[i]; o.Kind == ref.Shm && (c.o.Memory == nil || c.o.Memory(o)) {
			byID[uint64(o.ID())] = o.Use
		}
	}
	err := c.fs.SegmentMemory(func(m procfs.SegmentMemory) (more bool) {
		if u := byID[m.ID]; u != nil {
			u.Memory = &m
			delete(byID, m.ID)
		}
		return len(byID) > 0
	})
	if err != nil {
		c.procErr = err
	}
}

// A known holds what was found out about a process id.
type known struct {
	process *Process // nil if there is none that may be looked at
	hidden  bool     // there is one that may not be, or could not be, looked at

	looked bool // stat and ended are set
	stat   procfs.Stat
	ended  bool
}

func (c *collector) lookUp(pid int) *known {
	k := c.known[pid]
	if k == nil {
		k = inquire(c.fs, pid, c.want)
		c.known[pid] = k
	}
	return k
}

func inquire(f *procfs.FS, pid int, want Want) *known {
	comm, err := f.Comm(pid)
	var uid uint32
	if err == nil {
		uid, err = f.UID(pid)
	}
	if err != nil {
		return &known{hidden: !errors.Is(err, fs.ErrNotExist) || f.Exists(pid)}
	}
	p := &Process{PID: pid, Comm: comm, UID: uid}
	if want&WantContainers != 0 {
		p.Container, _ = f.Container(pid) // unknown is the zero Container
		if status, err := f.Status(pid); err == nil && len(status.NSPIDs) > 0 {
			p.InnerPID = status.NSPIDs[len(status.NSPIDs)-1]
		}
	}
	return &known{process: p}
}

// findActors fills Use.Actors of all objects.
func (c *collector) findActors() {
	self := os.Getpid()
	for i := range c.inv.Objects {
		o := &c.inv.Objects[i]
		switch o.Kind {
		case ref.Shm:
			s := o.Segment
			last := Actor{Role: User, PID: s.LPID, When: o.Used()}
			if s.LPID == self && s.NAttch == 0 {
				// The last user is this program. It has looked at the contents, or at the
				// memory of a process that was ending: the last to let go of that memory
				// detaches.
				last.PID = 0
			}
			o.Use.Actors = []Actor{
				c.actor(o, Actor{Role: Creator, PID: s.CPID, When: s.CTime}, false),
				c.actor(o, last, o.Used().IsZero() || last.PID != s.LPID),
			}
		case ref.Msg:
			q := o.Queue
			o.Use.Actors = []Actor{
				c.actor(o, Actor{Role: Sender, PID: q.LSPID, When: q.STime}, q.STime.IsZero()),
				c.actor(o, Actor{Role: Receiver, PID: q.LRPID, When: q.RTime}, q.RTime.IsZero()),
			}
		case ref.Sem:
			o.Use.Actors = c.operators(o)
		}
	}
}

// operators returns an Actor for each process that operated last on a semaphore of the set.
// The kernel has one time for the whole set: SETVAL and SETALL set sem_ctime, all other
// operations sem_otime.
func (c *collector) operators(o *Object) (actors []Actor) {
	sems := make(map[int][]int)
	var pids []int
	for num, s := range o.Use.Semaphores {
		if sems[s.PID] == nil {
			pids = append(pids, s.PID)
		}
		sems[s.PID] = append(sems[s.PID], num)
	}
	when := latest(o.Set.OTime, o.Set.CTime)
	for _, pid := range pids {
		a := Actor{Role: Operator, PID: pid, When: when, Sems: sems[pid]}
		// If every process has an id here, a semaphore without one was never used.
		actors = append(actors, c.actor(o, a, c.seesAll))
	}
	return actors
}

// actor finds out what became of a process. never is set if a pid of 0 means that nobody
// did it, rather than an invisible process.
func (c *collector) actor(o *Object, a Actor, never bool) Actor {
	switch {
	case a.PID == 0 && never:
		return a
	case a.PID == 0:
		return a.unseen("it has no id in this pid namespace, or there was none")
	case c.fs == nil:
		return a.unseen("/proc is of no use")
	}
	k := c.lookUp(a.PID)
	c.look(a.PID, k)
	switch {
	case k.hidden:
		return a.unseen(fmt.Sprintf("there is a process %d, but it could not be looked at", a.PID))
	case k.ended:
		a.State = Gone
		return a
	}
	a.Process, a.Started = k.process, c.clock.started(k.stat.Start)
	after, sure := c.clock.after(k.stat.Start, a.When)
	switch {
	case k.stat.KernelThread, after && (sure || !c.mayOwn(a.PID, o.Perm())):
		a.State = Reused
	case after:
		return a.unseen(fmt.Sprintf("%s seems to have started later, but the clock was set since the boot", a.Process.name()))
	default:
		a.State = Alive
		a.XServer = a.Role == User && isXServer(a.Process.Comm) && c.isXServer(a.PID)
	}
	return a
}

// look finds out whether a process has ended and, if not, when it was started. It
// considers a process ended only if the kernel says that it does not exist.
func (c *collector) look(pid int, k *known) {
	if k.looked {
		return
	}
	k.looked = true
	if k.process == nil {
		k.ended = !k.hidden
		return
	}
	stat, err := c.fs.Stat(pid)
	if err == nil && !stat.KernelThread {
		_, err = c.fs.Reach(stat)
	}
	k.stat, k.ended = stat, err != nil && absent(c.fs, pid)
	k.hidden = err != nil && !k.ended
}

// mayOwn reports whether a process runs, or may run, as the owner or creator of an object.
func (c *collector) mayOwn(pid int, p *sysv.Perm) bool {
	status, err := c.fs.Status(pid)
	return err != nil || slices.ContainsFunc(status.UIDs[:], func(uid uint32) bool { return uid == p.UID || uid == p.CUID })
}

func (a Actor) unseen(why string) Actor {
	a.State, a.Why = Unseen, why
	return a
}

// findHolders finds the likely holder for each wait on a semaphore.
func (c *collector) findHolders() {
	for i := range c.inv.Objects {
		o := &c.inv.Objects[i]
		for j := range o.Use.Waiting {
			w := &o.Use.Waiting[j]
			if w.Blocked < 0 || w.Blocked >= len(w.Ops) {
				continue
			}
			num := int(w.Ops[w.Blocked].Num)
			for k := range o.Use.Actors {
				if a := &o.Use.Actors[k]; a.State != None && slices.Contains(a.Sems, num) {
					w.Holder = a
				}
			}
		}
	}
}
