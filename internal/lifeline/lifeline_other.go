//go:build !linux

package lifeline

import (
	"errors"
	"os"
)

// Hold returns errors.ErrUnsupported: only Linux has locks of open file descriptions.
func (Line) Hold(int64) error { return errors.ErrUnsupported }

// Release does nothing.
func (Line) Release(int64) {}

// Held reports true.
func (Line) Held(int64) bool { return true }

// Close does nothing.
func (Line) Close() {}

// Outlives reports false.
func (Line) Outlives() bool { return false }

// Exclude returns errors.ErrUnsupported.
func (Line) Exclude(int64) (bool, error) { return false, errors.ErrUnsupported }

// Reopen returns errors.ErrUnsupported.
func Reopen(*os.File) (int, error) { return -1, errors.ErrUnsupported }

// OpenNamespace returns errors.ErrUnsupported.
func OpenNamespace() (*os.File, uint64, error) { return nil, 0, errors.ErrUnsupported }

// OpenFile returns errors.ErrUnsupported.
func OpenFile(uint64, []byte) (*os.File, int64, error) { return nil, 0, errors.ErrUnsupported }
