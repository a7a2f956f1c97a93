package bench

import (
	"math/bits"
	"time"
)

// precision is how many of the highest bits of a time a histogram keeps: what it
// tells is right to a percent.
const precision = 7

// A histogram counts times, in the same memory however many there are. Times below
// 2^precision ns have a counter each, those of every further power of two half as
// many of that width.
type histogram struct {
	count    [(64 - precision + 2) << (precision - 1)]uint64
	observed uint64
}

func (h *histogram) add(d time.Duration) {
	h.count[bucket(uint64(max(d, 0)))]++
	h.observed++
}

// quantile returns the time that a share of q, above 0 and at most 1, does not
// exceed; 0 if there is none.
func (h *histogram) quantile(q float64) time.Duration {
	want := max(uint64(q*float64(h.observed)+0.5), 1)
	var seen uint64
	for i, n := range h.count {
		if seen += n; seen >= want {
			return time.Duration(middle(i))
		}
	}
	return 0
}

// bucket returns which counter is that of v.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-precision, 0)
	return shift<<(precision-1) + int(v>>shift)
}

// middle returns the value in the middle of those with counter i.
func middle(i int) uint64 {
	const half = 1 << (precision - 1)
	if i < 2*half {
		return uint64(i)
	}
	shift := i/half - 1
	return uint64(i%half+half)<<shift + 1<<shift/2
}
