//go:build !linux

package shmring

import (
	"errors"

	"github.com/sysvipc/gipc/posix"
)

func duplicate(*posix.Object) (*posix.Object, error) { return nil, errors.ErrUnsupported }
