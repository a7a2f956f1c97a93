//go:build !linux

package interrupt

import (
	"context"

	"github.com/sysvipc/gipc/internal/abi"
)

// Do calls call once: no call sleeps outside Linux.
func Do(_ context.Context, call func() abi.Errno) error {
	if e := call(); e != 0 {
		return e
	}
	return nil
}

// DoRestarted is Do.
func DoRestarted(ctx context.Context, _ *abi.Deadline, call func() abi.Errno) error {
	return Do(ctx, call)
}
