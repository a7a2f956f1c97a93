package units_test

import (
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/units"
)

func TestAppendDuration(t *testing.T) {
	const day = 24 * time.Hour
	for want, d := range map[string]time.Duration{
		"0s": 0, "59s": 59*time.Second + 999*time.Millisecond, "1m": time.Minute, "5m10s": 310 * time.Second,
		"1h": time.Hour + 59*time.Second, "23h59m": day - time.Second, "1d": day, "3d4h": 76*time.Hour + time.Minute, "400d": 400 * day,
	} {
		got := string(units.AppendDuration(nil, d))
		if got != want {
			t.Errorf("AppendDuration(%v) = %q, want %q", d, got, want)
		}
		if back, err := units.ParseDuration(got); err != nil || back > d {
			t.Errorf("ParseDuration(%q) = %v, %v", got, back, err)
		}
	}
}
