// Package rejoin runs the program again inside another user namespace.
//
// A process with several threads can't enter one (setns(2)), and a program in Go always
// has several.
package rejoin

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Run runs this program with its own arguments in the user namespace that file stands
// for, with all capabilities there, waits for its end and returns its exit status. The
// caller must have made the namespace, or have capabilities in it.
//
// The new process ends with this one. A SIGTERM or SIGHUP is passed on; what a terminal
// sends it sends to both.
func Run(file *os.File) (status int, err error) {
	runtime.LockOSThread() // whose end the new process is told of
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT)
	defer signal.Stop(signals)
	pid, err := start(int(file.Fd()))
	if err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			if s == unix.SIGTERM || s == unix.SIGHUP {
				_ = unix.Kill(pid, s.(syscall.Signal))
			}
		}
	}()
	var end unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &end, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, os.NewSyscallError("wait4", err)
		}
		if end.Signaled() {
			return 128 + int(end.Signal()), nil
		}
		return end.ExitStatus(), nil
	}
}

// A child holds all that the new process needs before it becomes a program: it is a
// copy of one thread, and must neither allocate memory nor meet Go's scheduler.
type child struct {
	users  int // the user namespace
	report int // where it says what failed
	path   *byte
	argv   []*byte
	env    []*byte
	mask   unix.Sigset_t // of signals, which Go's handlers must not meet before
	size   uintptr       // of the kernel's mask

	header unix.CapUserHeader
	caps   [2]unix.CapUserData
	failed failure
}

// A failure is a step that failed, and its errno.
type failure struct {
	step  uint32
	errno uint32
}

const (
	stepSetns = iota
	stepCapabilities
	stepExec
)

// start returns the pid of the new process once it runs the program.
func start(users int) (pid int, err error) {
	c := &child{users: users, size: 8, header: unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}}
	if strings.HasPrefix(runtime.GOARCH, "mips") { // which has 128 signals
		c.size = 16
	}
	if c.path, err = unix.BytePtrFromString("/proc/self/exe"); err != nil {
		return 0, err
	}
	if c.argv, err = syscall.SlicePtrFromStrings(os.Args); err != nil {
		return 0, err
	}
	if c.env, err = syscall.SlicePtrFromStrings(os.Environ()); err != nil {
		return 0, err
	}
	r, w, err := os.Pipe() // both ends are closed by execve
	if err != nil {
		return 0, err
	}
	defer r.Close()
	c.report = int(w.Fd())
	pid, err = c.fork()
	w.Close()
	if err != nil {
		return 0, err
	}
	b := make([]byte, unsafe.Sizeof(c.failed))
	if n, _ := r.Read(b); n < len(b) { // it has become the program
		return pid, nil
	}
	var end unix.WaitStatus
	_, _ = unix.Wait4(pid, &end, 0, nil)
	f := *(*failure)(unsafe.Pointer(&b[0]))
	return 0, os.NewSyscallError([...]string{"setns", "prctl", "execve"}[f.step], syscall.Errno(f.errno))
}

func (c *child) fork() (pid int, err error) {
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i]-- // every bit
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &c.mask); err != nil {
		return 0, os.NewSyscallError("sigprocmask", err)
	}
	n, errno := c.clone()
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &c.mask, nil); err != nil {
		return 0, os.NewSyscallError("sigprocmask", err)
	}
	runtime.KeepAlive(c)
	if errno != 0 {
		return 0, os.NewSyscallError("clone", errno)
	}
	return int(n), nil
}

// clone makes the new process, which does not return.
//
//go:noinline
//go:norace
//go:nosplit
func (c *child) clone() (pid uintptr, errno syscall.Errno) {
	flags, stack := uintptr(unix.SIGCHLD), uintptr(0)
	if runtime.GOARCH == "s390x" {
		flags, stack = stack, flags
	}
	pid, _, errno = syscall.RawSyscall6(unix.SYS_CLONE, flags, stack, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		c.become()
	}
	return pid, errno
}

// become joins the namespace, hands its capabilities on to the program and becomes it.
//
//go:noinline
//go:norace
//go:nosplit
func (c *child) become() {
	_, _, errno := syscall.RawSyscall(unix.SYS_SETNS, uintptr(c.users), unix.CLONE_NEWUSER, 0)
	if errno != 0 {
		c.fail(stepSetns, errno)
	}
	header, caps := uintptr(unsafe.Pointer(&c.header)), uintptr(unsafe.Pointer(&c.caps[0]))
	if _, _, errno = syscall.RawSyscall(unix.SYS_CAPGET, header, caps, 0); errno != 0 {
		c.fail(stepCapabilities, errno)
	}
	// A user who is not root there would lose them by execve otherwise (capabilities(7)).
	c.caps[0].Inheritable, c.caps[1].Inheritable = c.caps[0].Permitted, c.caps[1].Permitted
	if _, _, errno = syscall.RawSyscall(unix.SYS_CAPSET, header, caps, 0); errno != 0 {
		c.fail(stepCapabilities, errno)
	}
	for i := uintptr(0); i < 64; i++ { // those that do not exist are refused
		_, _, _ = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, i, 0, 0, 0)
	}
	_, _, _ = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
	_, _, _ = syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&c.mask)), 0, c.size, 0, 0)
	_, _, errno = syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(c.path)),
		uintptr(unsafe.Pointer(unsafe.SliceData(c.argv))), uintptr(unsafe.Pointer(unsafe.SliceData(c.env))))
	c.fail(stepExec, errno)
}

//go:noinline
//go:norace
//go:nosplit
func (c *child) fail(step uint32, errno syscall.Errno) {
	c.failed = failure{step, uint32(errno)}
	_, _, _ = syscall.RawSyscall(unix.SYS_WRITE, uintptr(c.report), uintptr(unsafe.Pointer(&c.failed)), unsafe.Sizeof(c.failed))
	for {
		_, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, 1, 0, 0)
	}
}
