//go:build race

package order

import "sync/atomic"

// An Edge orders goroutines: everything one did before Release happens before what another
// does after Acquire.
type Edge struct{ n atomic.Uint32 }

// Release ends what comes before.
func (o *Edge) Release() { o.n.Add(1) }

// Acquire begins what comes after.
func (o *Edge) Acquire() { o.n.Load() }
