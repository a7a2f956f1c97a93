package lifeline

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lock is a struct flock for the byte of role i.
func (l Line) lock(kind int16, i int64) *unix.Flock_t {
	return &unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: l.Base + i, Len: 1}
}

// Hold shows that this process is alive in role i. The error is ErrExcluded while another
// line holds the bytes by Exclude.
func (l Line) Hold(i int64) error {
	err := unix.FcntlFlock(uintptr(l.FD), unix.F_OFD_SETLK, l.lock(unix.F_RDLCK, i))
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES):
		return ErrExcluded
	case err != nil:
		return fmt.Errorf("lock %d: %w", i, err)
	}
	return nil
}

// Release ends role i.
func (l Line) Release(i int64) {
	_ = unix.FcntlFlock(uintptr(l.FD), unix.F_OFD_SETLK, l.lock(unix.F_UNLCK, i))
}

// Held reports whether another line holds role i. In doubt, it returns true: taking a role
// from a living process would let two processes write the same memory.
func (l Line) Held(i int64) bool {
	lock := l.lock(unix.F_WRLCK, i)
	err := unix.FcntlFlock(uintptr(l.FD), unix.F_OFD_GETLK, lock)
	return err != nil || lock.Type != unix.F_UNLCK
}

// Close ends all roles that the line holds.
func (l Line) Close() { _ = unix.Close(l.FD) }

// Reopen opens the file of f once more. The descriptor of f, or a duplicate, would not do:
// other processes may share it and, with it, its locks.
func Reopen(f *os.File) (fd int, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	if conn.Control(func(n uintptr) { fd, err = open(fmt.Sprintf("/proc/self/fd/%d", n)) }) != nil {
		return -1, os.ErrClosed
	}
	return fd, err
}

func open(path string) (fd int, err error) {
	for {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if err == nil {
			return fd, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return -1, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// OpenNamespace opens the file of this process's IPC namespace, and returns its inode.
// Other processes in the namespace open the same file.
func OpenNamespace() (f *os.File, inode uint64, err error) {
	const path = "/proc/self/ns/ipc"
	fd, err := open(path)
	if err != nil {
		return nil, 0, err
	}
	f = os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		f.Close()
		return nil, 0, &os.PathError{Op: "fstat", Path: path, Err: err}
	}
	return f, st.Ino, nil
}

// Exclude locks the first n roles, so that no other line can hold one. It returns false if
// another line holds one. The line must be open for writing.
func (l Line) Exclude(n int64) (bool, error) {
	lock := &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: l.Base, Len: n}
	err := unix.FcntlFlock(uintptr(l.FD), unix.F_OFD_SETLK, lock)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil
	}
	return err == nil, err
}

// Outlives reports whether the file may survive a restart of the machine; files in memory
// do not.
func (l Line) Outlives() bool {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(l.FD, &fs); err != nil {
		return false
	}
	switch uint32(fs.Type) {
	case unix.TMPFS_MAGIC, unix.HUGETLBFS_MAGIC, unix.RAMFS_MAGIC:
		return false
	}
	return true
}

// A mappedFile is what /proc/self/maps shows for an address.
type mappedFile struct {
	path   string // "" if the file has no name any more
	inode  uint64
	offset int64 // of the address, in the file
}

// errNoFile means that memory is not mapped from a file that can be found.
var errNoFile = errors.New("no file with a name or an open descriptor")

// OpenFile opens the file whose shared mapping contains the address: by its name or, if
// that fails, through a descriptor of this process. It recognises the file by mark, the
// bytes that the file holds there. offset is the position of the address in the file.
func OpenFile(address uint64, mark []byte) (f *os.File, offset int64, err error) {
	m, err := mappedAt(address)
	if err == nil {
		f, err = m.find(mark)
	}
	return f, m.offset, err
}

// find opens the file.
func (m mappedFile) find(mark []byte) (*os.File, error) {
	cause := errNoFile
	if m.path != "" {
		f, err := m.open(m.path, mark)
		if err == nil {
			return f, nil
		}
		cause = err
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		n, err := strconv.Atoi(entry.Name())
		if err != nil || !m.isFile(n) {
			continue
		}
		f, err := m.open("/proc/self/fd/"+entry.Name(), mark)
		if err == nil {
			return f, nil
		}
		cause = err
	}
	return nil, cause
}

// open opens the file at path, and checks that it has the mark. It does not compare device
// numbers: for some file systems, maps shows other numbers than fstat(2).
func (m mappedFile) open(path string, mark []byte) (*os.File, error) {
	fd, err := open(path)
	if err != nil {
		return nil, err
	}
	if m.isFile(fd) {
		b := make([]byte, len(mark))
		n, err := unix.Pread(fd, b, m.offset)
		if err == nil && n == len(b) && bytes.Equal(b, mark) {
			return os.NewFile(uintptr(fd), path), nil
		}
	}
	_ = unix.Close(fd)
	return nil, errNoFile
}

// isFile reports whether fd may be a descriptor of the file.
func (m mappedFile) isFile(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Ino == m.inode && st.Mode&unix.S_IFMT == unix.S_IFREG
}

// mappedAt looks up the file whose shared mapping contains the address.
func mappedAt(address uint64) (m mappedFile, err error) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return m, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if m, ok := parseMapping(lines.Bytes(), address); ok {
			if m.inode == 0 {
				return m, errNoFile
			}
			return m, nil
		}
	}
	if err := lines.Err(); err != nil {
		return m, err
	}
	return m, errNoFile
}

// parseMapping reads a line of proc_pid_maps(5); ok reports whether the address is within
// it. For private memory, m is zero.
func parseMapping(line []byte, address uint64) (m mappedFile, ok bool) {
	fields := bytes.Fields(line)
	if len(fields) < 5 {
		return m, false
	}
	from, to, _ := strings.Cut(string(fields[0]), "-")
	start, err := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	offset, err3 := strconv.ParseInt(string(fields[2]), 16, 64)
	inode, err4 := strconv.ParseUint(string(fields[4]), 10, 64)
	if err := errors.Join(err, err2, err3, err4); err != nil || address < start || address >= end {
		return m, false
	}
	if !bytes.HasSuffix(fields[1], []byte("s")) {
		return m, true
	}
	m = mappedFile{inode: inode, offset: offset + int64(address-start)}
	// The name is the rest of the line. The kernel adds this suffix for a deleted file. A
	// file whose own name ends so can be found only through a descriptor.
	if at := bytes.IndexByte(line, '/'); at >= 0 && !bytes.HasSuffix(line, []byte(" (deleted)")) {
		m.path = string(line[at:])
	}
	return m, true
}
