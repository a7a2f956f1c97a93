//go:build !linux

package main

import (
	"errors"
	"os"
)

func lockFile(*os.File) (unlock func(), ok bool, err error) { return nil, false, errors.ErrUnsupported }
