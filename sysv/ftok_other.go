//go:build !linux

package sysv

import "errors"

func fileID(string) (dev, ino uint64, err error) { return 0, 0, errors.ErrUnsupported }
