package inventory

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// A place is where a call on /proc may fail: the call, and a file in which P stands for
// a process that uses something, and T for one of its threads.
type place struct{ call, file string }

// A gremlin makes calls on the files of some processes fail.
type gremlin struct {
	pids  map[string]bool
	place place
	nth   int // that call alone, counted from 1; 0: all of them
	errno error
	// contents, unless nil, changes the bytes that a read returns.
	contents func([]byte) []byte

	mu   sync.Mutex
	met  map[place]int
	done int
}

func (g *gremlin) fault(call, name string) ([]byte, error) {
	at := g.placeOf(call, name)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.met[at]++
	if at != g.place || g.nth != 0 && g.nth != g.met[at] {
		return nil, nil
	}
	g.done++
	if g.contents == nil {
		return nil, g.errno
	}
	b, _ := os.ReadFile(procfs.Root + "/" + name) // of a process that is there
	return slices.Concat([]byte{}, g.contents(b)), nil
}

func (g *gremlin) placeOf(call, name string) place {
	parts := strings.Split(name, "/")
	if _, err := strconv.Atoi(parts[0]); err == nil {
		if !g.pids[parts[0]] {
			return place{}
		}
		parts[0] = "P"
		for i := 2; i < len(parts); i++ {
			if _, err := strconv.Atoi(parts[i]); err == nil {
				parts[i] = "N"
			}
		}
	}
	return place{call, strings.Join(parts, "/")}
}

// collect collects with the gremlin at work.
func (g *gremlin) collect(o Options) (*Inventory, error) {
	g.met, g.done = make(map[place]int), 0
	o.fault = g.fault
	return Collect(o)
}

// living are objects that living processes use, and how.
type living struct {
	queue, set, segment  int
	name                 string // of a POSIX object of each kind
	made                 [3]int // by a process that lives, and used by nobody: segment, set, queue
	maker                int    // pids
	waiter, semWaiter    int
	attacher, posixUsers int
}

func newLiving(t *testing.T) (l living) {
	queue := createQueue(t, 0x501, 0o600)
	set := createSet(t, 0x502, 0o600, 0)
	segment := createSegment(t, 0x503, 4096, 0o600)
	l = living{queue: int(queue), set: int(set), segment: int(segment), name: "/gipc-fault"}
	makePOSIX(t, l.name, 0o600)
	for _, p := range []struct {
		pid  *int
		role string
		args []any
	}{
		{&l.waiter, "receive", []any{l.queue, 8, 0, 0}},
		{&l.semWaiter, "operate", []any{l.set, 0, 0, -1, 0}},
		{&l.attacher, "attach", []any{"rw", l.segment}},
		{&l.posixUsers, "use", []any{l.name}},
	} {
		process := start(t, p.role, nil, p.args...)
		*p.pid = process.PID()
		t.Cleanup(process.Kill)
	}
	maker := ipctest.Start(t, "make", nil)
	t.Cleanup(maker.Kill)
	l.maker = maker.PID()
	if _, err := fmt.Sscan(maker.Line(), &l.made[0], &l.made[1], &l.made[2]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		remove(t, sysv.Segment(l.made[0]))
		remove(t, sysv.Set(l.made[1]))
		remove(t, sysv.Queue(l.made[2]))
	})
	await(t, Options{Want: WantVerdict}, waiting(ref.Msg, l.queue, 1))
	await(t, Options{Want: WantVerdict}, waiting(ref.Sem, l.set, 1))
	return l
}

