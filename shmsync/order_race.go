//go:build race

package shmsync

import "sync/atomic"

// An order tells the race detector that what one goroutine did before release
// comes before what another does after acquire. That the kernel orders them, and
// the processors, it can't see.
type order struct{ n atomic.Uint32 }

func (o *order) release() { o.n.Add(1) }

func (o *order) acquire() { o.n.Load() }
