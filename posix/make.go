package posix

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrMismatch is returned if an object exists but does not fit: its size or its owner
// differs from what the caller asked for. The error says what the object has.
var ErrMismatch = errors.New("it exists, and does not fit")

// NoAccess as the Mode of options means no permission bits at all: only root has access. A
// Mode of 0 means 0600.
const NoAccess = fs.ModeIrregular

const defaultMode fs.FileMode = 0o600

// permissions returns the permission bits that the Mode of options means.
func permissions(mode fs.FileMode) (fs.FileMode, error) {
	switch {
	case mode == 0:
		return defaultMode, nil
	case mode == NoAccess:
		return 0, nil
	case mode&^fs.ModePerm != 0:
		return 0, refused("mode %v holds more than permission bits", mode)
	default:
		return mode, nil
	}
}

// fits checks that an existing file belongs to root or the effective user.
func (info FileInfo) fits(anyOwner bool) error {
	if me := uint32(os.Geteuid()); !anyOwner && info.UID != 0 && info.UID != me {
		return mismatch("it belongs to uid %d, and you are uid %d", info.UID, me)
	}
	return nil
}

func mismatch(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMismatch, fmt.Sprintf(format, args...))
}

// openOrCreate opens or creates an object. Between the two calls, other processes may
// create and unlink it.
func openOrCreate[T any](create, open func() (T, error)) (_ T, made bool, err error) {
	for {
		found, err := open()
		if !errors.Is(err, fs.ErrNotExist) {
			return found, false, err
		}
		if found, err = create(); !errors.Is(err, fs.ErrExist) {
			return found, err == nil, err
		}
	}
}
