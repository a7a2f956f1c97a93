//go:build race

package order

import "sync/atomic"

// An Edge orders goroutines: everything that a goroutine did before Release happens before
// what another does after a later Acquire.
type Edge struct{ n atomic.Uint32 }

// Release orders what the goroutine did before it.
func (o *Edge) Release() { o.n.Add(1) }

// Acquire orders what the goroutine does after it.
func (o *Edge) Acquire() { o.n.Load() }
