package tracer

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/extra/internal/ipccall"
)

// childName is the name, argument 0, of the process that becomes the traced program.
const childName = "gshm-trace: starting"

// The main goroutine keeps the main thread, so that the filter that Child installs is on
// the thread that the tracer has seized, and that execs.
func init() { runtime.LockOSThread() }

// Child must be the first statement of the main function of a program that calls Run. In the
// process that Run makes, it becomes the program that is to be traced. In all others it does
// nothing.
func Child() {
	const name, channel, path, argv = 0, 1, 2, 3 // the arguments
	if len(os.Args) <= argv || os.Args[name] != childName {
		return
	}
	fd, err := strconv.Atoi(os.Args[channel])
	if err != nil {
		os.Exit(1)
	}
	unix.CloseOnExec(fd)
	if _, err := unix.Write(fd, []byte{0}); err != nil { // ready to be seized
		os.Exit(1)
	}
	if n, err := unix.Read(fd, make([]byte, 1)); n != 1 || err != nil { // the tracer has not seized this process
		os.Exit(1)
	}
	step, err := becomeTraced(os.Args[path], os.Args[argv:])
	var e unix.Errno
	errors.As(err, &e)
	_, _ = unix.Write(fd, []byte(step+" "+strconv.Itoa(int(e)))) // the tracer may be gone
	os.Exit(1)
}

// The steps of the child that can fail.
const (
	stepFilter = "seccomp"
	stepExec   = "exec"
)

// becomeTraced installs the filter and replaces this process. It returns only if a step
// fails.
func becomeTraced(path string, argv []string) (step string, err error) {
	if err := installFilter(); err != nil {
		return stepFilter, err
	}
	// The tracer checks that it can see this call, which does nothing.
	_, _, _ = unix.Syscall(unix.SYS_SHMDT, 1, 0, 0)
	return stepExec, syscall.Exec(path, argv, os.Environ())
}

// installFilter installs the filter for the calling thread and its future children.
func installFilter() error {
	code := ipccall.Filter(unix.SECCOMP_RET_TRACE)
	filter := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	install := func() error {
		return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0)
	}
	err := install()
	if errors.Is(err, unix.EACCES) { // without CAP_SYS_ADMIN the process must give up gaining privileges
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
		err = install()
	}
	return err
}

// failure turns the message of a child into an error.
func failure(path, message string) error {
	step, number, _ := strings.Cut(message, " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("run %s: the process ended before it could start the program", path)
	}
	e := unix.Errno(n)
	if step == stepFilter {
		return fmt.Errorf("the kernel refuses a seccomp filter (%w): a container needs a profile that allows seccomp(2) and prctl(2)", e)
	}
	return &os.PathError{Op: "run", Path: path, Err: e}
}
