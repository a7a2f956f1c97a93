//go:build !linux

package limits

import "errors"

func rlimit() (uint64, error) { return 0, errors.ErrUnsupported }
