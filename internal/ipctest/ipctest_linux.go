// Package ipctest runs the tests of a package in an IPC namespace of their own, so
// that they can neither see nor harm the objects of the machine.
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

// inside tells the second process of Main in which namespaces of its own it is.
const inside = "GIPC_TEST_NAMESPACE"

// Values of inside.
const (
	ownIPC       = "ipc"
	ownIPCAndDev = "ipc,mnt" // a mount namespace as well: it may mount what it likes
)

// The namespaces of a process are those of its first thread, whatever its other threads
// have entered. So no test may get that thread and enter one with it: the function that
// calls the tests keeps it.
func init() { runtime.LockOSThread() }

// Main is the whole of a TestMain: it runs m in a new IPC namespace and exits. It
// fails the run if a test left an object, a process or a goroutine behind. Where no
// namespace can be made the run fails, unless GIPC_TEST_MAY_SKIP is set.
func Main(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	if fuzzWorker() {
		return m.Run()
	}
	if os.Getenv(inside) != "" {
		return checked(m.Run())
	}
	return runInside(ownIPC, unix.CLONE_NEWIPC)
}

// fuzzWorker tells whether this process is one of those that try inputs for another
// one, in whose namespaces it is and which looks after them.
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

// maySkip is the variable that allows packages to pass though none of their tests ran.
const maySkip = "GIPC_TEST_MAY_SKIP"

// untested returns the status of a package none of whose tests can run here: a failure,
// unless maySkip is set.
func untested(why string) int {
	if os.Getenv(maySkip) != "" {
		fmt.Fprintf(os.Stderr, "SKIPPED: all tests of this package: %s\n", why)
		return 0
	}
	fmt.Fprintf(os.Stderr, "No test of this package can run: %s.\n"+
		"They need IPC namespaces: be root, or allow user namespaces. Set %s=1 to pass without them.\n", why, maySkip)
	return 1
}

// reexec runs this program again in new namespaces and, unless it is run by root, in
// a new user namespace, in which it is root.
func reexec(where string, namespaces uintptr) error {
	runtime.LockOSThread() // Pdeathsig goes by the thread that starts the process
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

// checked returns the exit status of the run: a failure if goroutines, objects or
// processes are left.
func checked(status int) int {
	left := 0
	if err := goleak.Find(); err != nil && status == 0 { // a test that failed may leave what it likes
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

// Strangers describes the other processes of the calling thread's IPC namespace.
// One that is about to end is given time to do so.
func Strangers() (left []string) {
	if UnderQEMU() {
		return nil // they are those of integration/qemu.sh
	}
	const patience = 10 * time.Second
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if left = inNamespace(); len(left) == 0 || time.Since(began) > patience {
			return left
		}
	}
}

// inNamespace describes the processes that are in the IPC namespace now, but for
// this one. Of those that it may not look at it knows nothing.
func inNamespace() (all []string) {
	const namespace = "/ns/ipc"
	ours, err := os.Readlink("/proc/thread-self" + namespace)
	if err != nil {
		return nil // no /proc
	}
	processes, _ := filepath.Glob("/proc/[0-9]*") // the pattern is right
	for _, dir := range processes {
		theirs, err := os.Readlink(dir + namespace)
		if err != nil || theirs != ours || filepath.Base(dir) == strconv.Itoa(os.Getpid()) {
			continue
		}
		command, _ := os.ReadFile(dir + "/cmdline") // of one that ends it is empty
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
