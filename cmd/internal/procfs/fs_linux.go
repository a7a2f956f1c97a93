package procfs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Root is the usual mount point of proc.
const Root = "/proc"

// An FS reads a proc file system. Its methods are not safe for concurrent use; see
// Clone.
type FS struct {
	dir  *os.File
	root string
	real bool
	buf  []byte
	path []byte

	devices  devices
	textOnly bool // the kernel has no PROCMAP_QUERY

	fault Fault // nil except in tests
}

// Open opens the proc file system mounted at root, or a directory tree that imitates
// one.
func Open(root string) (*FS, error) {
	dir, err := os.Open(root)
	if err != nil {
		return nil, err
	}
	var st unix.Statfs_t
	err = unix.Fstatfs(int(dir.Fd()), &st)
	return &FS{
		dir: dir, root: root, real: err == nil && int64(st.Type) == unix.PROC_SUPER_MAGIC,
		buf: make([]byte, 64<<10),
	}, nil
}

// Clone returns an FS for another goroutine. It shares the open directory.
func (f *FS) Clone() *FS {
	c := *f
	c.buf, c.path = make([]byte, len(f.buf)), nil
	return &c
}

// Close closes f and its clones.
func (f *FS) Close() error { return f.dir.Close() }

// Real reports whether f is a real proc file system, not an imitation.
func (f *FS) Real() bool { return f.real }

// name returns the path of a process's file, relative to the root.
func (f *FS) name(pid int, file string) string {
	f.path = append(append(strconv.AppendInt(f.path[:0], int64(pid), 10), '/'), file...)
	return string(f.path)
}

// taskName returns the path of a thread's file, relative to the root.
func (f *FS) taskName(pid, tid int, file string) string {
	f.path = append(strconv.AppendInt(f.path[:0], int64(pid), 10), "/task/"...)
	f.path = append(append(strconv.AppendInt(f.path, int64(tid), 10), '/'), file...)
	return string(f.path)
}

// PIDs returns the processes that are visible, in ascending order.
func (f *FS) PIDs() ([]int, error) { return f.numbers(".", nil) }

// Threads returns the threads of a process, in ascending order. It calls spend, unless
// nil, after every SpendEvery threads, and stops if spend returns an error.
func (f *FS) Threads(pid int, spend func() error) ([]int, error) {
	return f.numbers(f.name(pid, "task"), spend)
}

// IPCNamespace returns the inode number of a process's IPC namespace. It requires
// permission to trace the process (ptrace(2)).
func (f *FS) IPCNamespace(pid int) (uint64, error) { return f.namespace(f.name(pid, "ns/ipc"), "ipc") }

// ThreadIPCNamespace is IPCNamespace for a thread, which may have left its process's
// namespace.
func (f *FS) ThreadIPCNamespace(pid, tid int) (uint64, error) {
	return f.namespace(f.taskName(pid, tid, "ns/ipc"), "ipc")
}

// OwnIPCNamespace returns the IPC namespace of the calling thread.
func (f *FS) OwnIPCNamespace() (uint64, error) {
	inode, err := f.namespace("thread-self/ns/ipc", "ipc")
	if errors.Is(err, fs.ErrNotExist) { // Linux before 3.17
		return f.namespace("self/ns/ipc", "ipc")
	}
	return inode, err
}

// MountNamespace returns the inode number of a process's mount namespace. It requires
// permission to trace the process.
func (f *FS) MountNamespace(pid int) (uint64, error) {
	return f.namespace(f.name(pid, "ns/mnt"), "mnt")
}

func (f *FS) namespace(name, kind string) (uint64, error) {
	link, err := f.readLink(name)
	if err != nil {
		return 0, err
	}
	return ParseNamespace(kind, link)
}

// initialUserNamespace is the inode number of the initial user namespace since Linux
// 3.8.
const initialUserNamespace = 0xEFFFFFFD

