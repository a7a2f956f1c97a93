// Package rejoin runs the program again inside another user namespace.
//
// Only a process with a single thread can enter a user namespace (setns(2)), and a Go
// program always has several.
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

// Run runs this program, with its own arguments and with all capabilities, in the user
// namespace of an open file, waits for it, and returns its exit status. The caller must
// have created the namespace, or have CAP_SYS_ADMIN in it.
//
// The new process is killed if this one ends. Run passes on SIGTERM and SIGHUP; a terminal
// sends its signals to both processes.
func Run(file *os.File) (status int, err error) {
	runtime.LockOSThread() // for PR_SET_PDEATHSIG the parent is a thread
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

// A child holds everything the new process needs until it calls execve. It is a copy of a
// single thread, so it must not allocate memory or enter Go's scheduler.
type child struct {
	users  int // the user namespace
	report int // the pipe for a failure
	parent int
	path   *byte
	argv   []*byte
	env    []*byte
	mask   unix.Sigset_t // to restore; all signals are blocked until execve: no Go handler may run
	size   uintptr       // of the mask in the kernel

	header unix.CapUserHeader
	caps   [2]unix.CapUserData
	failed failure
}

// A failure is a failed step and its errno.
type failure struct {
	step  uint32
	errno uint32
}

const (
	stepSetns = iota
	stepCapabilities
	stepExec
)

// start returns the pid of the new process after its execve.
func start(users int) (pid int, err error) {
	c := &child{users: users, parent: os.Getpid(), size: 8, header: unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}}
	if strings.HasPrefix(runtime.GOARCH, "mips") { // mips has 128 signals
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
	r, w, err := os.Pipe() // execve closes both ends
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
	if n, _ := r.Read(b); n < len(b) { // execve has closed the pipe
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

// clone creates the new process, in which it does not return.
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

// become joins the namespace and runs the program with the capabilities gained there.
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
	// Without ambient capabilities, a user who is not root in the namespace loses all
	// capabilities in execve (capabilities(7)).
	c.caps[0].Inheritable, c.caps[1].Inheritable = c.caps[0].Permitted, c.caps[1].Permitted
	if _, _, errno = syscall.RawSyscall(unix.SYS_CAPSET, header, caps, 0); errno != 0 {
		c.fail(stepCapabilities, errno)
	}
	for i := uintptr(0); i < 64; i++ { // the kernel refuses numbers that it does not know
		_, _, _ = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, i, 0, 0, 0)
	}
	_, _, _ = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
	// A parent that has ended already sends no signal.
	if parent, _, _ := syscall.RawSyscall(unix.SYS_GETPPID, 0, 0, 0); int(parent) != c.parent {
		c.exit()
	}
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
	c.exit()
}

//go:noinline
//go:norace
//go:nosplit
func (c *child) exit() {
	for {
		_, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, 1, 0, 0)
	}
}
