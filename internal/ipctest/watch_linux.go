package ipctest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// A Watch measures how long something takes on a machine that may be busy with other things.
type Watch struct {
	began time.Time
	late  atomic.Int64 // the total delay in waking a sleeping thread
	stop  context.CancelFunc
}

// StartWatch starts to measure.
func StartWatch(t testing.TB) *Watch {
	ctx, stop := context.WithCancel(t.Context()) // ends with the test, which may not reach Stop
	w := &Watch{began: time.Now(), stop: stop}
	go func() {
		const nap = 10 * time.Millisecond
		for last := time.Now(); ; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(nap):
				now := time.Now()
				w.late.Add(int64(now.Sub(last) - nap))
				last = now
			}
		}
	}()
	return w
}

// Stop returns the time since the start. tooLong reports whether that exceeds limit, to
// which Stop adds 300 ms, and more if the machine was busy.
func (w *Watch) Stop(limit time.Duration) (took time.Duration, tooLong bool) {
	const slack, shares = 300 * time.Millisecond, 4
	took = time.Since(w.began)
	w.stop()
	return took, took > limit+slack+shares*time.Duration(w.late.Load())
}
