package inventory

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
)

const (
	devShm    = "/dev/shm"
	devMqueue = "/dev/mqueue"
)

// A shmDir is the /dev/shm that a process sees, held open.
type shmDir struct {
	pid         int
	dir, mounts *os.File // the directory, and the mount namespace of the process
	id          file
}

func (d *shmDir) close() {
	d.dir.Close()
	d.mounts.Close()
}

// errNoDevShm is fs.ErrNotExist for a process without /dev/shm.
type errNoDevShm int

func (e errNoDevShm) Error() string { return fmt.Sprintf("process %d has no /dev/shm", int(e)) }

func (errNoDevShm) Is(target error) bool { return target == fs.ErrNotExist }

func refusedShm(pid int, why string) error { return fmt.Errorf("/dev/shm of process %d %s", pid, why) }

func failedCall(call string, pid int, err error) error {
	if errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("/dev/shm of other mount namespaces needs Linux 5.12: %w", os.NewSyscallError(call, err))
	}
	return fmt.Errorf("/dev/shm of process %d: %w", pid, os.NewSyscallError(call, err))
}

// openShm opens the /dev/shm of a process in the given IPC namespace. It follows no links
// and accepts only a tmpfs.
//
// In a user namespace of their own, any user can mount any directory on /dev/shm. The owner
// of a directory can remove every file in it. So openShm accepts a directory from another
// user namespace only if its owner has an id there: then root removes no file that this
// user could not remove. The caller's own /dev/shm is always accepted.
func openShm(proc string, pid int, namespace uint64) (d *shmDir, err error) {
	p, err := os.OpenFile(fmt.Sprintf("%s/%d", proc, pid), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	// Open the root first: a process that leaves this user namespace cannot return, so the
	// checks that follow cannot see more rights than the process had then.
	root, err := openIn(p, "root", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if inode, err := inodeIn(p, "ns/ipc"); err != nil || inode != namespace {
		return nil, cmp.Or(err, error(fs.ErrNotExist))
	}
	d = &shmDir{pid: pid}
	if d.mounts, err = openIn(p, "ns/mnt", unix.O_RDONLY); err != nil {
		return nil, err
	}
	if err = d.open(p, root); err != nil {
		d.mounts.Close()
		return nil, err
	}
	if own, e := ownShm(); e == nil && own == d.id {
		return d, nil
	}
	if err = d.guard(p); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// resolveCached makes openat2(2) return EAGAIN rather than ask a file system (RESOLVE_CACHED).
const resolveCached = 0x20

// open opens the directory without asking a file system that may not answer: a process that
// waits for a FUSE server cannot even be killed.
func (d *shmDir) open(p, root *os.File) error {
	mounts, err := readMounts(p)
	if err != nil {
		return err
	}
	how := &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | resolveCached,
	}
	fd, err := unix.Openat2(int(root.Fd()), "dev/shm", how)
	if errors.Is(err, unix.EAGAIN) { // it is not cached, or a permission is not
		if !leadsLocally(mounts) {
			return refusedShm(d.pid, "is behind a file system that may not answer")
		}
		how.Resolve &^= resolveCached
		fd, err = unix.Openat2(int(root.Fd()), "dev/shm", how)
	}
	switch {
	case errors.Is(err, unix.EINVAL): // Linux before 5.12 does not know resolveCached
		return failedCall("openat2", d.pid, unix.ENOSYS)
	case errors.Is(err, fs.ErrNotExist):
		return errNoDevShm(d.pid)
	case errors.Is(err, unix.ELOOP):
		return refusedShm(d.pid, "is reached through a symbolic link")
	case err != nil:
		return failedCall("openat2", d.pid, err)
	}
	d.dir = os.NewFile(uintptr(fd), devShm)
	var st unix.Statx_t
	err = unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_INO, &st)
	device := procfs.Device{Major: st.Dev_major, Minor: st.Dev_minor}
	if err == nil && !slices.ContainsFunc(mounts, func(m procfs.Mount) bool { return m.Device == device && isTmpfs(m) }) {
		err = refusedShm(d.pid, "is no tmpfs")
	}
	if err == nil {
		d.id, err = identify(d.dir)
	}
	if err != nil {
		d.dir.Close()
	}
	return err
}

func isTmpfs(m procfs.Mount) bool { return m.Type == "tmpfs" || m.Type == "devtmpfs" }

// readMounts reads the mounts from an open directory of /proc.
func readMounts(p *os.File) ([]procfs.Mount, error) {
	file, err := openIn(p, "mountinfo", unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	return slices.Collect(procfs.Mounts(text)), err
}

// leadsLocally reports whether the path to /dev/shm needs no server.
func leadsLocally(mounts []procfs.Mount) bool {
	known, local := false, true
	for _, m := range mounts {
		switch m.Point {
		case "/":
			known = true
			fallthrough
		case "/dev", devShm:
			local = local && (m.Local() || isTmpfs(m))
		}
	}
	return known && local
}

// guard refuses a directory of another user namespace whose owner has no id there.
func (d *shmDir) guard(p *os.File) error {
	own, err := ownUserNamespace()
	if err != nil {
		return err
	}
	users, err := inodeIn(p, "ns/user")
	if err != nil {
		return err
	}
	owner, err := unix.IoctlRetInt(int(d.mounts.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return failedCall("ioctl", d.pid, err)
	}
	defer unix.Close(owner)
	var st unix.Stat_t
	if err := unix.Fstat(owner, &st); err != nil {
		return failedCall("fstat", d.pid, err)
	}
	if st.Ino == own && users == own {
		return nil
	}
	if st.Ino != own && st.Ino != users {
		return refusedShm(d.pid, "is in a mount namespace of a third user namespace")
	}
	var dir unix.Stat_t
	if err := unix.Fstat(int(d.dir.Fd()), &dir); err != nil {
		return failedCall("fstat", d.pid, err)
	}
	maps, err := openIn(p, "uid_map", unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer maps.Close()
	text, err := io.ReadAll(maps)
	if err != nil {
		return err
	}
	if !mapsUser(text, dir.Uid) {
		return refusedShm(d.pid, fmt.Sprintf("belongs to user %d, who has no id in its user namespace", dir.Uid))
	}
	return nil
}

// identify returns the identity of an open file.
func identify(f *os.File) (file, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return file{}, &fs.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	return file{procfs.DeviceOf(uint64(st.Dev)), st.Ino}, nil
}

// ownShm returns the identity of the caller's /dev/shm.
func ownShm() (file, error) {
	var st unix.Stat_t
	if err := unix.Stat(devShm, &st); err != nil {
		return file{}, &fs.PathError{Op: "stat", Path: devShm, Err: err}
	}
	return file{procfs.DeviceOf(uint64(st.Dev)), st.Ino}, nil
}

// openIn opens a file of an open directory of /proc.
func openIn(p *os.File, name string, flags int) (*os.File, error) {
	path := p.Name() + "/" + name
	fd, err := unix.Openat(int(p.Fd()), name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// inodeIn returns the inode number of a namespace in an open directory of /proc.
func inodeIn(p *os.File, name string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(p.Fd()), name, &st, 0); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: p.Name() + "/" + name, Err: err}
	}
	return st.Ino, nil
}

func ownUserNamespace() (uint64, error) {
	const path = procfs.Root + "/self/ns/user"
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}

// mapsUser reports whether a uid_map maps a user id of the reader's user namespace
// (user_namespaces(7)).
func mapsUser(uidMap []byte, uid uint32) bool {
	for line := range bytes.Lines(uidMap) {
		fields := bytes.Fields(line)
		if len(fields) != 3 {
			return false
		}
		first, err := strconv.ParseUint(string(fields[1]), 10, 32)
		count, err2 := strconv.ParseUint(string(fields[2]), 10, 32)
		if err != nil || err2 != nil {
			return false
		}
		if first <= uint64(uid) && uint64(uid) < first+count {
			return true
		}
	}
	return false
}

// clone returns a detached mount of the directory that follows no symbolic links, opens
// no devices and runs no programs.
func (d *shmDir) clone() (tree *os.File, err error) {
	onThrowawayThread(func() {
		if err = unix.Unshare(unix.CLONE_FS); err != nil {
			err = failedCall("unshare", d.pid, err)
			return
		}
		if err = unix.Setns(int(d.mounts.Fd()), unix.CLONE_NEWNS); err != nil {
			err = failedCall("setns", d.pid, err)
			return
		}
		fd, e := unix.OpenTree(int(d.dir.Fd()), "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
		if e != nil {
			err = failedCall("open_tree", d.pid, e)
			return
		}
		tree = os.NewFile(uintptr(fd), devShm)
		err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{
			Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_NOSYMFOLLOW,
		})
		if err != nil {
			err = failedCall("mount_setattr", d.pid, err)
		}
	})
	if err != nil && tree != nil {
		tree.Close()
		tree = nil
	}
	return tree, err
}

// errNoAnswer is the error for a file system whose server does not answer.
func errNoAnswer(pid int) error { return refusedShm(pid, "does not answer") }

// patient is how long a file system may take to answer. A FUSE server may never answer.
const patient = time.Second

// within calls f, which inspects the /dev/shm of a process, and returns errNoAnswer after
// the limit. f then keeps a thread until it returns or the program ends.
func within[T any](limit time.Duration, pid int, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.value, r.err
	case <-timer.C:
		var none T
		return none, errNoAnswer(pid)
	}
}
