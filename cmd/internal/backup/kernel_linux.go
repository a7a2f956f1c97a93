package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/sysv"
)

func ownedByCaller(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// lock takes the directory for this process alone; it has it until it closes it or
// ends, however it ends.
func lock(dir *os.File) error { return unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// room returns how many bytes the directory's file system has for the caller.
func (s *Store) room() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.self.Fd()), &st); err != nil {
		return 0, err
	}
	if st.Blocks == 0 { // it does not tell
		return math.MaxInt64, nil
	}
	return int64(min(st.Bavail, math.MaxInt64/uint64(st.Bsize)) * uint64(st.Bsize)), nil
}

// unnamedFile makes a file that goes when it is closed unless it is linked.
func unnamedFile(dir string) (*os.File, error) {
	return os.OpenFile(dir, unix.O_TMPFILE|unix.O_RDWR, 0o600)
}

// linkFile gives a file of unnamedFile a name, unless it is taken.
func linkFile(f *os.File, path string) error {
	return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
}

// identity returns device, inode number and bytes of memory of a file.
func identity(f *os.File) (dev, ino uint64, memory int64, err error) {
	const blockSize = 512
	var st unix.Stat_t
	err = unix.Fstat(int(f.Fd()), &st)
	return uint64(st.Dev), st.Ino, st.Blocks * blockSize, err
}

// openPlain opens the file of a POSIX object, and never waits.
func openPlain(path string) (*os.File, error) {
	return os.OpenFile(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// A lease is the kernel's word that nobody but the caller has a file open or mapped, in
// whatever namespace (fcntl(2)). Whoever opens the file meanwhile waits until it is
// given back, and breaks it.
type lease int

const (
	leaseUnknown lease = iota // the caller may have none
	leaseHeld
	leaseRefused // somebody has it open or mapped
)

func takeLease(f *os.File) lease {
	switch _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); {
	case err == nil:
		return leaseHeld
	case errors.Is(err, unix.EAGAIN):
		return leaseRefused
	default:
		return leaseUnknown
	}
}

// leaseBroken reports whether somebody has tried to open the file.
func leaseBroken(f *os.File) bool {
	is, err := unix.FcntlInt(f.Fd(), unix.F_GETLEASE, 0)
	return err != nil || is != unix.F_WRLCK
}

// giveLease gives the lease back, if there is one.
func giveLease(f *os.File) { _, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK) }

// destroysDetached reports whether the kernel destroys a segment at its last detach.
func destroysDetached() (bool, error) {
	proc, err := procfs.Open("/proc")
	if err != nil {
		return false, err
	}
	defer proc.Close()
	return proc.DestroysDetached()
}

// attachedMemory returns the memory of a segment that is attached, and a function that
// closes it.
//
// The kernel lets root open the file that a segment is (/proc/self/map_files). To others
// it tells for each page whether it is in memory, but not whether it is in swap space.
func attachedMemory(id int, mem *sysv.Attachment, size int64) (m *memory, done func(), err error) {
	f, err := openMapped(mem.Addr())
	if err != nil {
		m, err = mappedMemory(id, mem, size)
		return m, func() {}, err
	}
	done = func() { f.Close() }
	_, _, present, err := identity(f)
	var st unix.Statfs_t
	if err == nil {
		err = unix.Fstatfs(int(f.Fd()), &st)
	}
	switch {
	case err != nil:
	case uint32(st.Type) == unix.HUGETLBFS_MAGIC:
		m, err = ofHugePages(f, size, present)
	default:
		m = ofFile(f, size, present)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return m, done, nil
}

// openMapped opens the file that is mapped at an address.
func openMapped(addr uintptr) (*os.File, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	begin := fmt.Appendf(nil, "%08x-", addr)
	for line := range bytes.Lines(maps) {
		if bytes.HasPrefix(line, begin) {
			name, _, _ := bytes.Cut(line, []byte(" "))
			var from, to uint64
			if _, err := fmt.Sscanf(string(name), "%x-%x", &from, &to); err != nil {
				return nil, err
			}
			return os.Open(fmt.Sprintf("/proc/self/map_files/%x-%x", from, to))
		}
	}
	return nil, fs.ErrNotExist
}

// mappedMemory is the memory of a segment whose file may not be opened: the pages that
// mincore(2) calls present, provided that these are all that the segment has.
func mappedMemory(id int, mem *sysv.Attachment, size int64) (*memory, error) {
	has, err := segmentMemory(id)
	if err != nil {
		return nil, fmt.Errorf("which of its pages are in memory can't be known: %w", err)
	}
	const most = 128 << 30 // is looked at page by page
	page := int64(os.Getpagesize())
	m := &memory{ReaderAt: mem, size: size, present: int64(has.Resident + has.Swapped)}
	m.next = func(int64) (int64, int64, error) { return size, size, nil }
	if m.present == 0 {
		return m, nil
	}
	there := func(offset int64, pages []byte) error {
		end := min(offset+int64(len(pages))*page, size)
		if e := abi.Mincore(mem.Bytes()[offset:end], pages); e != 0 {
			return e
		}
		return nil
	}
	if size <= most {
		next := ofPages(size, page, there)
		found, err := total(next, size)
		if found == m.present || err != nil {
			m.next = next
			return m, err
		}
	}
	if has.Swapped > 0 && m.present >= size {
		m.next = func(offset int64) (int64, int64, error) { return offset, size, nil }
		return m, nil
	}
	return nil, errors.New("only a part of it is in memory, and which one only root (CAP_CHECKPOINT_RESTORE) can tell if it is swapped out, of huge pages, or very large")
}

// segmentMemory returns what is in memory of a segment.
func segmentMemory(id int) (is procfs.SegmentMemory, err error) {
	proc, err := procfs.Open("/proc")
	if err != nil {
		return is, err
	}
	defer proc.Close()
	found := false
	err = proc.SegmentMemory(func(m procfs.SegmentMemory) (more bool) {
		if m.ID == uint64(id) {
			is, found = m, true
		}
		return !found
	})
	if err == nil && !found {
		err = fs.ErrNotExist
	}
	return is, err
}
