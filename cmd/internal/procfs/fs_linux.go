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

// Root is where proc is mounted.
const Root = "/proc"

// An FS reads a proc file system. Its methods must not be called by several
// goroutines at once; see Clone.
type FS struct {
	dir  *os.File
	root string
	real bool
	buf  []byte
	path []byte

	devices  devices
	textOnly bool // the kernel has no PROCMAP_QUERY

	fault Fault // nil but in tests
}

// Open opens the proc file system that is mounted at root, or a tree of files that
// stands in for one.
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

// Close ends the use of f and its clones.
func (f *FS) Close() error { return f.dir.Close() }

// Real tells whether f is a proc file system and no tree that stands in for one.
func (f *FS) Real() bool { return f.real }

// name returns the path of a file of a process, relative to the root.
func (f *FS) name(pid int, file string) string {
	f.path = append(append(strconv.AppendInt(f.path[:0], int64(pid), 10), '/'), file...)
	return string(f.path)
}

// taskName returns the path of a file of a thread.
func (f *FS) taskName(pid, tid int, file string) string {
	f.path = append(strconv.AppendInt(f.path[:0], int64(pid), 10), "/task/"...)
	f.path = append(append(strconv.AppendInt(f.path, int64(tid), 10), '/'), file...)
	return string(f.path)
}

// PIDs returns the processes that are visible, in ascending order.
func (f *FS) PIDs() ([]int, error) { return f.numbers(".", nil) }

// Threads returns the threads of a process, in ascending order. It calls spend, unless
// that is nil, whenever it has read SpendEvery more; an error of it ends the look.
func (f *FS) Threads(pid int, spend func() error) ([]int, error) {
	return f.numbers(f.name(pid, "task"), spend)
}

// IPCNamespace returns the inode number of the IPC namespace of a process. It
// needs the right to trace it (ptrace(2)).
func (f *FS) IPCNamespace(pid int) (uint64, error) { return f.namespace(f.name(pid, "ns/ipc"), "ipc") }

// OwnIPCNamespace returns the IPC namespace of the calling thread.
func (f *FS) OwnIPCNamespace() (uint64, error) {
	inode, err := f.namespace("thread-self/ns/ipc", "ipc")
	if errors.Is(err, fs.ErrNotExist) { // Linux before 3.17
		return f.namespace("self/ns/ipc", "ipc")
	}
	return inode, err
}

// MountNamespace returns the inode number of the mount namespace of a process. It needs
// the right to trace it.
func (f *FS) MountNamespace(pid int) (uint64, error) { return f.namespace(f.name(pid, "ns/mnt"), "mnt") }

func (f *FS) namespace(name, kind string) (uint64, error) {
	link, err := f.readLink(name)
	if err != nil {
		return 0, err
	}
	return ParseNamespace(kind, link)
}

// initialUserNamespace is the inode number that every kernel since 3.8 gives the user
// namespace it starts with.
const initialUserNamespace = 0xEFFFFFFD

// Owners returns the user namespaces in which a capability counts for the IPC namespace
// of the calling thread: the one that owns it and those above. Where they can't all be
// seen from here the list is not complete.
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

// initialPIDNamespace is the inode number that every kernel since 3.8 gives the
// pid namespace it starts with.
const initialPIDNamespace = 0xEFFFFFFC

// SeesAllProcesses tells whether the caller is in the initial pid namespace, where
// every process has an id.
func (f *FS) SeesAllProcesses() bool {
	inode, err := f.namespace("self/ns/pid", "pid")
	return err == nil && inode == initialPIDNamespace
}

// Foreign tells whether f shows the processes of another pid namespace than the
// caller's, so that ids that the kernel returns to the caller mean nothing there.
func (f *FS) Foreign() bool {
	if !f.real {
		return false
	}
	self, err := f.readLink("self")
	return err != nil || self != strconv.Itoa(os.Getpid())
}