// Owners returns the user namespaces in which a capability counts for the calling thread's
// IPC namespace: the owner of the IPC namespace, and the owner's ancestors. complete is
// false if some cannot be seen from here.
func (f *FS) Owners() (inodes []uint64, complete bool) {
	name := "thread-self/ns/ipc"
	fd, err := f.open(name)
	for err == nil {
		var owner int
		owner, err = f.call("ioctl", name, func() (int, error) { return unix.IoctlRetInt(fd, unix.NS_GET_USERNS) })
		unix.Close(fd)
		if err != nil {
			break
		}
		fd = owner
		var st unix.Stat_t
		if err = unix.Fstat(fd, &st); err == nil {
			inodes = append(inodes, st.Ino)
		}
		if err != nil || st.Ino == initialUserNamespace {
			unix.Close(fd)
			return inodes, err == nil
		}
	}
	return inodes, false
}

// initialPIDNamespace is the inode number of the initial pid namespace since Linux 3.8.
const initialPIDNamespace = 0xEFFFFFFC

// SeesAllProcesses reports whether the caller is in the initial pid namespace, where
// every process has an id.
func (f *FS) SeesAllProcesses() bool {
	inode, err := f.namespace("self/ns/pid", "pid")
	return err == nil && inode == initialPIDNamespace
}

// Foreign reports whether f shows another pid namespace than the caller's, so that pids
// from system calls mean nothing in it.
func (f *FS) Foreign() bool {
	if !f.real {
		return false
	}
	self, err := f.readLink("self")
	return err != nil || self != strconv.Itoa(os.Getpid())
}

