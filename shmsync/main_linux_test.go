package shmsync_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmsync"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) {
	ipctest.Play(map[string]ipctest.Role{
		"count": playCount, "hold": playHold, "wait": playWait, "race": playRace, "churn": playChurn,
		"rwhold": playRWHold, "rwrace": playRWRace, "take": playTake,
	})
	if runtime.GOARCH == "mips" || runtime.GOARCH == "mipsle" {
		fmt.Println("SKIPPED: all tests of this package: no lock on", runtime.GOARCH)
		return
	}
	ipctest.MainPOSIX(m)
}

// A page is the memory after the lock that the processes of a test share.
// testdata/robust.c declares it too.
type page struct {
	start, stop, ready, told atomic.Uint32
	_                        [48]byte
	plain                    uint64 // exact only if the lock excludes
	second                   uint64 // equal, unless a holder died between the two
	inside                   atomic.Uint64
	fault                    atomic.Uint64 // line that saw an impossible state
	_                        [32]byte
	count                    [64]struct {
		n atomic.Uint64
		_ [56]byte
	}
}

// fails records the line of the caller as a fault.
func (p *page) fails() {
	_, _, line, _ := runtime.Caller(1)
	p.fault.CompareAndSwap(0, uint64(line))
}

// The mutex is at offset 0; the page follows it.
const (
	rwAt      = (shmsync.MutexSize + int(unsafe.Sizeof(page{})) + 63) &^ 63
	condAt    = rwAt + shmsync.RWMutexSize
	worldSize = condAt + shmsync.CondSize
)

// A world is the memory of one test. Another process finds it by its place: the name of an
// object, the identifier of a segment, or "" for descriptor 3.
type world struct {
	t     testing.TB
	mem   shmsync.Memory
	page  *page
	place string
	file  *os.File
	alive map[*child]bool // killed at the end of the test
}

// open opens the memory at a place.
func open(place string) (mem shmsync.Memory, p *page, err error) {
	id, notNumber := strconv.Atoi(place)
	if notNumber == nil {
		a, err := sysv.Segment(id).Attach(nil)
		if err != nil {
			return nil, nil, err
		}
		p, err = sysv.View[page](a, shmsync.MutexSize)
		return a, p, err
	}
	var o *posix.Object
	if place == "" {
		o, err = posix.Inherit(3)
	} else {
		o, err = posix.OpenObject(place, posix.ReadWrite)
	}
	if err != nil {
		return nil, nil, err
	}
	m, err := o.Map(nil)
	if err != nil {
		return nil, nil, err
	}
	p, err = posix.View[page](m, shmsync.MutexSize)
	return m, p, err
}

// worlds makes the kinds of memory.
var worlds = map[string]func(t testing.TB) *world{
	"object": newWorld,
	"memfd": func(t testing.TB) *world {
		o, err := posix.CreateMemfd("shmsync", int64(worldSize), nil)
		must(t, err)
		t.Cleanup(func() { o.Close() })
		m, err := o.Map(nil)
		must(t, err)
		t.Cleanup(func() { unmapped(t, m.Unmap) })
		p, err := posix.View[page](m, shmsync.MutexSize)
		must(t, err)
		return &world{t: t, mem: m, page: p, file: o.File()}
	},
	"segment": func(t testing.TB) *world {
		s, err := sysv.CreateSegment(sysv.Private, int64(worldSize), nil)
		must(t, err)
		t.Cleanup(func() { _ = s.Remove() })
		mem, p, err := open(strconv.Itoa(int(s)))
		must(t, err)
		t.Cleanup(func() { unmapped(t, mem.(*sysv.Attachment).Detach) })
		return &world{t: t, mem: mem, page: p, place: strconv.Itoa(int(s))}
	},
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldNamed(t, "/"+strings.NewReplacer("/", "-", " ", "-", "#", "-").Replace(t.Name()))
}

