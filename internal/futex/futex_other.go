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

// A Waiter is a word and the value with which to sleep on it.
type Waiter struct{}

// Set does nothing.
func (*Waiter) Set(*uint32, uint32) {}

// MostWords is how many words WaitAny takes at most.
const MostWords = 128

// WaitAny returns errors.ErrUnsupported.
func WaitAny(context.Context, []Waiter, time.Duration) error { return errors.ErrUnsupported }