// HasMemory reports whether a process has memory of its own; kernel threads and zombies
// do not. It requires permission to trace the process.
func (f *FS) HasMemory(pid int) (bool, error) {
	_, err := f.readLink(f.name(pid, "exe"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Comm returns the name of a process. Anybody may read it.
func (f *FS) Comm(pid int) (string, error) {
	b, err := f.read(f.name(pid, "comm"), smallFile)
	return string(bytes.TrimSuffix(b, []byte{'\n'})), err
}

// UID returns a process's effective user id, from the owner of its directory, which is
// much faster than Status. Anybody may read it.
func (f *FS) UID(pid int) (uint32, error) {
	st, err := f.stat(strconv.Itoa(pid), 0)
	return st.Uid, err
}

// Stat parses /proc/PID/stat. Anybody may read it.
func (f *FS) Stat(pid int) (Stat, error) {
	b, err := f.read(f.name(pid, "stat"), smallFile)
	if err != nil {
		return Stat{}, err
	}
	return ParseStat(b)
}

// Reach returns the id under which a process's files can be read: its own, or that of
// another thread if the main thread has ended. For a zombie or a kernel thread, the error
// is fs.ErrNotExist. stat is the process's Stat.
func (f *FS) Reach(stat Stat) (int, error) {
	switch {
	case stat.KernelThread:
		return 0, fs.ErrNotExist
	case !stat.Exiting:
		return stat.PID, nil
	}
	tids, err := f.Threads(stat.PID, nil)
	if err != nil {
		return 0, err
	}
	for _, tid := range tids {
		// A thread's directory exists under the root though it is not listed there.
		if stat, err := f.Stat(tid); err == nil && !stat.Exiting {
			return tid, nil
		}
	}
	return 0, fs.ErrNotExist
}

// Status parses /proc/PID/status. Anybody may read it.
func (f *FS) Status(pid int) (Status, error) {
	b, err := f.read(f.name(pid, "status"), smallFile)
	if err != nil {
		return Status{}, err
	}
	return ParseStatus(b)
}

// ThreadStat is Stat for a thread.
func (f *FS) ThreadStat(pid, tid int) (Stat, error) {
	b, err := f.read(f.taskName(pid, tid, "stat"), smallFile)
	if err != nil {
		return Stat{}, err
	}
	return ParseStat(b)
}

// ThreadStatus is Status for a thread, whose users may differ from those of its
// process.
func (f *FS) ThreadStatus(pid, tid int) (Status, error) {
	b, err := f.read(f.taskName(pid, tid, "status"), smallFile)
	if err != nil {
		return Status{}, err
	}
	return ParseStatus(b)
}

// RunTime returns how long a thread has run on a processor. Anybody may read it.
func (f *FS) RunTime(pid, tid int) (time.Duration, error) {
	b, err := f.read(f.taskName(pid, tid, "schedstat"), smallFile)
	if err != nil {
		return 0, err
	}
	return ParseRunTime(b)
}

// Container returns where a process runs. Anybody may read it.
func (f *FS) Container(pid int) (Container, error) {
	b, err := f.read(f.name(pid, "cgroup"), smallFile)
	if err != nil {
		return Container{}, err
	}
	return ParseCgroup(b), nil
}

// ContainerGroup returns the control group of a process's container. Anybody may read
// it.
func (f *FS) ContainerGroup(pid int) (ContainerGroup, error) {
	b, err := f.read(f.name(pid, "cgroup"), smallFile)
	if err != nil {
		return ContainerGroup{}, err
	}
	return ParseContainerGroup(b), nil
}

// Cmdline returns the arguments of a process. Anybody may read them.
func (f *FS) Cmdline(pid int) ([]string, error) {
	b, err := f.read(f.name(pid, "cmdline"), smallFile)
	return ParseList(b), err
}

// Environ returns the environment that a process was started with. It requires
// permission to trace the process.
func (f *FS) Environ(pid int) ([]string, error) {
	b, err := f.read(f.name(pid, "environ"), 1<<20)
	return ParseList(b), err
}

// UserNamespace returns the inode number of a thread's user namespace. It requires
// permission to trace the thread.
func (f *FS) UserNamespace(pid, tid int) (uint64, error) {
	return f.namespace(f.taskName(pid, tid, "ns/user"), "user")
}

// CWD returns the working directory of a process. It requires permission to trace it.
func (f *FS) CWD(pid int) (string, error) { return f.readLink(f.name(pid, "cwd")) }

// Call returns the system call that a thread is in. It requires permission to trace the
// thread.
func (f *FS) Call(pid, tid int) (Call, error) {
	b, err := f.read(f.taskName(pid, tid, "syscall"), smallFile)
	if err != nil {
		return Call{}, err
	}
	return ParseCall(b)
}

// ExecStart returns when a thread last ran; see ParseExecStart. Anybody may read it.
func (f *FS) ExecStart(pid, tid int) (time.Duration, error) {
	b, err := f.read(f.taskName(pid, tid, "sched"), smallFile)
	if err != nil {
		return 0, err
	}
	return ParseExecStart(b)
}

// OwnExecStart returns the calling thread's ExecStart: the present time on that clock.
func (f *FS) OwnExecStart() (time.Duration, error) {
	b, err := f.read("thread-self/sched", smallFile)
	if err != nil {
		return 0, err
	}
	return ParseExecStart(b)
}

// BootTime returns when the system was booted, by the clock as currently set.
func (f *FS) BootTime() (time.Time, error) {
	b, err := f.read("stat", largeFile)
	if err != nil {
		return time.Time{}, err
	}
	return ParseBootTime(b)
}

// SegmentMemory calls visit with the resident and swapped memory of each segment in the
// calling thread's IPC namespace, until visit returns false.
func (f *FS) SegmentMemory(visit func(SegmentMemory) (more bool)) error {
	const name = "sysvipc/shm"
	if f.fault != nil { // a fault may replace the contents
		b, err := f.read(name, largeFile)
		if err != nil {
			return err
		}
		return ParseSegmentMemory(bytes.NewReader(b), visit)
	}
	fd, err := f.open(name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return ParseSegmentMemory(reader{f, fd, name}, visit)
}

// DestroysDetached reports whether the kernel destroys segments of the calling thread's
// IPC namespace at their last detach (sysctl kernel.shm_rmid_forced).
func (f *FS) DestroysDetached() (bool, error) {
	b, err := f.read("sys/kernel/shm_rmid_forced", smallFile)
	if err != nil {
		return false, err
	}
	return string(bytes.TrimSpace(b)) != "0", nil
}

// NamespaceMounts returns the mounts of IPC namespaces that the caller sees.
func (f *FS) NamespaceMounts() ([]NamespaceMount, error) {
	b, err := f.read("self/mountinfo", largeFile)
	if err != nil {
		return nil, err
	}
	return ParseNamespaceMounts(b), nil
}

// HidePID returns the value of the mount option hidepid (proc(5)) of f, or "" if f is
// mounted without it.
func (f *FS) HidePID() (string, error) {
	b, err := f.read("self/mountinfo", largeFile)
	if err != nil {
		return "", err
	}
	return ParseHidePID(b, f.root), nil
}

// Path returns the path of a process's file.
func (f *FS) Path(pid int, file string) string { return f.root + "/" + f.name(pid, file) }

// Root returns where f is mounted.
func (f *FS) Root() string { return f.root }
