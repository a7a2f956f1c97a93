// Package ipctest runs the tests of a package in their own IPC namespace, so that they
// can neither see nor harm the machine's objects.
package ipctest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/sysv"
)

// The environment variable inside tells the second process of Main which new namespaces it
// is in.
const inside = "GIPC_TEST_NAMESPACE"

// Values of inside.
const (
	ownIPC       = "ipc"
	ownIPCAndDev = "ipc,mnt" // also a mount namespace, in which it may mount anything
)

// A process's namespaces are those of its main thread, whatever its other threads have
// entered. So no test may run on the main thread and enter a namespace with it. The
// goroutine that calls the tests therefore keeps the main thread.
func init() { runtime.LockOSThread() }

// Main is all that a TestMain needs: it runs m in a new IPC namespace and exits. The
// run fails if a test left an object, a process or a goroutine behind, and if no
// namespace can be made, unless GIPC_TEST_MAY_SKIP is set.
func Main(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	if fuzzWorker() {
		return m.Run()
	}
	if os.Getenv(inside) != "" {
		return checked(runTests(m))
	}
	return runInside(ownIPC, unix.CLONE_NEWIPC)
}

// fuzzWorker reports whether this process is a fuzzing worker, whose parent made the
// namespaces and does the checks.
func fuzzWorker() bool { return slices.Contains(os.Args, "-test.fuzzworker") }

// runInside runs this program again in new namespaces and returns its status.
func runInside(where string, namespaces uintptr) int {
	err := reexec(where, namespaces)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return max(exit.ExitCode(), 1)
	default:
		return untested(fmt.Sprintf("no namespace of their own: %v", err))
	}
}

// If the environment variable maySkip is set, packages pass even if none of their tests
// ran.
const maySkip = "GIPC_TEST_MAY_SKIP"

// untested returns the status of a package whose tests cannot run here: failure, unless
// maySkip is set.
func untested(why string) int {
	if os.Getenv(maySkip) != "" {
		fmt.Fprintf(os.Stderr, "SKIPPED: all tests of this package: %s\n", why)
		return 0
	}
	fmt.Fprintf(os.Stderr, "No test of this package can run: %s.\n"+
		"They need IPC namespaces: be root, or allow user namespaces. Set %s=1 to pass without them.\n", why, maySkip)
	return 1
}

// reexec runs this program again in new namespaces. Unless the user is root, this
// includes a user namespace in which it is root.
func reexec(where string, namespaces uintptr) error {
	runtime.LockOSThread() // Pdeathsig refers to the thread that starts the process
	defer runtime.UnlockOSThread()

	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"="+where)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: unix.SIGKILL}
	if uid := os.Geteuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return cmd.Run()
}

// checked returns the run's exit status: failure if goroutines, objects or processes
// are left.
func checked(status int) int {
	left := 0
	if err := goleak.Find(); err != nil && status == 0 { // a failed test may leave anything
		fmt.Fprintf(os.Stderr, "left behind by a test: %v\n", err)
		left++
	}
	for _, process := range Strangers() {
		fmt.Fprintf(os.Stderr, "left behind by a test: %s\n", process)
		left++
	}
	for info, err := range sysv.Segments() {
		left += report("segment", info.ID, err)
	}
	for info, err := range sysv.Sets() {
		left += report("semaphore set", info.ID, err)
	}
	for info, err := range sysv.Queues() {
		left += report("message queue", info.ID, err)
	}
	if left > 0 && status == 0 {
		return 1
	}
	return status
}

// Strangers describes the other processes in the calling thread's IPC namespace. It
// gives processes that are about to end some time.
func Strangers() (left []string) {
	if UnderQEMU() {
		return nil // they belong to integration/qemu.sh
	}
	const patience = 10 * time.Second
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if left = inNamespace(); len(left) == 0 || time.Since(began) > patience {
			return left
		}
	}
}

// inNamespace describes the other processes in the IPC namespace. It misses processes that
// it may not inspect.
func inNamespace() (all []string) {
	const namespace = "/ns/ipc"
	ours, err := os.Readlink("/proc/thread-self" + namespace)
	if err != nil {
		return nil // no /proc
	}
	processes, _ := filepath.Glob("/proc/[0-9]*") // the pattern is valid
	for _, dir := range processes {
		theirs, err := os.Readlink(dir + namespace)
		if err != nil || theirs != ours || filepath.Base(dir) == strconv.Itoa(os.Getpid()) {
			continue
		}
		command, _ := os.ReadFile(dir + "/cmdline") // empty for a process that is ending
		all = append(all, fmt.Sprintf("process %s: %q", filepath.Base(dir), bytes.ReplaceAll(command, []byte{0}, []byte{' '})))
	}
	return all
}

func report(what string, id int, err error) int {
	if err != nil {
		fmt.Fprintf(os.Stderr, "looking for %ss that tests left: %v\n", what, err)
	} else {
		fmt.Fprintf(os.Stderr, "left behind by a test: %s %d\n", what, id)
	}
	return 1
}
