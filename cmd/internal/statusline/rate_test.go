package statusline

import (
	"testing"
	"time"
)

func TestStatus(t *testing.T) {
	tests := []struct {
		all, lately int64
		span, took  time.Duration
		want        string
	}{
		{0, 0, 0, 0, "0B  0B/s  0s"},
		{1 << 20, 1 << 20, time.Second, time.Second, "1M  1M/s  1s"},
		{10 << 30, 3 << 29, 500 * time.Millisecond, 2*time.Minute + 345*time.Millisecond, "10G  3G/s  2m0.3s"},
		{5, 0, time.Second, time.Hour, "5B  0B/s  1h0m0s"},
	}
	for _, test := range tests {
		if got := status(test.all, test.lately, test.span, test.took); got != test.want {
			t.Errorf("status(%d, %d, %v, %v) = %q, want %q", test.all, test.lately, test.span, test.took, got, test.want)
		}
	}
}
