package bench

import (
	"math"
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	values := []uint64{0, 1, 2, 3}
	for shift := 2; shift < 63; shift++ {
		for _, of16 := range []uint64{16, 17, 23, 31} {
			values = append(values, of16<<shift>>4-1, of16<<shift>>4, of16<<shift>>4+1)
		}
	}
	values = append(values, math.MaxInt64)
	var h histogram
	for _, v := range values {
		i := bucket(v)
		if i < 0 || i >= len(h.count) {
			t.Fatalf("bucket(%d) = %d of %d", v, i, len(h.count))
		}
		if got := middle(i); math.Abs(float64(got)-float64(v)) > float64(v)/100 {
			t.Errorf("%d is counted as %d, more than a percent off", v, got)
		}
	}
	for v := uint64(1); v < 1<<14; v++ {
		if step := bucket(v) - bucket(v-1); step != 0 && step != 1 {
			t.Fatalf("bucket(%d) - bucket(%d) = %d", v, v-1, step)
		}
	}
}

func TestQuantile(t *testing.T) {
	var empty histogram
	if got := empty.quantile(0.5); got != 0 {
		t.Errorf("median without times: %v", got)
	}
	var h histogram
	h.add(-1) // the clock went back
	for range 98 {
		h.add(100)
	}
	h.add(5000)
	for _, tt := range []struct {
		q    float64
		want time.Duration
	}{{0.01, 0}, {0.02, 100}, {0.5, 100}, {0.99, 100}, {1, 5000}} {
		if got := h.quantile(tt.q); math.Abs(float64(got-tt.want)) > float64(tt.want)/100 {
			t.Errorf("quantile(%v) = %d, want %d", tt.q, got, tt.want)
		}
	}
}
