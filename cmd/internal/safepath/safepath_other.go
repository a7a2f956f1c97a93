//go:build !linux

package safepath

import (
	"errors"
	"os"
)

func OpenDir(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func Mkdir(string) (*os.File, bool, error) { return nil, false, errors.ErrUnsupported }

func OpenAppend(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func Rmdir(string) error { return errors.ErrUnsupported }
