package semops_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

// If the environment variable helperName is set, the test binary is one of the processes
// that the tests need, with the semaphore set and the segment as arguments.
const helperName = "GIPC_SEMOPS_HELPER"

func TestMain(m *testing.M) {
	name := os.Getenv(helperName)
	if name == "" {
		ipctest.Main(m)
	}
	go func() { // no helper outlives the test
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	set, _ := strconv.Atoi(os.Args[1])
	seg, _ := strconv.Atoi(os.Args[2])
	mem, err := sysv.Segment(seg).Attach(nil)
	check(err)
	p, err := sysv.View[page](mem, 0)
	check(err)
	helpers(name)(sysv.Set(set), p)
	os.Exit(0)
}

// check ends a helper if there is an error.
func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "helper:", err)
		os.Exit(1)
	}
}

// A page is the memory that the processes of a test share.
type page struct {
	owner   atomic.Int64 // process inside the lock
	a, b    atomic.Int64 // equal whenever nobody is inside the lock
	rounds  atomic.Int64
	told    atomic.Int64 // how often a holder was told that an owner died
	fault   atomic.Int64 // line of the test that saw an impossible state
	stop    atomic.Bool
	plain   int64 // not atomic: it is exact only if the lock excludes
	readers atomic.Int64
	id      atomic.Int64
	slot    [bufferSlots][2]atomic.Int64
	message [bufferSlots][256]byte
	data    [1 << 17]atomic.Int32
}

// failed records the line of the caller as a fault.
func (p *page) failed() {
	_, _, line, _ := runtime.Caller(1)
	p.fault.CompareAndSwap(0, int64(line))
}

// A world is the set and the memory of one test.
type world struct {
	t    testing.TB
	set  sysv.Set
	seg  sysv.Segment
	page *page
}

func newWorld(t testing.TB, values []uint16) *world {
	t.Helper()
	set, err := sysv.CreateSet(sysv.Private, max(len(values), 1), nil)
	must(t, err)
	t.Cleanup(func() { _ = set.Remove() })
	if len(values) > 0 {
		must(t, set.SetValues(values))
	}
	seg, err := sysv.CreateSegment(sysv.Private, int64(unsafe.Sizeof(page{})), nil)
	must(t, err)
	mem, err := seg.Attach(nil)
	must(t, err)
	t.Cleanup(func() { _, _ = seg.Remove(), mem.Detach() })
	p, err := sysv.View[page](mem, 0)
	must(t, err)
	return &world{t, set, seg, p}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustBe(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || got == nil && want != nil {
		t.Fatalf("error %v; want %v", got, want)
	}
}

func (w *world) values() []uint16 {
	w.t.Helper()
	values, err := w.set.Values()
	must(w.t, err)
	return values
}

// checkFault fails the test if a helper saw a fault.
func (w *world) checkFault() {
	w.t.Helper()
	if line := w.page.fault.Load(); line != 0 {
		w.t.Fatalf("a process saw a fault at line %d; values %v", line, w.values())
	}
}

// A child is a helper process.
type child struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
	over  bool
}

// start runs a helper, which lives no longer than the test.
func (w *world) start(name string, args ...string) *child {
	w.t.Helper()
	return w.startIn(func(testing.TB, *exec.Cmd) {}, name, args...)
}

// startIn is start for a helper in other namespaces than the test.
func (w *world) startIn(place func(testing.TB, *exec.Cmd), name string, args ...string) *child {
	w.t.Helper()
	ipctest.SkipUnderQEMU(w.t, "it cannot start the test program again")
	cmd := exec.Command("/proc/self/exe", append([]string{strconv.Itoa(int(w.set)), strconv.Itoa(int(w.seg))}, args...)...)
	cmd.Env = append(os.Environ(), helperName+"="+name)
	cmd.Stderr = os.Stderr
	place(w.t, cmd)
	stdin, err := cmd.StdinPipe()
	must(w.t, err)
	stdout, err := cmd.StdoutPipe()
	must(w.t, err)
	must(w.t, cmd.Start())
	c := &child{t: w.t, cmd: cmd, stdin: stdin, out: bufio.NewReader(stdout)}
	w.t.Cleanup(func() { c.kill() })
	return c
}

// kill sends SIGKILL and returns when the process is gone.
func (c *child) kill() {
	if !c.over {
		_ = c.cmd.Process.Kill()
		_ = c.wait()
		c.cmd, c.stdin, c.out = nil, nil, nil // a soak has many, and the test keeps each until it ends
	}
}

// wait waits for the end of the process.
func (c *child) wait() error {
	c.over = true
	defer c.stdin.Close()
	return c.cmd.Wait()
}

// line waits for a line that the helper prints.
func (c *child) line(t testing.TB) string {
	t.Helper()
	tooLong := time.AfterFunc(20*time.Second, func() { _ = c.cmd.Process.Kill() })
	defer tooLong.Stop()
	s, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the helper said nothing: %v", err)
	}
	return s[:len(s)-1]
}

// eventually waits for something for which the kernel has no event.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(20 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for too long: %s", what)
		}
	}
}

// asleep waits until n threads are asleep because semaphore num is too small.
func (w *world) asleep(num, n int) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%d asleep on semaphore %d", n, num), func() bool {
		count, err := w.set.NCount(num)
		must(w.t, err)
		return count == n
	})
}

// asleepZero waits until n threads wait for semaphore num to be zero.
func (w *world) asleepZero(num, n int) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%d asleep until semaphore %d is zero", n, num), func() bool {
		count, err := w.set.ZCount(num)
		must(w.t, err)
		return count == n
	})
}

// run calls f in a goroutine and returns the channel of its result.
func run(f func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- f() }()
	return c
}

// result waits for the result of run.
func result(t testing.TB, c <-chan error) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("blocked for ever")
		return nil
	}
}

// pending fails the test if there is a result already.
func pending(t testing.TB, c <-chan error) {
	t.Helper()
	select {
	case err := <-c:
		t.Fatalf("returned %v; want it to wait", err)
	default:
	}
}

// times returns the number of repetitions: often, or fewer with -short.
func times(often int) int {
	if testing.Short() {
		return often / 10
	}
	return often
}

// storm sends SIGURG to the whole process about ten thousand times a second.
func storm(ctx context.Context, pid int) {
	for ctx.Err() == nil {
		_ = unix.Kill(pid, unix.SIGURG)
		time.Sleep(100 * time.Microsecond)
	}
}

// within returns a context that ends a test which hangs.
func within(t testing.TB) context.Context {
	patience := 30 * time.Second
	if ipctest.Soaking() {
		patience = 24 * time.Hour
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func newMutex(t testing.TB, set sysv.Set) *semops.Mutex {
	t.Helper()
	mu, err := semops.NewMutex(set, 0, 1)
	must(t, err)
	return mu
}

// errOwnerDied is returned by lock, tryLock and waitFor if the caller holds the lock after
// a death.
var errOwnerDied = errors.New("the last owner died")

type tryLocker interface {
	Lock(ctx context.Context) (abandoned bool, err error)
	TryLock() (locked, abandoned bool, err error)
}

func told(abandoned bool, err error) error {
	if err == nil && abandoned {
		return errOwnerDied
	}
	return err
}

func lock(l tryLocker, ctx context.Context) error { return told(l.Lock(ctx)) }

func tryLock(l tryLocker) (bool, error) {
	ok, abandoned, err := l.TryLock()
	return ok, told(abandoned, err)
}

func waitFor(c *semops.Cond, ctx context.Context) error { return told(c.Wait(ctx)) }
