//go:build !linux

package memory

import "errors"

// Prefault is not supported outside Linux.
func (r *Region) Prefault() error { return errors.ErrUnsupported }

// Populate is not supported outside Linux.
func Populate([]byte) error { return errors.ErrUnsupported }
