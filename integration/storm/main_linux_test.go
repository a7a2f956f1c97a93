// Package storm_test makes every blocking call of the module in a storm of signals, during
// garbage collections, on a single processor, with few threads, and among as many objects
// as a system can have.
package storm_test

import (
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
)

func TestMain(m *testing.M) {
	ipctest.Play(map[string]ipctest.Role{
		"few threads":   playFewThreads,
		"few processes": playFewProcesses,
		"too many":      playTooMany,
	})
	ipctest.Main(m)
}

// patience is how long a test waits for what should happen at once.
const patience = 60 * time.Second

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for began := time.Now(); !cond(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
