//go:build race

package semops

import "sync/atomic"

// An order tells the race detector that everything one goroutine did before release
// happens before what another does after acquire. The detector cannot see the order that
// kernel and processors provide.
type order struct{ n atomic.Uint32 }

func (o *order) release() { o.n.Add(1) }

func (o *order) acquire() { o.n.Load() }
