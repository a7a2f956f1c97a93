package backup

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
)

// A heldFile is the file of a POSIX object, open, and if the kernel gives one with a
// lease: then nobody else has it open or mapped. Where it does not, the contents are
// compared, which does not show who only has it mapped.
type heldFile struct {
	file  *os.File
	path  string
	lease lease
	is    fs.FileInfo
	// copy saves what the file holds, same returns an error if that has changed.
	copy func(going func() error) error
	same func() error
}

// holdFile opens the file of an object, which info tells of, and takes a lease.
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
		err = used("somebody has it open or mapped, and what they do with it while it is saved would be lost")
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

// save copies the contents, and gives the file back if that fails.
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

// going is asked in the middle of copying.
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
		return used("it is gone already")
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

// removed lets those go on who opened the file since check, and saves it once more when
// they have closed it. By its name nobody finds it any more.
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
