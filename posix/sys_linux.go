package posix

import (
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file holds the system calls of package posix. Each function returns the error number.

// again repeats call while it is interrupted by a signal.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// openFile opens a regular file without following a link. O_NONBLOCK prevents a wait for
// the other end of a pipe that another user has put there.
func openFile(path string, access Access) (*os.File, error) {
	flags, err := access.flags()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return regular(f)
}

// regular closes f unless it is a regular file.
func regular(f *os.File) (*os.File, error) {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = refused("not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// unnamedFile creates a file that is freed when it is closed, unless it is linked.
func unnamedFile(dir string, mode fs.FileMode) (*os.File, error) {
	return os.OpenFile(dir, unix.O_TMPFILE|unix.O_RDWR, mode)
}

// linkFile gives a file from unnamedFile a name. It fails if the name is taken.
func linkFile(f *os.File, path string) error {
	return control(f, func(fd uintptr) error {
		return unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(int(fd)), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	})
}

func unlinkFile(path string) error { return unix.Unlink(path) }

// reserve allocates a chunk at a time, because older kernels give up everything that an
// interrupted call has allocated. It allocates nothing if it can tell that there is not
// enough memory.
func reserve(f *os.File, size int64) error {
	const chunk = 16 << 20
	if size <= 0 {
		return refused("size %d", size)
	}
	return control(f, func(fd uintptr) error {
		var st unix.Stat_t
		var fs unix.Statfs_t
		if err := errors.Join(unix.Fstat(int(fd), &st), unix.Fstatfs(int(fd), &fs)); err != nil {
			return err
		}
		if missing := size - st.Blocks*blockSize; fs.Blocks > 0 && missing > 0 && uint64(missing)/uint64(fs.Bsize) > fs.Bavail {
			return unix.ENOSPC
		}
		for off := int64(0); off < size; off += chunk {
			err := again(func() error { return unix.Fallocate(int(fd), 0, off, min(chunk, size-off)) })
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// hugeShift returns the exponent of a huge-page size, or 0 for the default.
func hugeShift(size int64) (int, error) {
	switch {
	case size == DefaultHugePages:
		return 0, nil
	case size > 1 && size&(size-1) == 0:
		return bits.TrailingZeros64(uint64(size)), nil
	default:
		return 0, refused("huge pages of %d bytes", size)
	}
}

// hugePageSize returns the size in bytes of huge pages specified as in MemfdOptions.
func hugePageSize(pages int64) (int, error) {
	f, err := memfdCreate("size", &MemfdOptions{HugePages: pages})
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return pageSize(f)
}

// descriptorsLeft reports whether the process can open one more descriptor.
func descriptorsLeft() bool {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return !errors.Is(err, unix.EMFILE)
	}
	_ = unix.Close(fd) // it was never written to
	return true
}

// queueBytes returns the soft limit RLIMIT_MSGQUEUE.
func queueBytes() uint64 {
	var limit unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &limit) // cannot fail
	return limit.Cur
}

// pageSize returns the page size, in bytes, of mappings of f.
func pageSize(f *os.File) (int, error) {
	var fs unix.Statfs_t
	err := control(f, func(fd uintptr) error { return again(func() error { return unix.Fstatfs(int(fd), &fs) }) })
	if err == nil && uint32(fs.Type) == unix.HUGETLBFS_MAGIC {
		return int(fs.Bsize), nil
	}
	return os.Getpagesize(), err
}

func memfdCreate(label string, o *MemfdOptions) (*os.File, error) {
	flags := unix.MFD_CLOEXEC
	if o.Sealing {
		flags |= unix.MFD_ALLOW_SEALING
	}
	if o.HugePages != 0 {
		shift, err := hugeShift(o.HugePages)
		if err != nil {
			return nil, err
		}
		flags |= unix.MFD_HUGETLB | shift<<unix.MFD_HUGE_SHIFT
	}
	fd, err := unix.MemfdCreate(label, flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), label), nil
}

func addSeals(f *os.File, seals Seals) error {
	return control(f, func(fd uintptr) error {
		_, err := unix.FcntlInt(fd, unix.F_ADD_SEALS, int(seals))
		return err
	})
}

func getSeals(f *os.File) (seals Seals, err error) {
	err = control(f, func(fd uintptr) error {
		s, err := unix.FcntlInt(fd, unix.F_GET_SEALS, 0)
		seals = Seals(max(s, 0))
		return err
	})
	return seals, err
}

// inheritFile takes over a descriptor after checking that it is a regular file: the number
// may belong to something else.
func inheritFile(fd int, name string) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, refused("not a regular file")
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name), nil
}

func (p Prot) bits() int {
	switch {
	case p == 0:
		return unix.PROT_READ | unix.PROT_WRITE
	case p == ProtNone:
		return unix.PROT_NONE
	}
	return bit(p&ProtRead != 0, unix.PROT_READ) | bit(p&ProtWrite != 0, unix.PROT_WRITE) | bit(p&ProtExec != 0, unix.PROT_EXEC)
}

// bit returns b if set is true, otherwise 0.
func bit(set bool, b int) int {
	if set {
		return b
	}
	return 0
}

func mmapFile(f *os.File, length int, o *MapOptions) (addr uintptr, err error) {
	flags := unix.MAP_SHARED
	if o.Private {
		flags = unix.MAP_PRIVATE
	}
	flags |= bit(o.NoReserve, unix.MAP_NORESERVE) | bit(o.Addr != 0, unix.MAP_FIXED_NOREPLACE)
	err = control(f, func(fd uintptr) error {
		addr, err = mmap(int(fd), o.Offset, o.Addr, length, o.Prot.bits(), flags)
		return err
	})
	return addr, err
}

func mmapAnonymous(length int, o *AnonymousOptions) (addr uintptr, page int, err error) {
	flags := unix.MAP_SHARED | unix.MAP_ANONYMOUS | bit(o.NoReserve, unix.MAP_NORESERVE)
	page = os.Getpagesize()
	if o.HugePages != 0 {
		shift, err := hugeShift(o.HugePages)
		if err != nil {
			return 0, 0, err
		}
		if page, err = hugePageSize(o.HugePages); err != nil {
			return 0, 0, err
		}
		if length%page != 0 {
			return 0, 0, refused("length %d is no multiple of huge pages of %d bytes", length, page)
		}
		flags |= unix.MAP_HUGETLB | shift<<unix.MAP_HUGE_SHIFT
	}
	addr, err = mmap(-1, 0, 0, length, o.Prot.bits(), flags)
	return addr, page, err
}

func mmap(fd int, off int64, at uintptr, length, prot, flags int) (uintptr, error) {
	// Converted through its address: vet rightly distrusts unsafe.Pointer(at).
	p, err := unix.MmapPtr(fd, off, *(*unsafe.Pointer)(unsafe.Pointer(&at)), uintptr(length), prot, flags)
	if err == nil && at != 0 && uintptr(p) != at { // before Linux 4.17 the address is only a hint
		err = errors.Join(unix.MunmapPtr(p, uintptr(length)), unix.EEXIST)
	}
	return uintptr(p), err
}

func munmap(mem []byte) error {
	return unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(mem)), uintptr(len(mem)))
}

