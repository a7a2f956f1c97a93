package sysv_test

import (
	"context"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// TestWaitsAllocateLittle passes a token back and forth. Each turn has two waits, most of
// which sleep, with at most three allocations each.
func TestWaitsAllocateLittle(t *testing.T) {
	ipctest.SkipUnderCheckptr(t)
	set := createSetWith(t, 0, 0)
	there, back := createQueue(t, sysv.Private, 0o600), createQueue(t, sysv.Private, 0o600)
	var text [8]byte
	for name, turn := range map[string]func(ctx context.Context, first bool) error{
		"Do": func(ctx context.Context, first bool) error {
			if first {
				if err := set.Do(ctx, sysv.Op{Num: 0, Add: 1}); err != nil {
					return err
				}
				return set.Do(ctx, sysv.Op{Num: 1, Add: -1})
			}
			if err := set.Do(ctx, sysv.Op{Num: 0, Add: -1}); err != nil {
				return err
			}
			return set.Do(ctx, sysv.Op{Num: 1, Add: 1})
		},
		"Receive": func(ctx context.Context, first bool) error {
			var buf [8]byte
			if first {
				if err := there.Send(ctx, 1, text[:]); err != nil {
					return err
				}
				_, _, err := back.Receive(ctx, buf[:], sysv.ReceiveOptions{})
				return err
			}
			if _, _, err := there.Receive(ctx, buf[:], sysv.ReceiveOptions{}); err != nil {
				return err
			}
			return back.Send(ctx, 1, text[:])
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		other := background(t, func() error {
			for ctx.Err() == nil {
				if err := turn(ctx, false); err != nil && ctx.Err() == nil {
					return err
				}
			}
			return nil
		})
		n := testing.AllocsPerRun(2000, func() {
			if err := turn(ctx, true); err != nil {
				t.Error(err)
			}
		})
		cancel()
		check(t, other())
		t.Logf("%s: %v allocations in a turn", name, n)
		if n > 6 {
			t.Errorf("%s: %v allocations in a turn of two waits, want 6 at most", name, n)
		}
	}
}
