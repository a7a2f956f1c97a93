package spin_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/spin"
)

func TestPause(t *testing.T) {
	spin.Pause(0) // returns
	const n = 100_000
	start := time.Now()
	spin.Pause(n)
	if d := time.Since(start); d < n || d > n*time.Microsecond {
		t.Errorf("Pause(%d) took %v, want 1 ns to 1 µs each", n, d)
	}
}

func TestUsefulOneProc(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if spin.Useful() {
		t.Error("spinning is useful with GOMAXPROCS=1")
	}
}

func BenchmarkPause(b *testing.B) {
	for range b.N {
		spin.Pause(1)
	}
}
