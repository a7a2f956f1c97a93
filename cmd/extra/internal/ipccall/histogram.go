//go:build linux

package ipccall

import (
	"maps"
	"math/bits"
	"slices"
	"time"
)

// A histogram counts durations in classes that are at most an eighth wide.
type histogram struct {
	classes map[int]uint64
	n       uint64
	total   time.Duration
	most    time.Duration
}

const perDoubling = 8

func classOf(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < perDoubling {
		return int(n)
	}
	shift := bits.Len64(n) - bits.Len64(perDoubling)
	return shift*perDoubling + int(n>>shift)
}

// upper returns the longest duration of a class.
func upper(class int) time.Duration {
	if class < 2*perDoubling {
		return time.Duration(class)
	}
	shift := class/perDoubling - 1
	return time.Duration(uint64(class-shift*perDoubling+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	if h.classes == nil {
		h.classes = make(map[int]uint64)
	}
	h.classes[classOf(d)]++
	h.n++
	h.total += d
	h.most = max(h.most, d)
}

// quantile returns a duration that the given share of durations does not exceed, too long by
// an eighth at most; 0 if there are none.
func (h *histogram) quantile(share float64) time.Duration {
	rank, seen := uint64(share*float64(h.n)), uint64(0)
	for _, class := range slices.Sorted(maps.Keys(h.classes)) {
		if seen += h.classes[class]; seen > rank || seen == h.n {
			return min(upper(class), h.most)
		}
	}
	return h.most
}
