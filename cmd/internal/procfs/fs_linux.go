package procfs

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/abi"
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

// failure turns an error number into what is documented: a process that ends
// while it is looked at is gone.
func (f *FS) failure(op, name string, err error) error {
	if err == unix.ESRCH {
		err = unix.ENOENT
	}
	return &fs.PathError{Op: op, Path: f.root + "/" + name, Err: err}
}

func (f *FS) open(name string) (int, error) {
	for {
		fd, err := unix.Openat(int(f.dir.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			return fd, nil
		}
		if err != unix.EINTR {
			return -1, f.failure("open", name, err)
		}
	}
}

// A reader reads from a file descriptor. os.File would register each one with the
// poller, which is a good part of the cost of a file so small.
type reader int

func (r reader) Read(p []byte) (int, error) {
	for {
		switch n, err := unix.Read(int(r), p); {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// read returns the contents of a file, at most limit bytes. They are valid until
// the next call.
func (f *FS) read(name string, limit int) ([]byte, error) {
	fd, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	have := 0
	for have < limit {
		if have == len(f.buf) {
			f.buf = append(f.buf, make([]byte, len(f.buf))...)
		}
		n, err := reader(fd).Read(f.buf[have:min(len(f.buf), limit)])
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, f.failure("read", name, err)
		}
		have += n
	}
	return f.buf[:have], nil
}

// Limits of what is read into memory. Lists of arguments may be large, and the
// kernel's tables grow with the number of objects.
const (
	smallFile = 64 << 10
	largeFile = 64 << 20
)

func (f *FS) readLink(name string) (string, error) {
	for {
		n, err := unix.Readlinkat(int(f.dir.Fd()), name, f.buf)
		if err == nil {
			return string(f.buf[:n]), nil
		}
		if err != unix.EINTR {
			return "", f.failure("readlink", name, err)
		}
	}
}

// PIDs returns the processes that are visible, in ascending order.
func (f *FS) PIDs() ([]int, error) { return f.numbers(".") }

// Threads returns the threads of a process, in ascending order.
func (f *FS) Threads(pid int) ([]int, error) { return f.numbers(f.name(pid, "task")) }

// numbers lists the entries of a directory that are numbers.
func (f *FS) numbers(name string) ([]int, error) {
	fd, err := unix.Openat(int(f.dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, f.failure("open", name, err)
	}
	dir := os.NewFile(uintptr(fd), f.root+"/"+name)
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	var list []int
	for _, name := range names {
		if n, ok := number([]byte(name)); ok && n <= 1<<31-1 {
			list = append(list, int(n))
		}
	}
	slices.Sort(list)
	if errors.Is(err, unix.ESRCH) {
		err = fs.ErrNotExist
	}
	return list, err
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

func (f *FS) namespace(name, kind string) (uint64, error) {
	link, err := f.readLink(name)
	if err != nil {
		return 0, err
	}
	return ParseNamespace(kind, link)
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

// Exists tells whether there is a process of this id, also one that f does not
// show because proc is mounted with hidepid.
func (f *FS) Exists(pid int) bool {
	var st unix.Stat_t
	if unix.Fstatat(int(f.dir.Fd()), strconv.Itoa(pid), &st, 0) == nil {
		return true
	}
	return f.real && unix.Kill(pid, 0) != unix.ESRCH
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

// Mappings calls visit for each segment mapping of a process. It needs the right
// to trace it. One without memory of its own (see HasMemory) is fs.ErrNotExist.
func (f *FS) Mappings(pid int, visit func(Mapping)) error { return f.AllMappings(pid, visit, nil) }

// AllMappings is Mappings and calls file, if it is not nil, for each mapping of a
// file, segments included, in the same pass.
func (f *FS) AllMappings(pid int, segment func(Mapping), file func(FileMapping)) error {
	if f.real && !f.devices.known {
		devices, err := f.segmentDevices()
		if err != nil {
			return err
		}
		f.devices = devices
	}
	segment = f.onDevices(segment)
	if f.real && !f.textOnly {
		err := f.readMaps(pid, func(fd int) error { return f.queryMaps(fd, segment, file) })
		if !errors.Is(err, unix.ENOTTY) {
			return err
		}
		f.textOnly = true // Linux before 6.11
	}
	// The text of a kernel thread's maps is empty, and costs as much as any.
	if has, err := f.HasMemory(pid); err != nil || !has {
		return cmp.Or(err, f.failure("read", f.name(pid, "maps"), unix.ENOENT))
	}
	return f.readMaps(pid, func(fd int) error {
		return scanText(reader(fd), f.buf, func(lines []byte) {
			scanLines(lines, segment)
			if file != nil {
				scanFiles(lines, file)
			}
		})
	})
}

// readMaps calls read with an open /proc/PID/maps.
func (f *FS) readMaps(pid int, read func(fd int) error) error {
	name := f.name(pid, "maps")
	fd, err := f.open(name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := read(fd); err != nil {
		return f.failure("read", name, err)
	}
	return nil
}

// onDevices returns a visit that leaves out mappings of other devices.
func (f *FS) onDevices(visit func(Mapping)) func(Mapping) {
	return func(m Mapping) {
		var ok bool
		if ok, m.HugePages = f.devices.holds(m.Device); ok {
			visit(m)
		}
	}
}

// queryMaps asks the kernel for the mappings of files alone, and of shared ones if
// none but segments are wanted, which is much faster than reading the text of all.
func (f *FS) queryMaps(fd int, segment func(Mapping), file func(FileMapping)) error {
	for addr := uint64(0); ; {
		q, n, e := f.nextFile(fd, addr, file == nil)
		switch e {
		case 0:
		case unix.ENOENT:
			return nil
		default:
			return e
		}
		addr = q.End
		device := Device{q.Major, q.Minor}
		if file != nil {
			file(FileMapping{device, q.Inode, q.Writable, q.Shared})
		}
		if key, ok := segmentName(f.buf[:n]); ok && q.Shared && q.Inode <= 1<<31-1 {
			segment(Mapping{
				Start: q.Start, End: q.End, Offset: q.Offset, Writable: q.Writable,
				Device: device, ID: int(q.Inode), Key: key,
			})
		}
	}
}

// nextFile returns the next mapping of a file, and the length of its name, which is
// in f.buf, if it may be that of a segment.
func (f *FS) nextFile(fd int, addr uint64, shared bool) (q abi.Procmap, n int, e abi.Errno) {
	if !shared { // few are, and names cost
		q, _, e = abi.NextFile(fd, addr, false, nil)
		if ok, _ := f.devices.holds(Device{q.Major, q.Minor}); e != 0 || !q.Shared || !ok {
			return q, 0, e
		}
		addr = q.Start
	}
	q, n, e = abi.NextFile(fd, addr, shared, f.buf[:64])
	if e == unix.ENAMETOOLONG { // no segment's
		q, n, e = abi.NextFile(fd, addr, shared, nil)
	}
	return q, n, e
}

// A Descriptor is an open file of a process.
type Descriptor struct {
	FD     int
	Device Device
	Inode  uint64
}

// Descriptors calls visit for each open file of a process. It needs the right to
// trace it.
func (f *FS) Descriptors(pid int, visit func(Descriptor)) error {
	name := f.name(pid, "fd")
	fd, err := unix.Openat(int(f.dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return f.failure("open", name, err)
	}
	dir := os.NewFile(uintptr(fd), f.root+"/"+name)
	defer dir.Close()
	numbers, err := dir.Readdirnames(-1)
	for _, digits := range numbers {
		n, ok := number([]byte(digits))
		device, inode, err := fileBehind(fd, digits)
		if ok && err == nil { // else it was closed meanwhile
			visit(Descriptor{int(n), device, inode})
		}
	}
	if errors.Is(err, unix.ESRCH) {
		err = fs.ErrNotExist
	}
	return err
}

// fileBehind returns which file a link leads to. It asks for what the kernel has in
// memory, rather than a server that might never answer.
func fileBehind(dir int, link string) (Device, uint64, error) {
	var x unix.Statx_t
	err := unix.Statx(dir, link, unix.AT_STATX_DONT_SYNC, unix.STATX_INO, &x)
	if err == unix.ENOSYS || err == unix.EPERM { // Linux before 4.11, or a filter of that time
		var st unix.Stat_t
		err = unix.Fstatat(dir, link, &st, 0)
		return DeviceOf(uint64(st.Dev)), st.Ino, err
	}
	return Device{x.Dev_major, x.Dev_minor}, x.Ino, err
}

// DeviceOf returns the device of a number as stat(2) has it.
func DeviceOf(dev uint64) Device { return Device{unix.Major(dev), unix.Minor(dev)} }

// Access tells for what a process has opened a descriptor.
func (f *FS) Access(pid, fd int) (read, write bool, err error) {
	const mayRead, mayWrite = 0o400, 0o200
	name := f.name(pid, "fd/"+strconv.Itoa(fd))
	var st unix.Stat_t
	if err := unix.Fstatat(int(f.dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return false, false, f.failure("stat", name, err)
	}
	return st.Mode&mayRead != 0, st.Mode&mayWrite != 0, nil
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
	var st unix.Stat_t
	name := strconv.Itoa(pid)
	if err := unix.Fstatat(int(f.dir.Fd()), name, &st, 0); err != nil {
		return 0, f.failure("stat", name, err)
	}
	return st.Uid, nil
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
	tids, err := f.Threads(stat.PID)
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

// Container returns where a process runs. Everybody may know.
func (f *FS) Container(pid int) (Container, error) {
	b, err := f.read(f.name(pid, "cgroup"), smallFile)
	if err != nil {
		return Container{}, err
	}
	return ParseCgroup(b), nil
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

// Bits returns whether the executable of a process is a 32-bit or a 64-bit one. It
// needs the right to trace it.
func (f *FS) Bits(pid int) (int, error) {
	const header = 5 // "\x7fELF" and the class
	name := f.name(pid, "exe")
	b, err := f.read(name, header)
	switch {
	case err != nil:
		return 0, err
	case bytes.Equal(b, []byte("\x7fELF\x01")):
		return 32, nil
	case bytes.Equal(b, []byte("\x7fELF\x02")):
		return 64, nil
	}
	return 0, badFormat(name)
}

// ReadMemory fills p from an address in the memory of a process. It needs the
// right to trace it.
func (f *FS) ReadMemory(pid int, addr uint64, p []byte) error {
	name := f.name(pid, "mem")
	fd, err := f.open(name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if addr > 1<<63-1 {
		return f.failure("read", name, unix.EIO)
	}
	for len(p) > 0 {
		n, err := unix.Pread(fd, p, int64(addr))
		switch {
		case err == unix.EINTR:
			continue
		case err == nil && n == 0: // the process has no memory any more
			err = unix.ESRCH
		}
		if err != nil {
			return f.failure("read", name, err)
		}
		p, addr = p[n:], addr+uint64(n)
	}
	return nil
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
func (f *FS) SegmentMemory(visit func(SegmentMemory)) error {
	b, err := f.read("sysvipc/shm", largeFile)
	if err != nil {
		return err
	}
	return ParseSegmentMemory(b, visit)
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