// missed names a living process that uses something, if the inventory neither shows the use
// nor counts the process as hidden; "" if there is none.
func (l *living) missed(t *testing.T, inv *Inventory) string {
	hidden := func(pid int, whole bool) bool {
		return inv.Hidden.Unlisted || slices.ContainsFunc(inv.Hidden.Processes, func(h HiddenProcess) bool {
			return h.PID == pid && (!whole || h.Threads == 0)
		})
	}
	uses := func(o *Object, pid int) bool {
		return slices.ContainsFunc(o.Use.Waiting, func(w Waiter) bool { return w.PID == pid }) ||
			slices.ContainsFunc(o.Use.Mapped, func(m Mapper) bool { return m.PID == pid }) ||
			slices.ContainsFunc(o.Use.Open, func(o Opener) bool { return o.PID == pid })
	}
	for _, kind := range ref.POSIX() {
		o := findPOSIX(t, inv, kind, l.name)
		if !uses(o, l.posixUsers) && !hidden(l.posixUsers, true) || o.Use.Verdict == Orphan {
			return fmt.Sprintf("who uses %v: %v", kind, dump(o))
		}
	}
	queue := find(t, inv, ref.Msg, l.queue)
	if !uses(queue, l.waiter) && !hidden(l.waiter, false) || queue.Use.Verdict == Orphan {
		return "who waits on the queue: " + dump(queue)
	}
	for _, o := range []*Object{find(t, inv, ref.Sem, l.set), find(t, inv, ref.Shm, l.segment)} {
		if o.Use.Verdict == Orphan || o.Use.Verdict == Idle {
			return "who uses what the kernel counts the users of: " + dump(o)
		}
	}
	for i, kind := range ref.SystemV() {
		if o := find(t, inv, kind, l.made[i]); o.Use.Verdict == Orphan {
			return "who made what may be used again: " + dump(o)
		}
	}
	return ""
}

// TestFaults makes every read of /proc fail, in every way. Each process that uses an object
// must be found or count as hidden.
func TestFaults(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may look into everybody, so that nobody is hidden at first")
	}
	ipctest.SkipUnderQEMU(t, "it has its own /proc")
	l := newLiving(t)
	o := Options{Want: WantAttached | WantWaiting | WantOpen | WantVerdict, HiddenIdle: false}
	g := &gremlin{pids: make(map[string]bool)}
	for _, pid := range []int{l.maker, l.waiter, l.semWaiter, l.attacher, l.posixUsers} {
		g.pids[strconv.Itoa(pid)] = true
	}
	inv, err := g.collect(o)
	if err != nil || l.missed(t, inv) != "" {
		t.Fatalf("%v, %s", err, l.missed(t, inv))
	}
	delete(g.met, place{})
	places := slices.SortedFunc(maps.Keys(g.met), func(a, b place) int { return strings.Compare(a.call+a.file, b.call+b.file) })
	errnos := []unix.Errno{
		unix.EACCES, unix.EPERM, unix.EIO, unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.EINTR,
		unix.ESRCH, unix.ENOENT, unix.EAGAIN, unix.ELOOP, unix.ESTALE,
	}
	nths := []int{0, 1, 5}
	if testing.Short() {
		nths = nths[:1]
	}
	try := func(what string) {
		inv, err := g.collect(o)
		if err != nil { // nothing is known, and the caller knows that
			inv.Hidden.Unlisted = true
		}
		if missed := l.missed(t, inv); missed != "" {
			t.Errorf("%s %s, call %d, %s: %v: nobody knows %s", g.place.call, g.place.file, g.nth, what, err, missed)
		}
	}
	for _, g.place = range places {
		for _, g.nth = range nths {
			for _, errno := range errnos {
				if errno == unix.ENOENT && g.place.call == "ioctl" {
					continue // here it means that there is no further mapping
				}
				g.errno = errno
				try(errno.Error())
				if g.done == 0 {
					break // there are not so many calls
				}
			}
		}
		if g.place.call != "read" {
			continue
		}
		g.nth = 0
		for _, contents := range []func([]byte) []byte{
			func([]byte) []byte { return nil },
			func([]byte) []byte { return []byte("\n") },
			func([]byte) []byte { return []byte("what is this\n") },
			func(b []byte) []byte { return b[:len(b)/2] },
			func(b []byte) []byte { return b[:max(len(b)-2, 0)] },
		} {
			g.contents = contents
			try(fmt.Sprintf("contents %q", contents([]byte("abcdefgh"))))
		}
		g.contents = nil
	}
	t.Logf("%d places: %v", len(places), places)
}