// HasMemory tells whether a process has memory of its own: a kernel thread and a
// zombie have not. It needs the right to trace it.
func (f *FS) HasMemory(pid int) (bool, error) {
	_, err := f.readLink(f.name(pid, "exe"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Comm returns the name of a process. Everybody may read it.
func (f *FS) Comm(pid int) (string, error) {
	b, err := f.read(f.name(pid, "comm"), smallFile)
	return string(bytes.TrimSuffix(b, []byte{'\n'})), err
}

// UID returns the effective user id of a process: that of the owner of its
// directory, which is never anything else, and much faster to find out than Status.
// Everybody may know.
func (f *FS) UID(pid int) (uint32, error) {
	st, err := f.stat(strconv.Itoa(pid), 0)
	return st.Uid, err
}

// Stat returns what /proc/PID/stat tells. Everybody may read it.
func (f *FS) Stat(pid int) (Stat, error) {
	b, err := f.read(f.name(pid, "stat"), smallFile)
	if err != nil {
		return Stat{}, err
	}
	return ParseStat(b)
}

// Reach returns the id under which the files of a process are reached: its own, or
// that of another thread if the first one has ended and the others run on. A
// process that has ended altogether, though its parent may not have noticed, and a
// kernel thread are fs.ErrNotExist. stat is what Stat returned for the process.
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
		// A thread's directory is found under the root though it is not listed there.
		if stat, err := f.Stat(tid); err == nil && !stat.Exiting {
			return tid, nil
		}
	}
	return 0, fs.ErrNotExist
}

// Status returns what /proc/PID/status tells. Everybody may read it.
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

// ThreadStatus is Status for a thread, which may act as other users than its process.
func (f *FS) ThreadStatus(pid, tid int) (Status, error) {
	b, err := f.read(f.taskName(pid, tid, "status"), smallFile)
	if err != nil {
		return Status{}, err
	}
	return ParseStatus(b)
}

// RunTime returns for how long a thread has run on a processor. Everybody may know.
func (f *FS) RunTime(pid, tid int) (time.Duration, error) {
	b, err := f.read(f.taskName(pid, tid, "schedstat"), smallFile)
	if err != nil {
		return 0, err
	}
	return ParseRunTime(b)
}

// Container returns where a process runs. Everybody may know.
func (f *FS) Container(pid int) (Container, error) {
	b, err := f.read(f.name(pid, "cgroup"), smallFile)
	if err != nil {
		return Container{}, err
	}
	return ParseCgroup(b), nil
}

// ContainerGroup returns the control group of the container of a process. Everybody may
// know.
func (f *FS) ContainerGroup(pid int) (ContainerGroup, error) {
	b, err := f.read(f.name(pid, "cgroup"), smallFile)
	if err != nil {
		return ContainerGroup{}, err
	}
	return ParseContainerGroup(b), nil
}

// Cmdline returns the arguments of a process. Everybody may read them.
func (f *FS) Cmdline(pid int) ([]string, error) {
	b, err := f.read(f.name(pid, "cmdline"), smallFile)
	return ParseList(b), err
}

// Environ returns the environment that a process was started with. It needs the
// right to trace it.
func (f *FS) Environ(pid int) ([]string, error) {
	b, err := f.read(f.name(pid, "environ"), 1<<20)
	return ParseList(b), err
}

// UserNamespace returns the inode number of the user namespace of a thread. It needs
// the right to trace it.
func (f *FS) UserNamespace(pid, tid int) (uint64, error) {
	return f.namespace(f.taskName(pid, tid, "ns/user"), "user")
}

// CWD returns the working directory of a process. It needs the right to trace it.
func (f *FS) CWD(pid int) (string, error) { return f.readLink(f.name(pid, "cwd")) }

// Call returns the system call in which a thread is. It needs the right to trace
// it.
func (f *FS) Call(pid, tid int) (Call, error) {
	b, err := f.read(f.taskName(pid, tid, "syscall"), smallFile)
	if err != nil {
		return Call{}, err
	}
	return ParseCall(b)
}

// ExecStart returns when a thread was last running; see ParseExecStart. Everybody
// may read it.
func (f *FS) ExecStart(pid, tid int) (time.Duration, error) {
	b, err := f.read(f.taskName(pid, tid, "sched"), smallFile)
	if err != nil {
		return 0, err
	}
	return ParseExecStart(b)
}

// OwnExecStart returns ExecStart of the calling thread, which is now.
func (f *FS) OwnExecStart() (time.Duration, error) {
	b, err := f.read("thread-self/sched", smallFile)
	if err != nil {
		return 0, err
	}
	return ParseExecStart(b)
}

// BootTime returns when the system was started, by the clock as it is set now.
func (f *FS) BootTime() (time.Time, error) {
	b, err := f.read("stat", largeFile)
	if err != nil {
		return time.Time{}, err
	}
	return ParseBootTime(b)
}

// SegmentMemory calls visit for each segment of the IPC namespace of the calling
// thread with what is in memory of it and what is swapped out.
func (f *FS) SegmentMemory(visit func(SegmentMemory) (more bool)) error {
	const name = "sysvipc/shm"
	if f.fault != nil { // which may put something else in its place
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

// DestroysDetached tells whether the kernel destroys a segment of the calling
// thread's IPC namespace as soon as nobody is attached to it (sysctl
// kernel.shm_rmid_forced).
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

// Path returns the path of a file of a process.
func (f *FS) Path(pid int, file string) string { return f.root + "/" + f.name(pid, file) }

// Root returns where f is mounted.
func (f *FS) Root() string { return f.root }
