package memory

import "sync/atomic"

// Store sets *p before any load that follows it in the program. Package sync/atomic
// promises this for every store. But in a program built with -race, its stores to memory
// that Go did not allocate have no fence (golang.org/issue/58020); its other operations
// have one.
func Store(p *atomic.Uint64, v uint64) {
	if withRace {
		p.Swap(v)
	} else {
		p.Store(v)
	}
}

// Store32 is Store for 32 bits.
func Store32(p *atomic.Uint32, v uint32) {
	if withRace {
		p.Swap(v)
	} else {
		p.Store(v)
	}
}
