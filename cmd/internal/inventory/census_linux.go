package inventory

import (
	"cmp"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/imports"
	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// A census holds the living processes that are seen, except this one and kernel threads. It
// is taken once, and only if a verdict depends on it.
type census struct {
	people   []*person            // by pid
	byUser   map[uint32][]*person // may hold identifiers; by each of their user ids, then by since
	byNumber map[int]*person      // by pid, and by the number in its own pid namespace
	left     map[uint32]bool      // users who have a process in any namespace
	unknown  bool                 // there is a process whose user is not known
	holders  map[holding]*person
	employer *person // the oldest server of root that is known to start workers of other users
	jobs     []*job  // by start
}

// A person is a living process.
type person struct {
	*Process
	via         int                 // the thread under whose id its files are reached
	credentials *procfs.Credentials // nil if they are not known
	others      []uint32            // users that its other threads act as
	numbers     []int               // its ids in its pid namespaces
	start       time.Duration
	forked      bool // it continues the program of its parent
	parent      int
	inside      bool  // in this IPC namespace, or in one that is not known
	hidden      error // why it could not be looked into

	// since is when its program was started, at the earliest; see findSince. If dated is
	// false it is not known yet.
	since time.Duration
	dated bool

	asked             bool // direct and inherited are set
	direct, inherited imports.Calls
}

// A holding is a user and the kinds of objects that a process of that user can use.
type holding struct {
	user   uint32
	calls  imports.Calls
	parent bool // or that the children of the process can use
}

// anybody is the user of processes whose user is unknown. No user has this number.
const anybody = 1<<32 - 1

// census returns the living processes.
func (c *collector) census() *census {
	if c.people != nil {
		return c.people
	}
	s := &census{
		byUser: make(map[uint32][]*person), byNumber: make(map[int]*person),
		left: make(map[uint32]bool), holders: make(map[holding]*person),
	}
	c.people = s
	pids, err := c.fs.PIDs()
	if err != nil { // an unknown process must not count as gone
		s.unknown = true
		s.add(&person{Process: &Process{}, inside: true, hidden: err}, false)
		return s
	}
	people := c.interview(pids)
	byPID := make(map[int]*person, len(people))
	for _, p := range people {
		byPID[p.PID] = p
	}
	for _, p := range people {
		p.findSince(byPID)
		isInit := p.PID == 1 && c.seesAll
		s.add(p, isInit)
	}
	bySince := func(a, b *person) int { return cmp.Or(cmp.Compare(a.since, b.since), a.PID-b.PID) }
	for _, list := range s.byUser {
		slices.SortFunc(list, bySince)
	}
	for _, p := range slices.Backward(s.byUser[0]) {
		if isServer(p.Comm) && (p.hidden == nil || !c.o.HiddenIdle) {
			s.employer = p
		}
	}
	s.jobs = jobsOf(c.fs, s.people)
	return s
}

// findSince sets since. A process that was only forked knows what its ancestors knew. Some of
// them may have ended; then another ancestor has adopted it, so its program is no older than
// that of its parent.
func (p *person) findSince(byPID map[int]*person) {
	if p.dated {
		return
	}
	p.dated = true // also ends a loop, of ids that were reused meanwhile
	switch parent := byPID[p.parent]; {
	case !p.forked:
		p.since = p.start
	case parent != nil:
		parent.findSince(byPID)
		p.since = min(p.start, parent.since)
	}
}

// add adds a process to the census. The system's init holds nothing that others made.
func (s *census) add(p *person, isInit bool) {
	s.people = append(s.people, p)
	users := []uint32{anybody}
	if p.credentials != nil {
		users = slices.Concat(p.credentials.UIDs[:], p.others)
	} else {
		s.unknown = true
	}
	for i, user := range users {
		s.left[user] = true
		if p.inside && !isInit && !slices.Contains(users[:i], user) {
			s.byUser[user] = append(s.byUser[user], p)
		}
	}
	if isInit {
		return
	}
	for _, n := range append(p.numbers, p.PID) {
		if s.byNumber[n] == nil || n == p.PID {
			s.byNumber[n] = p
		}
	}
}

// interview looks at processes, several at a time as scan does.
func (c *collector) interview(pids []int) (people []*person) {
	const each = 50 // below that another goroutine does not pay
	found := make([]*person, len(pids))
	budget := newBudget()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(pids)/each+1) {
		f := c.fs.Clone()
		wg.Go(func() {
			for n := next.Add(1); n <= int64(len(pids)); n = next.Add(1) {
				if pid := pids[n-1]; pid != os.Getpid() {
					found[n-1] = meet(f, pid, c.inv.Namespace, budget)
				}
			}
		})
	}
	wg.Wait()
	return slices.DeleteFunc(found, func(p *person) bool { return p == nil })
}

