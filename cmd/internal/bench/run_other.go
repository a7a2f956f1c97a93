//go:build !linux

package bench

import (
	"context"
	"errors"
	"io"
	"iter"
)

// CPUs returns how many processors may run this process.
func CPUs() (int, error) { return 0, errors.ErrUnsupported }

// Run needs Linux.
func Run(context.Context, Config) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) { yield(Result{}, errors.ErrUnsupported) }
}

// Peer needs Linux.
func Peer(context.Context, []string, io.Writer) error { return errors.ErrUnsupported }
