package storm_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// TestManyObjects makes many objects of each kind, lists and removes them with the
// package and with the command; in a soak as many as a system may have by default.
func TestManyObjects(t *testing.T) {
	many := 4000
	if ipctest.Soaking() {
		many = 32000
	}
	gipcs := ipctest.Build(t, "../../cmd/gipcs")
	for range ipctest.Rounds(t, 1, 0) {
		began := time.Now()
		check(t, inNamespace(many, byPackage, func(many int) error { return byCommand(gipcs, many) }))
		t.Logf("%d of each kind twice in %v", many, time.Since(began))
	}
}

// inNamespace makes objects in a new namespace for each way to remove them, and checks
// that none is left.
func inNamespace(many int, ways ...func(int) error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: thread and namespace end with the goroutine
		err := unix.Unshare(unix.CLONE_NEWIPC)
		if err == nil {
			err = os.WriteFile("/proc/sys/kernel/shmmni", []byte("32768"), 0)
		}
		for _, remove := range ways {
			if err == nil {
				err = makeObjects(many)
			}
			if err == nil {
				err = remove(many)
			}
			if err == nil {
				err = wantObjects(0)
			}
		}
		done <- err
	}()
	return <-done
}

// makeObjects makes many objects of each kind.
func makeObjects(many int) error {
	for i := range many {
		// None has a key, which the kernel would have to look up.
		if _, err := sysv.CreateSegment(sysv.Private, 1, nil); err != nil {
			return fmt.Errorf("after %d: %w", i, err)
		}
		if _, err := sysv.CreateSet(sysv.Private, 1, nil); err != nil {
			return fmt.Errorf("after %d: %w", i, err)
		}
		if _, err := sysv.CreateQueue(sysv.Private, nil); err != nil {
			return fmt.Errorf("after %d: %w", i, err)
		}
	}
	return wantObjects(many)
}

// wantObjects checks the kernel's counts.
func wantObjects(want int) error {
	shm, err := sysv.ShmUsage()
	if err != nil {
		return err
	}
	sem, err := sysv.SemUsage()
	if err != nil {
		return err
	}
	msg, err := sysv.MsgUsage()
	if err != nil {
		return err
	}
	if shm.Segments != want || sem.Sets != want || msg.Queues != want {
		return fmt.Errorf("%d segments, %d sets and %d queues, want %d of each", shm.Segments, sem.Sets, msg.Queues, want)
	}
	return nil
}

// byPackage removes each object while it iterates.
func byPackage(many int) error {
	seen := 0
	for info, err := range sysv.Segments() {
		if err == nil {
			err = sysv.Segment(info.ID).Remove()
		}
		if err != nil {
			return err
		}
		seen++
	}
	for info, err := range sysv.Sets() {
		if err == nil {
			err = sysv.Set(info.ID).Remove()
		}
		if err != nil {
			return err
		}
		seen++
	}
	for info, err := range sysv.Queues() {
		if err == nil {
			err = sysv.Queue(info.ID).Remove()
		}
		if err != nil {
			return err
		}
		seen++
	}
	if seen != 3*many {
		return fmt.Errorf("%d objects were listed, want %d", seen, 3*many)
	}
	return nil
}

// ours selects the objects in the namespace. POSIX objects are the machine's.
const ours = `kind in ["shm", "sem", "msg"] && key == 0`

// byCommand lists the objects as JSON, and removes them.
func byCommand(gipcs string, many int) error {
	out, err := exec.Command(gipcs, "ls", "--json", "--where", ours).Output()
	if err != nil {
		return fmt.Errorf("gipcs ls: %w", err)
	}
	var listed []json.RawMessage
	if err := json.Unmarshal(out, &listed); err != nil {
		return fmt.Errorf("gipcs ls: %w", err)
	}
	if len(listed) != 3*many {
		return fmt.Errorf("gipcs lists %d objects, want %d", len(listed), 3*many)
	}
	if out, err := exec.Command(gipcs, "rm", "--yes", "--where", ours).CombinedOutput(); err != nil {
		return fmt.Errorf("gipcs rm: %w\n%.1000s", err, out)
	}
	return nil
}