// meet describes a process. It returns nil if the process has ended or is a kernel thread.
func meet(f *procfs.FS, pid int, namespace uint64, b *budget) *person {
	p := &person{Process: &Process{PID: pid}, inside: true}
	stat, err := f.Stat(pid)
	if err == nil {
		p.Comm, p.start, p.forked, p.parent = stat.Comm, stat.Start, stat.Forked, stat.PPID
		p.Container, err = containerOf(f, pid)
	}
	if err == nil {
		p.via, err = f.Reach(stat)
	}
	if err == nil {
		err = p.identify(f)
	}
	var own uint64
	if err == nil {
		own, err = f.IPCNamespace(p.via)
		p.inside = err != nil || own == namespace
	}
	if err == nil && p.inside && stat.Threads > 1 {
		err = p.meetThreads(f, &costs{fs: f, budget: b, pid: pid})
	}
	if err != nil && absent(f, pid) { // reading one that is about to end fails with a permission error
		return nil
	}
	p.hidden = err
	return p
}

// meetThreads looks at threads, which may act as other users than their process. It is not
// called if only a thread of the process is in the IPC namespace: such a thread counts
// while it waits.
func (p *person) meetThreads(f *procfs.FS, c *costs) error {
	tids, err := f.Threads(p.PID, func() error { return c.spend(procfs.SpendEvery * descriptorCost) })
	if err != nil {
		return err
	}
	for _, tid := range tids {
		if err := c.spend(statusCost); err != nil {
			return err
		}
		status, err := f.ThreadStatus(p.PID, tid)
		if err != nil && !hasEnded(f, p.PID, tid) {
			return err
		}
		if err == nil {
			p.others = append(p.others, notIn(status.UIDs[:], p.credentials.UIDs[:], p.others)...)
		}
	}
	return nil
}

// notIn returns the users that are in none of the lists.
func notIn(users []uint32, lists ...[]uint32) (rest []uint32) {
	for _, user := range users {
		if !slices.ContainsFunc(lists, func(list []uint32) bool { return slices.Contains(list, user) }) {
			rest = append(rest, user)
		}
	}
	return rest
}

func (p *person) identify(f *procfs.FS) error {
	status, err := f.Status(p.PID)
	if err != nil {
		return err
	}
	p.credentials, p.numbers, p.UID = &status.Credentials, status.NSPIDs, status.EUID()
	return nil
}

// callsFor returns the calls that are needed to use an object.
func callsFor(kind ref.Kind) imports.Calls {
	switch kind {
	case ref.Shm:
		return imports.Segments
	case ref.Sem:
		return imports.Sets
	default:
		return imports.Queues
	}
}

// oldest returns the process that can hold objects of a kind and whose program has run the
// longest, nil if there is none. A process that uses an object is either older than that
// use, or learned of the object from a process that is. If that process has ended, it was
// an ancestor.
func (c *collector) oldest(h holding) *person {
	s := c.census()
	if p, ok := s.holders[h]; ok {
		return p
	}
	var oldest *person
	for _, p := range s.byUser[h.user] {
		if p.hidden != nil && c.o.HiddenIdle {
			continue
		}
		direct, inherited := c.calls(p)
		if h.parent {
			direct = inherited
		}
		if direct&h.calls != 0 {
			oldest = p
			break
		}
	}
	s.holders[h] = oldest
	return oldest
}

