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

// lock takes an exclusive lock on the directory, which ends when the file is closed or
// the process ends.
func lock(dir *os.File) error { return unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// room returns how many bytes the caller may still write to the directory's file
// system.
func (s *Store) room() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.self.Fd()), &st); err != nil {
		return 0, err
	}
	if st.Blocks == 0 { // the file system does not say
		return math.MaxInt64, nil
	}
	return int64(min(st.Bavail, math.MaxInt64/uint64(st.Bsize)) * uint64(st.Bsize)), nil
}

// unnamedFile makes a file that disappears when it is closed, unless linkFile names it.
func unnamedFile(dir string) (*os.File, error) {
	return os.OpenFile(dir, unix.O_TMPFILE|unix.O_RDWR, 0o600)
}

// linkFile gives a file of unnamedFile a name. It fails if the name is taken.
func linkFile(f *os.File, path string) error {
	return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
}

// identity returns a file's device, inode number and allocated bytes.
func identity(f *os.File) (dev, ino uint64, memory int64, err error) {
	const blockSize = 512
	var st unix.Stat_t
	err = unix.Fstat(int(f.Fd()), &st)
	return uint64(st.Dev), st.Ino, st.Blocks * blockSize, err
}

// openPlain opens the file of a POSIX object without ever blocking.
func openPlain(path string) (*os.File, error) {
	return os.OpenFile(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// A lease (fcntl(2)) is the kernel's guarantee that no other process, in any namespace,
// has a file open or mapped. A process that opens the file breaks the lease and blocks
// until it is given back.
type lease int

const (
	leaseUnknown lease = iota // the kernel grants the caller none
	leaseHeld
	leaseRefused // another process has it open or mapped
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

// attachedMemory returns the memory of an attached segment, and a function that closes
// it.
//
// Root may open the segment's file (/proc/self/map_files). Other users learn from the
// kernel which pages are in memory, but not which are swapped out.
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

// openMapped opens the file that is mapped at addr.
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

// mappedMemory reads a segment whose file may not be opened. It reads the pages that
// mincore(2) reports, provided that the segment has no others.
func mappedMemory(id int, mem *sysv.Attachment, size int64) (*memory, error) {
	has, err := segmentMemory(id)
	if err != nil {
		return nil, fmt.Errorf("cannot find out which of its pages are in memory: %w", err)
	}
	const most = 128 << 30 // the largest size that is checked page by page
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
	return nil, errors.New("only part of it is in memory; if it is swapped out, uses huge pages or is very large, only root (CAP_CHECKPOINT_RESTORE) can find out which part")
}

// segmentMemory returns how much of a segment is resident and swapped.
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
