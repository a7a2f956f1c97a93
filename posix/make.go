package posix

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrMismatch is returned for something that exists and was made for something else: it
// has another size, or belongs to another user. The error says what it is.
var ErrMismatch = errors.New("it exists, and does not fit")

// NoAccess as the Mode of options stands for no permission bit at all: only root gets
// in. A Mode of 0 stands for 0600.
const NoAccess = fs.ModeIrregular

const defaultMode fs.FileMode = 0o600

// permissions returns the permission bits that a Mode of options stands for.
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

// fits checks that what exists may be taken for the caller's: that root, or the user that
// it runs as, owns it.
func (info FileInfo) fits(anyOwner bool) error {
	if me := uint32(os.Geteuid()); !anyOwner && info.UID != 0 && info.UID != me {
		return mismatch("it belongs to uid %d, and you are uid %d", info.UID, me)
	}
	return nil
}

func mismatch(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMismatch, fmt.Sprintf(format, args...))
}

// openOrCreate makes something, or finds what has the name. Between the two calls others
// may make it and unlink it.
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