// holder implements witness.
func (c *collector) holder(o *Object) Reason {
	perm, calls := o.Perm(), callsFor(o.Kind)
	if c.recordEnded(o) {
		return Reason{}
	}
	early := "its program was started before it was last used"
	if !c.clock.sure(latest(o.Changed(), o.Used())) {
		early = "its program may have been started before it was last used: the clock of the machine was set"
	}
	for _, user := range [...]uint32{perm.UID, perm.CUID, anybody} {
		p := c.oldest(holding{user, calls, false})
		switch {
		case p == nil:
		case perm.Key != sysv.Private: // a younger one may have found it by its key, which leaves no trace
			return reason(OwnerAlive, "%s may know it by its key: it runs as its owner or creator", p.name())
		case !c.older(p, o):
		case p.hidden != nil:
			return reason(ProcessHidden, "%s may know it: it runs as its owner or creator, and could not be inspected", p.name())
		default:
			return reason(OwnerAlive, "%s may know it: it runs as its owner or creator, and %s", p.name(), early)
		}
	}
	if p := c.oldest(holding{0, calls, true}); p != nil && c.older(p, o) {
		return reason(RootAlive, "%s may be the parent of its users: it runs as root, and %s", p.name(), early)
	}
	if p := c.employer(o); p != nil {
		return reason(RootAlive, "%s may start processes that find it by its key: it runs as root", p.name())
	}
	return Reason{}
}

// named implements witness.
func (c *collector) named(o *Object) *Process {
	numbers := numbersIn(o.File().Name)
	if len(numbers) == 0 || c.fs == nil {
		return nil
	}
	s := c.census()
	for _, n := range numbers {
		p := s.byNumber[n]
		if p == nil || p.hidden != nil && c.o.HiddenIdle && p.credentials == nil {
			continue
		}
		if user := o.File().UID; uint32(n) == user && p.credentials != nil && !slices.Contains(p.credentials.UIDs[:], user) {
			continue // the number is the id of the user
		}
		if after, sure := c.clock.after(p.start, latest(o.Changed(), o.Used())); after && sure {
			continue
		}
		if p.PID == n || c.seesFiles(p, o) {
			return p.Process
		}
	}
	return nil
}

// seesFiles reports whether a process of another pid namespace may know a POSIX object:
// the file system that holds it is mounted there, or that is not known.
func (c *collector) seesFiles(p *person, o *Object) bool {
	shows, err := c.fs.ShowsDevice(p.via, procfs.DeviceOf(o.File().Dev))
	return shows || err != nil
}

// ownerLeft implements witness.
func (c *collector) ownerLeft(o *Object) Answer {
	users := []uint32{o.Ownership().UID}
	if perm := o.Perm(); perm != nil {
		users = append(users, perm.CUID)
	}
	if slices.Contains(users, 0) {
		return Yes
	}
	if c.fs == nil {
		return NotKnown
	}
	s := c.census()
	for _, user := range users {
		if s.left[user] {
			return Yes
		}
	}
	if (s.unknown || !c.seesAll || c.inv.Hidden.Unlisted) && !c.o.HiddenIdle {
		return NotKnown
	}
	return No
}

// opened implements witness.
func (c *collector) opened(o *Object) (is, known bool) { return Opened(o.Ref()) }

// employer returns a server of root that may start a worker that knows an object, or nil
// if there is none.
func (c *collector) employer(o *Object) *person {
	if p := c.census().employer; p != nil && c.mayLearn(p, o) {
		return p
	}
	return nil
}

// mayLearn reports whether a process, or one that it starts, may know an object: it may be
// older than the object's last use, or can find the object by a key or a name.
func (c *collector) mayLearn(p *person, o *Object) bool {
	perm := o.Perm()
	return perm == nil || perm.Key != sysv.Private || c.older(p, o)
}

// older reports whether the program of a process may have been started before an object's
// last use.
func (c *collector) older(p *person, o *Object) bool {
	after, sure := c.clock.after(p.since, latest(o.Changed(), o.Used()))
	return !after || !sure
}

// answerOwners fills Use.OwnerGone.
func (c *collector) answerOwners() {
	for i := range c.inv.Objects {
		o := &c.inv.Objects[i]
		switch left := c.ownerLeft(o); {
		case o.Use.Verdict == InUse || left == Yes:
			o.Use.OwnerGone = No
		case left == No && c.employer(o) == nil && c.job(o).Code == "":
			o.Use.OwnerGone = Yes
		}
	}
}
