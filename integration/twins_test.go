package integration_test

import (
	"context"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/semops"
)

// A semaphore has the methods that both kinds of semaphores share, for programs that can
// use either.
type semaphore interface {
	Acquire(ctx context.Context, n int) error
	TryAcquire(n int) (bool, error)
	Release(n int) error
	Value() (int, error)
}

var (
	_ semaphore = (*semops.Semaphore)(nil)
	_ semaphore = (*posix.Semaphore)(nil)
)
