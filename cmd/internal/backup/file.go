package backup

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
)

// A heldFile is the open file of a POSIX object, under a lease if the kernel grants
// one. The lease proves that no other process has the file open or mapped. Without it
// the contents are compared, which misses a process that only maps the file.
type heldFile struct {
	file  *os.File
	path  string
	lease lease
	is    fs.FileInfo
	// copy saves the contents; same returns an error if they have changed since.
	copy func(going func() error) error
	same func() error
}

// holdFile opens the file that info describes and takes a lease on it.
func holdFile(o ref.Object, info *posix.FileInfo) (*heldFile, error) {
	h := &heldFile{path: path(o)}
	var err error
	if h.file, err = openPlain(h.path); err != nil {
		return nil, err
	}
	h.lease = takeLease(h.file)
	h.is, err = h.file.Stat()
	if err == nil {
		var dev, ino uint64
		if dev, ino, _, err = identity(h.file); err == nil && (dev != info.Dev || ino != info.Ino) {
			err = used("another " + o.Kind.Noun() + " has its name now")
		}
	}
	if err == nil && h.lease == leaseRefused {
		err = used("another process has it open or mapped, and what it writes during the save would be lost")
	}
	if err != nil {
		return nil, errors.Join(err, h.file.Close())
	}
	return h, nil
}

// path returns the file of a POSIX object.
func path(o ref.Object) string {
	switch o.Kind {
	case ref.PShm:
		return shmDir + o.Name
	case ref.PSem:
		return shmDir + "/sem." + o.Name[1:]
	default:
		return "/dev/mqueue" + o.Name
	}
}

// save copies the contents, and closes the file if that fails.
func (h *heldFile) save() error {
	err := h.copy(h.going)
	if err == nil {
		err = h.going()
	}
	if err != nil {
		return errors.Join(err, h.file.Close())
	}
	return nil
}

// going returns an error if copying must stop.
func (h *heldFile) going() error {
	if h.lease == leaseHeld && leaseBroken(h.file) {
		return ErrUsed
	}
	return nil
}

func (h *heldFile) exclusive() bool { return h.lease == leaseHeld }

func (h *heldFile) check() error {
	named, err := os.Lstat(h.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return used("it is already gone")
	case err != nil:
		return err
	case !os.SameFile(named, h.is):
		return used("another object has its name now")
	case named.Size() != h.is.Size() || named.Mode() != h.is.Mode() || !named.ModTime().Equal(h.is.ModTime()):
		return ErrUsed
	}
	if h.lease != leaseHeld {
		return h.same()
	}
	return h.going()
}

func (h *heldFile) kept() error { return h.file.Close() }

// removed gives the lease back, so that processes that opened the file since check can
// continue. It waits until they have closed the file, and saves it again. Nobody can find
// the file by name any more.
func (h *heldFile) removed(save func() error) error {
	if h.lease != leaseHeld {
		return h.file.Close()
	}
	time.Sleep(grace)
	err := retry(func() (bool, error) {
		if !leaseBroken(h.file) {
			return true, nil
		}
		giveLease(h.file)
		if takeLease(h.file) != leaseHeld {
			return false, nil
		}
		return false, errors.Join(h.copy(func() error { return nil }), save())
	})
	return errors.Join(err, h.file.Close())
}
