package sysvipc

import (
	"errors"
	"io/fs"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/sysv"
)

// Mode returns a given mode in the form of package sysv, where 0 stands for 0600.
func Mode(given fs.FileMode) fs.FileMode {
	if given == 0 {
		return sysv.NoAccess
	}
	return given
}

// OpenOrCreateSegment makes a segment, or finds one with the key, as shmget(2) does. It
// accepts a segment of anybody that is large enough and grants what the mode asks for.
func OpenOrCreateSegment(key sysv.Key, size int64, o *sysv.SegmentOptions) (s sysv.Segment, made bool, err error) {
	for {
		s, err = sysv.CreateSegment(key, size, o)
		if !errors.Is(err, fs.ErrExist) {
			return s, err == nil, err
		}
		id, e := abi.Shmget(int32(key), uintptr(size), int(o.Mode.Perm()))
		switch e {
		case 0:
			return sysv.Segment(id), false, nil
		case abi.ENOENT: // removed meanwhile
		default:
			return -1, false, &sysv.Error{Op: "shmget", Kind: sysv.Shm, ByKey: true, Key: key, Size: size, Err: e}
		}
	}
}
