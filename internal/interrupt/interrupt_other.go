//go:build !linux

package interrupt

import (
	"context"

	"github.com/sysvipc/gipc/internal/abi"
)

// Do makes call once: outside Linux no call sleeps.
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