func newWorldNamed(t testing.TB, name string) *world {
	t.Helper()
	o, err := posix.CreateObject(name, int64(worldSize), nil)
	must(t, err)
	t.Cleanup(func() { _ = posix.UnlinkObject(name) })
	must(t, o.Close())
	mem, p, err := open(name)
	must(t, err)
	t.Cleanup(func() { unmapped(t, mem.(*posix.Mapping).Unmap) })
	return &world{t: t, mem: mem, page: p, place: name}
}

// unmapped unmaps memory, which nobody may use any more.
func unmapped(t testing.TB, unmap func() error) {
	if err := unmap(); err != nil && !t.Failed() {
		t.Error(err)
	}
}

// mutex opens the lock.
func (w *world) mutex() *shmsync.Mutex {
	w.t.Helper()
	mu, err := shmsync.NewMutex(w.mem, 0)
	must(w.t, err)
	w.t.Cleanup(func() {
		if err := mu.Close(); err != nil && !w.t.Failed() && !errors.Is(err, shmsync.ErrClosed) {
			w.t.Errorf("Close: %v", err)
		}
	})
	return mu
}

// rwMutex opens the read-write lock.
func (w *world) rwMutex() *shmsync.RWMutex {
	w.t.Helper()
	rw, err := shmsync.NewRWMutex(w.mem, rwAt)
	must(w.t, err)
	w.t.Cleanup(func() {
		if err := rw.Close(); err != nil && !w.t.Failed() && !errors.Is(err, shmsync.ErrClosed) {
			w.t.Errorf("Close: %v", err)
		}
	})
	return rw
}

// A child is another process in a role.
type child struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  io.ReadCloser
	said strings.Builder // standard error
	over bool
	w    *world
}

// start runs this program again in a role. Its arguments are the place of the memory and
// args.
func (w *world) start(where func(testing.TB, *exec.Cmd), role string, args ...any) *child {
	w.t.Helper()
	ipctest.SkipUnderQEMU(w.t, "it cannot start the test program again")
	self, err := os.Executable()
	must(w.t, err)
	cmd := exec.Command(self, w.place)
	for _, a := range args {
		cmd.Args = append(cmd.Args, fmt.Sprint(a))
	}
	cmd.Env = append(os.Environ(), "GIPC_TEST_ROLE="+role, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	if w.file != nil {
		cmd.ExtraFiles = []*os.File{w.file}
	}
	cmd.SysProcAttr = new(unix.SysProcAttr)
	if where != nil {
		where(w.t, cmd)
	}
	c := &child{t: w.t, cmd: cmd, w: w}
	cmd.Stderr = &c.said
	c.in, err = cmd.StdinPipe()
	must(w.t, err)
	c.out, err = cmd.StdoutPipe()
	must(w.t, err)
	must(w.t, cmd.Start())
	if w.alive == nil {
		w.alive = make(map[*child]bool)
		w.t.Cleanup(func() {
			for c := range w.alive {
				c.kill()
			}
		})
	}
	w.alive[c] = true
	return c
}

// line waits for the next line that the child prints, which must be want.
func (c *child) line(want string) {
	c.t.Helper()
	b := make([]byte, len(want)+1)
	if _, err := io.ReadFull(c.out, b); err != nil || string(b) != want+"\n" {
		c.kill()
		c.t.Fatalf("the child said %q, %v, want %q; its standard error: %s", b, err, want, &c.said)
	}
}

func (c *child) tell(line string) {
	c.t.Helper()
	_, err := io.WriteString(c.in, line+"\n")
	must(c.t, err)
}

func (c *child) signal(s unix.Signal) {
	c.t.Helper()
	must(c.t, c.cmd.Process.Signal(s))
}

// wait waits for the end of the child, which must not fail.
func (c *child) wait() {
	c.t.Helper()
	c.over = true
	delete(c.w.alive, c)
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("child: %v: %s", err, &c.said)
	}
}

func (c *child) kill() {
	if !c.over {
		c.over = true
		delete(c.w.alive, c)
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
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

// within returns a context that ends a test which hangs.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for something for which there is no event.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !cond(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for too long: %s", what)
		}
	}
}