// replace replaces a mapping with private zeros.
func replace(mem []byte) error {
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(unsafe.SliceData(mem)), uintptr(len(mem)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE|unix.MAP_FIXED)
	return err
}

func mprotect(mem []byte, prot Prot) error { return unix.Mprotect(mem, prot.bits()) }

func msync(mem []byte, flags SyncFlags) error {
	bits := bit(flags&SyncAsync != 0, unix.MS_ASYNC) | bit(flags&SyncWait != 0, unix.MS_SYNC) | bit(flags&SyncInvalidate != 0, unix.MS_INVALIDATE)
	return again(func() error { return unix.Msync(mem, bits) })
}

func mlock(mem []byte) error   { return again(func() error { return unix.Mlock(mem) }) }
func munlock(mem []byte) error { return again(func() error { return unix.Munlock(mem) }) }

// blockSize is the unit of st_blocks on every file system.
const blockSize = 512

func fileInfo(name string, info fs.FileInfo) FileInfo {
	st := info.Sys().(*syscall.Stat_t)
	return FileInfo{
		Name: name, UID: st.Uid, GID: st.Gid, Mode: info.Mode().Perm(), Size: st.Size, Memory: st.Blocks * blockSize,
		Dev: uint64(st.Dev), Ino: st.Ino, Links: uint64(st.Nlink),
		ATime: time.Unix(st.Atim.Unix()), MTime: time.Unix(st.Mtim.Unix()), CTime: time.Unix(st.Ctim.Unix()),
	}
}

func lstat(path string) (fs.FileInfo, error)    { return os.Lstat(path) }
func readDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }
func readFile(path string) ([]byte, error)      { return os.ReadFile(path) }

func statfs(path string) (Usage, error) {
	var st unix.Statfs_t
	if err := again(func() error { return unix.Statfs(path, &st) }); err != nil {
		return Usage{}, err
	}
	block := uint64(st.Bsize)
	return Usage{
		Size: st.Blocks * block, Free: st.Bavail * block, Used: (st.Blocks - st.Bfree) * block,
		Files: st.Files, FreeFiles: st.Ffree,
	}, nil
}

// checkQueueDir returns ErrNotMounted if the mqueue file system is not mounted.
func checkQueueDir() error {
	const mqueueMagic = 0x19800202
	var st unix.Statfs_t
	if err := unix.Statfs(queueDir, &st); err != nil {
		return fmt.Errorf("%w: %w", ErrNotMounted, err)
	}
	if uint32(st.Type) != mqueueMagic {
		return ErrNotMounted
	}
	return nil
}
