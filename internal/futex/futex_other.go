//go:build !linux

package futex

import (
	"context"
	"errors"
	"time"
)

// Wait returns errors.ErrUnsupported: only Linux has futexes.
func Wait(context.Context, *uint32, uint32, time.Duration) error { return errors.ErrUnsupported }

// Wake does nothing.
func Wake(*uint32, int) int { return 0 }
