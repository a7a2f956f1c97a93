package shmring_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/sysvipc/gipc/shmring"
)

// TestQuick is a look.
func testQuick(t *testing.T) {
	c := compileC(t, "ring")
	const count = 3_000_000
	for range 5 {
		for _, kind := range []string{"go", "c"} {
			_, f := newRing(t, 256<<10, shmring.One)
			run := func(role string, args ...any) (out []byte, err error) {
				if kind == "go" {
					return goPeer(t, self(t), f, role, args...).Output()
				}
				return command(c, f, append([]any{role}, args...)...).Output()
			}
			together(func() {
				if _, err := run("produce", count, 256); err != nil {
					t.Error(err)
				}
			}, func() {
				out, err := run("consume", 256)
				if err != nil {
					t.Error(err)
				}
				var n, ns int64
				fmt.Sscan(string(out), &n, &ns)
				fmt.Fprintf(os.Stderr, "%s: %.2f M/s\n", kind, float64(n)/float64(ns)*1000)
			})
		}
	}
}
