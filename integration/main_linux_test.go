// Package integration_test runs the commands and packages against the real kernel
// and real foreign programs.
package integration_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) {
	ipctest.Play(map[string]ipctest.Role{"make cleanable": playMakeCleanable, "churn": playChurn})
	runRefused()
	ipctest.Main(m)
}

// patience is how long a test waits for what should happen at once.
const patience = 60 * time.Second

// enterNamespace gives the calling goroutine, and the programs it starts, its own IPC
// namespace, an empty /dev/shm and its own /dev/mqueue. It locks the goroutine to its
// thread, which ends with it. The namespaces and their contents end with the last
// process in them.
func enterNamespace() error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWIPC | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := ipctest.MountDev(); err != nil {
		return err
	}
	return unix.Mount("", "/dev/shm", "", unix.MS_REMOUNT, "size=64m")
}

// inNamespace makes t a parallel test in its own IPC namespace. The test fails if
// anything is left there at the end.
func inNamespace(t *testing.T) {
	t.Helper()
	t.Parallel()
	if err := enterNamespace(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, object := range objects(t.Fatal) {
			t.Errorf("left behind: %s", object)
		}
	})
}

// objects describes all objects of the calling goroutine's namespace with the contents
// of small segments, but without their users and times of use.
func objects(fatal func(...any)) (all []string) {
	for i, err := range sysv.Segments() {
		if err != nil {
			fatal(err)
		}
		i.ATime, i.DTime, i.LPID = time.Time{}, time.Time{}, 0
		all = append(all, fmt.Sprintf("segment %+v holding %s", i, digest(i)))
	}
	for i, err := range sysv.Sets() {
		if err != nil {
			fatal(err)
		}
		values, _ := sysv.Set(i.ID).Values()
		all = append(all, fmt.Sprintf("semaphore set %+v with %v", i, values))
	}
	for i, err := range sysv.Queues() {
		if err != nil {
			fatal(err)
		}
		all = append(all, fmt.Sprintf("message queue %+v", i))
	}
	return append(all, objectsPOSIX(fatal)...)
}

// objectsPOSIX describes the contents of /dev/shm and /dev/mqueue, without the times
// that reading changes, such as a queue's ctime.
func objectsPOSIX(fatal func(...any)) (all []string) {
	for i, err := range posix.Objects() {
		if err != nil {
			fatal(err)
		}
		i.ATime = time.Time{}
		contents, _ := os.ReadFile("/dev/shm" + i.Name)
		all = append(all, fmt.Sprintf("POSIX object %+v holding %x", i, sha256.Sum256(contents)))
	}
	for i, err := range posix.Semaphores() {
		if err != nil {
			fatal(err)
		}
		i.ATime = time.Time{}
		all = append(all, fmt.Sprintf("POSIX semaphore %+v", i))
	}
	for i, err := range posix.Queues() {
		if err != nil {
			fatal(err)
		}
		i.ATime, i.CTime = time.Time{}, time.Time{}
		all = append(all, fmt.Sprintf("POSIX queue %+v", i))
	}
	return all
}

func digest(i sysv.SegmentInfo) string {
	const small = 1 << 20
	if i.Size > small {
		return "much"
	}
	mem, err := sysv.Segment(i.ID).Attach(&sysv.AttachOptions{ReadOnly: true})
	if err != nil {
		return "contents that cannot be read: " + err.Error()
	}
	h := fnv.New64a()
	_, _ = h.Write(mem.Bytes()) // never fails
	if err := mem.Detach(); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%x", h.Sum64())
}

// install puts commands of this module into a new directory, which every user may enter.
// Under the race detector the commands are built with it too.
func install(t testing.TB, commands ...string) (dir string) {
	t.Helper()
	ipctest.SkipUnderQEMU(t, "it would run the commands of this machine")
	all := ipctest.Once(t, "commands", build)
	dir = t.TempDir()
	err := os.Chmod(filepath.Dir(dir), 0o755)
	for _, command := range commands {
		err = errors.Join(err, os.Link(filepath.Join(all, command), filepath.Join(dir, command)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func build(dir string) error {
	args := []string{"build", "-o", dir, "../cmd/gipcs", "../cmd/gshm"}
	if ipctest.UnderRace() {
		args = slices.Insert(args, 1, "-race")
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// eventually waits until condition holds. It is for conditions without an event to wait
// for, such as the kernel's counters.
func eventually(condition func() bool) error {
	for began := time.Now(); !condition(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			return errors.New("it did not happen in time")
		}
	}
	return nil
}
