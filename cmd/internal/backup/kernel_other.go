//go:build !linux

package backup

import (
	"errors"
	"io/fs"
	"os"

	"github.com/sysvipc/gipc/sysv"
)

func ownedByCaller(fs.FileInfo) bool { return true }

func lock(*os.File) error { return nil }

func (s *Store) room() (int64, error) { return 0, errors.ErrUnsupported }

func unnamedFile(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func linkFile(*os.File, string) error { return errors.ErrUnsupported }

func identity(*os.File) (dev, ino uint64, memory int64, err error) {
	return 0, 0, 0, errors.ErrUnsupported
}

func openPlain(string) (*os.File, error) { return nil, errors.ErrUnsupported }

type lease int

const (
	leaseUnknown lease = iota
	leaseHeld
	leaseRefused
)

func takeLease(*os.File) lease { return leaseUnknown }

func leaseBroken(*os.File) bool { return false }

func giveLease(*os.File) {}

func destroysDetached() (bool, error) { return false, errors.ErrUnsupported }

func attachedMemory(int, *sysv.Attachment, int64) (*memory, func(), error) {
	return nil, nil, errors.ErrUnsupported
}
