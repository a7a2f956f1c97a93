package inventory

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
)

// Looking at a process takes longer the more mappings, descriptors and threads it has, and
// any user can have many. The costs are counted, not measured, so that the same processes
// are looked at however busy the machine is. What a process costs beyond the ordinary is
// charged to its user. Processes of root and of the caller are always looked at.
const (
	descriptorCost = 2 // to list one, and again to look at it
	mappingCost    = 2
	threadCost     = 80
	statusCost     = 32 // to read which users a thread acts as

	firstCost    = procfs.SpendEvery * mappingCost // of a process; below it, its user does not matter
	ordinaryCost = 2 * firstCost                   // of a process, which is not charged
	processShare = firstCost                       // added to the limit of a user by each process above firstCost
	userShare    = 32 << 10
	allShare     = 64 * userShare // of all users together: one may act as many
)

// errTooCostly hides a process whose user costs too much.
var errTooCostly = errors.New("its user's processes take too long to look at")

// A budget holds the costs of each user's processes.
type budget struct {
	mu    sync.Mutex
	users map[uint32]*account
	all   int
}

// An account holds what the processes of a user have cost and may cost. Once they have cost
// too much, nothing more is spent on them.
type account struct {
	spent, limit int
	closed       bool
}

func newBudget() *budget { return &budget{users: make(map[uint32]*account)} }

// charge charges a user for one of its processes.
func (b *budget) charge(uid uint32, n, share int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.users[uid]
	if a == nil {
		a = &account{limit: userShare}
		b.users[uid] = a
	}
	a.limit += share
	a.spent += n
	b.all += n
	if a.closed = a.closed || a.spent > a.limit || b.all > allShare; a.closed {
		return errTooCostly
	}
	return nil
}

// A costs holds the costs of one process.
type costs struct {
	fs     *procfs.FS
	budget *budget
	pid    int
	spent  int
	asked  bool
	uid    uint32
}

func (s *scanner) costs(pid int) *costs { return &costs{fs: s.fs, budget: s.budget, pid: pid} }

// spend adds n to the costs of the process. It fails if they are too high.
func (c *costs) spend(n int) error {
	if c.spent += n; c.spent < firstCost {
		return nil
	}
	share := 0
	if !c.asked {
		uid, err := c.fs.UID(c.pid)
		if err != nil {
			return err
		}
		c.asked, c.uid, share = true, uid, processShare
	}
	if trusted(c.uid) {
		return nil
	}
	if c.spent <= ordinaryCost {
		n = 0
	}
	return c.budget.charge(c.uid, n, share)
}

// sharing finds out which processes share an address space or a table of descriptors,
// so that each of them is read once.
type sharing struct {
	what  procfs.Resource
	mu    sync.Mutex
	known []*resource // in the order of procfs.FS.Compare
}

// A resource holds what was found in an address space or a table of descriptors.
type resource struct {
	via int  // a process that has it
	own bool // it is in the namespace that is looked at
	uses
	err error // why it was not looked at wholly
}

// find returns what was found if the resource of a process was already looked at through
// another process, nil if it was not.
func (s *sharing) find(f *procfs.FS, via int, own bool) *resource {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.search(f, via); ok && s.known[i].own == own {
		return s.known[i]
	}
	return nil
}

// add notes what was found, and reports whether another process has the same resource.
func (s *sharing) add(f *procfs.FS, r *resource) (again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.search(f, r.via)
	if !ok && i >= 0 {
		s.known = slices.Insert(s.known, i, r)
	}
	return ok
}

// search returns the index of a process's resource, or -1 if the kernel does not compare
// resources. It drops resources whose process has ended.
func (s *sharing) search(f *procfs.FS, via int) (i int, ok bool) {
	for {
		failed := -1
		i, ok = slices.BinarySearchFunc(s.known, via, func(r *resource, via int) int {
			if failed >= 0 {
				return 0
			}
			order, err := f.Compare(s.what, r.via, via)
			if err != nil {
				failed = r.via
			}
			return order
		})
		if failed < 0 {
			return i, ok
		}
		if f.Exists(failed) {
			return -1, false
		}
		s.known = slices.DeleteFunc(s.known, func(r *resource) bool { return r.via == failed })
	}
}

// owed counts the attachments of each segment that were not found yet.
type owed struct {
	all      atomic.Int64
	segments map[*Object]*atomic.Int64
}

func newOwed(segments map[int]*Object) *owed {
	w := &owed{segments: make(map[*Object]*atomic.Int64)}
	for _, o := range segments {
		if n := int64(o.Segment.NAttch); n > 0 {
			left := new(atomic.Int64)
			left.Store(n)
			w.segments[o] = left
			w.all.Add(n)
		}
	}
	return w
}

// any reports whether there may be attachments that were not found.
func (w *owed) any() bool { return w.all.Load() > 0 }

func (w *owed) of(o *Object) int {
	if left := w.segments[o]; left != nil {
		return int(left.Load())
	}
	return 0
}

// found subtracts n attachments, or as many as are left.
func (w *owed) found(o *Object, n int) {
	left := w.segments[o]
	for left != nil {
		have := left.Load()
		take := min(have, int64(n))
		if take <= 0 {
			return
		}
		if left.CompareAndSwap(have, have-take) {
			w.all.Add(-take)
			return
		}
	}
}
