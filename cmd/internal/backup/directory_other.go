//go:build !linux

package backup

import (
	"errors"
	"io/fs"
	"os"
)

func ownedByCaller(fs.FileInfo) bool { return true }

func lock(*os.File) error { return nil }

func removeEmpty(string) error { return nil }

func unnamedFile(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func linkFile(*os.File, string) error { return errors.ErrUnsupported }

func (s *Store) noteFile(*Entry, *os.File) error { return errors.ErrUnsupported }
