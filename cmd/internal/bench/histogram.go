package bench

import (
	"math/bits"
	"time"
)

// precision is how many leading bits of a time a histogram keeps: its results are
// accurate to one percent.
const precision = 7

// A histogram counts times in constant memory. Times below 2^precision ns have one
// counter each; each further power of two has half as many counters, each twice as
// wide.
type histogram struct {
	count    [(64 - precision + 2) << (precision - 1)]uint64
	observed uint64
}

func (h *histogram) add(d time.Duration) {
	h.count[bucket(uint64(max(d, 0)))]++
	h.observed++
}

// quantile returns the smallest time that a share q (0 < q <= 1) of all times does not
// exceed, 0 if there are none.
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

// bucket returns the index of the counter for v.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-precision, 0)
	return shift<<(precision-1) + int(v>>shift)
}

// middle returns the middle of the values that counter i counts.
func middle(i int) uint64 {
	const half = 1 << (precision - 1)
	if i < 2*half {
		return uint64(i)
	}
	shift := i/half - 1
	return uint64(i%half+half)<<shift + 1<<shift/2
}
