package sysv_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	ipctest.Play(map[string]ipctest.Role{
		"attach":      playAttach,
		"attempt":     playAttempt,
		"create":      playCreate,
		"enumerate":   playEnumerate,
		"kill me":     playKillMe,
		"limited":     playLimited,
		"operate":     playOperate,
		"race":        playRace,
		"queue":       playQueue,
		"unpermitted": playUnpermitted,
	})
	ipctest.Main(m)
}

// nobody is a user that owns nothing.
var nobody = &syscall.Credential{Uid: 65534, Gid: 65534}

// patience is how long a test waits for something that should happen at once.
const patience = 30 * time.Second

func createSegment(t testing.TB, key sysv.Key, size int64, mode fs.FileMode) sysv.Segment {
	t.Helper()
	s, err := sysv.CreateSegment(key, size, &sysv.SegmentOptions{Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, s) })
	return s
}

func createSet(t testing.TB, key sysv.Key, nsems int, mode fs.FileMode) sysv.Set {
	t.Helper()
	s, err := sysv.CreateSet(key, nsems, &sysv.SetOptions{Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, s) })
	return s
}

// createSetWith makes a set without a key that has the values.
func createSetWith(t testing.TB, values ...uint16) sysv.Set {
	t.Helper()
	s := createSet(t, sysv.Private, len(values), 0o600)
	check(t, s.SetValues(values))
	return s
}

func createQueue(t testing.TB, key sysv.Key, mode fs.FileMode) sysv.Queue {
	t.Helper()
	q, err := sysv.CreateQueue(key, &sysv.QueueOptions{Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, q) })
	return q
}

// remove removes an object, which the test may already have removed.
func remove(t testing.TB, object interface{ Remove() error }) {
	t.Helper()
	if err := object.Remove(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func attach(t testing.TB, s sysv.Segment, o *sysv.AttachOptions) *sysv.Attachment {
	t.Helper()
	a, err := s.Attach(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Detach(); err != nil && !errors.Is(err, sysv.ErrDetached) {
			t.Error(err)
		}
	})
	return a
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError reports an error other than want. A nil want means success.
func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func wantValues(t testing.TB, what string, s sysv.Set, want ...uint16) {
	t.Helper()
	got, err := s.Values()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Errorf("%s: values %v, want %v", what, got, want)
			return
		}
	}
}

func wantNoAllocations(t *testing.T, f func()) {
	t.Helper()
	ipctest.SkipUnderCheckptr(t)
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// eventually waits until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// sleeping waits until n threads of this process sleep in a kernel function such
// as do_msgrcv.
func sleeping(t testing.TB, n int, function string) {
	t.Helper()
	eventually(t, "a thread sleeps in "+function, func() bool {
		tasks, err := os.ReadDir("/proc/self/task")
		check(t, err)
		count := 0
		for _, task := range tasks {
			at, err := os.ReadFile("/proc/self/task/" + task.Name() + "/wchan")
			if err == nil && strings.Contains(string(at), function) {
				count++
			}
		}
		return count >= n
	})
}

// background runs f in a goroutine. result returns f's result, or fails the test if f does
// not return.
func background(t testing.TB, f func() error) (result func() error) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return func() error {
		t.Helper()
		select {
		case err := <-done:
			return err
		case <-time.After(patience):
			buf := make([]byte, 1<<20)
			t.Fatalf("the call does not return; goroutines:\n%s", buf[:runtime.Stack(buf, true)])
			return nil
		}
	}
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// skipWithoutQueueTimes skips a test that reads the times of a queue.
func skipWithoutQueueTimes(t *testing.T) {
	t.Helper()
	if runtime.GOARCH == "mips" {
		ipctest.SkipUnderQEMU(t, "on mips it swaps the halves of the times of a queue")
	}
}

// inNewNamespace runs f on a thread in a new IPC namespace, whose limits f may change.
// Thread and namespace end with f, which must not leave its goroutine, and so must not
// call t.Run or t.Fatal.
func inNewNamespace(t *testing.T, f func()) {
	t.Helper()
	failed := background(t, func() error {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
			return err
		}
		f()
		return nil
	})
	if err := failed(); err != nil {
		t.Skipf("no new IPC namespace: %v", err)
	}
}

// setLimit writes a sysctl below kernel. of the thread's IPC namespace.
func setLimit(t *testing.T, name, value string) bool {
	t.Helper()
	if err := os.WriteFile("/proc/sys/kernel/"+name, []byte(value), 0); err != nil {
		t.Errorf("set kernel.%s: %v", name, err)
		return false
	}
	return true
}

// capable reports whether this process has a capability, given by number, in the initial
// user namespace.
func capable(t testing.TB, number uint) bool {
	t.Helper()
	users, err := os.ReadFile("/proc/self/uid_map")
	check(t, err)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	check(t, unix.Capget(&header, &data[0]))
	return strings.Contains(string(users), "4294967295") && data[number/32].Effective&(1<<(number%32)) != 0
}
