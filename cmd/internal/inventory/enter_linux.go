package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// Do calls f inside the place, on a thread of its own, like Namespace.Do. In f, /dev/shm is
// the place's, and /dev/mqueue shows the queues of its IPC namespace; all other files are
// the caller's. The Sight says what is missing.
//
// Do needs the same rights as Namespace.Do, or none if the caller is in the place already.
func (p Place) Do(f func(Sight) error) error {
	file, err := p.open()
	if err != nil {
		return err
	}
	defer file.Close()
	tree, err := p.cloneShm()
	if tree != nil {
		defer tree.Close()
	}
	here := tree == nil && err == nil
	sight := Sight{Kinds: p.Kinds, OtherShm: !here}
	sight.lack(err, inFiles()...)
	onThrowawayThread(func() {
		var own bool
		if own, err = p.join(file); err != nil {
			return
		}
		if sight.OtherIPC = !own; !own || !here {
			sight.furnish(tree)
		}
		err = f(sight)
	})
	return err
}

// join moves the calling thread into the namespace. own reports whether the thread was
// there already; then join does not call setns(2), which would need rights even so.
func (n Namespace) join(file *os.File) (own bool, err error) {
	if n.isOwn() {
		return true, nil
	}
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWIPC); err != nil {
		return false, &fs.PathError{Op: "setns", Path: file.Name(), Err: err}
	}
	return false, nil
}

// cloneShm returns the mount of the place's /dev/shm, or nil if it is the caller's own.
func (p Place) cloneShm() (*os.File, error) {
	if p.shm != nil || p.PID == 0 {
		return nil, p.shm
	}
	return within(patient, p.PID, func() (*os.File, error) {
		d, err := openShm(cmp.Or(p.proc, procfs.Root), p.PID, p.Inode)
		if err != nil {
			return nil, err
		}
		defer d.close()
		if own, err := ownShm(); err == nil && own == d.id {
			return nil, nil
		}
		return d.clone()
	})
}

// furnish gives the calling thread a mount namespace of its own. With OtherIPC, it mounts
// the queues of the thread's IPC namespace on /dev/mqueue. With OtherShm, it mounts tree
// on /dev/shm, or an empty file system if tree is nil.
func (s *Sight) furnish(tree *os.File) {
	err := os.NewSyscallError("unshare", unix.Unshare(unix.CLONE_NEWNS))
	if err == nil {
		err = os.NewSyscallError("mount", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	}
	if err != nil {
		s.lack(err, ref.POSIX()...)
		return
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if s.OtherIPC {
		err := unix.Mount("mqueue", devMqueue, "mqueue", flags, "")
		if err != nil && !errors.Is(err, unix.ENODEV) {
			s.lack(failedMount(devMqueue, err), ref.PMsg)
		}
	}
	switch {
	case !s.OtherShm:
		return
	case tree != nil:
		err = unix.MoveMount(int(tree.Fd()), "", unix.AT_FDCWD, devShm, unix.MOVE_MOUNT_F_EMPTY_PATH)
	default: // hides the caller's objects, which are not those of the place
		err = unix.Mount("tmpfs", devShm, "tmpfs", flags|unix.MS_RDONLY, "")
	}
	if err != nil && s.Missing[ref.PShm] == nil {
		s.lack(failedMount(devShm, err), inFiles()...)
	}
}

// failedMount returns an error that is not fs.ErrNotExist: a missing mount point does not
// mean that there are no objects.
func failedMount(path string, err error) error { return fmt.Errorf("mount %s: %v", path, err) }
