package integration_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// A waiting is something that blocks forever.
type waiting struct {
	name string
	// waiter returns a function, for one goroutine, that waits until ctx ends.
	waiter func(b *testing.B) func(ctx context.Context) error
}

// locking returns lock without the answer to whether the last holder died.
func locking(lock func(context.Context) (bool, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := lock(ctx)
		return err
	}
}

// waitings returns everything that the packages can wait for.
func waitings() []waiting {
	return []waiting{
		{"Semaphore", onSet([]uint16{0}, func(s sysv.Set) (func(context.Context) error, error) {
			sem, err := semops.NewSemaphore(s, 0, nil)
			return func(ctx context.Context) error { return sem.Acquire(ctx, 1) }, err
		})},
		{"Mutex", onSet(semops.MutexValues(), func(s sysv.Set) (func(context.Context) error, error) {
			mu, err := semops.NewMutex(s, 0, 1)
			return locking(mu.Lock), errors.Join(err, locking(mu.Lock)(context.Background()))
		})},
		{"RWMutex", onSet(semops.RWMutexValues(), func(s sysv.Set) (func(context.Context) error, error) {
			mu, err := semops.NewRWMutex(s, 0)
			return mu.RLock, errors.Join(err, locking(mu.Lock)(context.Background()))
		})},
		{"Event", onSet(semops.EventValues(), func(s sysv.Set) (func(context.Context) error, error) {
			e, err := semops.NewEvent(s, 0)
			return e.Wait, err
		})},
		{"Barrier", onSet(semops.BarrierValues(1000), func(s sysv.Set) (func(context.Context) error, error) {
			bar, err := semops.NewBarrier(s, 0, 1000)
			return func(ctx context.Context) error { _, err := bar.Wait(ctx); return err }, err
		})},
		{"Cond", onSet(slices.Concat(semops.MutexValues(), semops.CondValues()), func(s sysv.Set) (func(context.Context) error, error) {
			mu, err := semops.NewMutex(s, 0, 1)
			if err != nil {
				return nil, err
			}
			c, err := semops.NewCond(mu, 2)
			return func(ctx context.Context) error {
				return mu.With(ctx, func(bool) error {
					_, err := c.Wait(ctx)
					return err
				})
			}, err
		})},
		{"Buffer", onSet(semops.BufferValues(10), func(s sysv.Set) (func(context.Context) error, error) {
			buf, err := semops.NewBuffer(s, 0, 10)
			return func(ctx context.Context) error { return buf.Take(ctx, func(int) error { return nil }) }, err
		})},
		{"sysv.Queue", onQueue},
		{"posix.Semaphore", onPOSIXSemaphore},
		{"shmring.Consumer", onRing(func(c *shmring.Consumer, _ *shmring.Producer) func(context.Context) error {
			return func(ctx context.Context) error { _, err := c.Receive(ctx); return err }
		})},
		{"shmring.Producer", onRing(func(_ *shmring.Consumer, p *shmring.Producer) func(context.Context) error {
			return func(ctx context.Context) error {
				for {
					if err := p.Send(ctx, make([]byte, 1024)); err != nil {
						return err
					}
				}
			}
		})},
	}
}

// onSet returns waiters that all wait for the same semaphores, with these values.
func onSet(values []uint16, open func(sysv.Set) (func(context.Context) error, error)) func(b *testing.B) func(context.Context) error {
	return func(b *testing.B) func(context.Context) error {
		set, err := sysv.CreateSet(sysv.Private, len(values), nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = set.Remove() })
		if err := set.SetValues(values); err != nil {
			b.Fatal(err)
		}
		wait, err := open(set)
		if err != nil {
			b.Fatal(err)
		}
		return wait
	}
}

func onQueue(b *testing.B) func(context.Context) error {
	q, err := sysv.CreateQueue(sysv.Private, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = q.Remove() })
	return func(ctx context.Context) error {
		_, _, err := q.Receive(ctx, make([]byte, 1), sysv.ReceiveOptions{})
		return err
	}
}

func onPOSIXSemaphore(b *testing.B) func(context.Context) error {
	m, err := posix.MapAnonymous(4096, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Unmap() })
	s, err := posix.InitSemaphore(m, 0, 0)
	if err != nil {
		b.Fatal(err)
	}
	return func(ctx context.Context) error { return s.Acquire(ctx, 1) }
}

// onRing returns waiters that each have a ring of their own, with both sides joined.
func onRing(side func(*shmring.Consumer, *shmring.Producer) func(context.Context) error) func(b *testing.B) func(context.Context) error {
	return func(b *testing.B) func(context.Context) error {
		const capacity = 4096
		m, err := posix.MapAnonymous(shmring.Size(capacity), nil)
		if err != nil {
			b.Fatal(err)
		}
		ring, err := shmring.Create(m.Bytes(), nil)
		if err != nil {
			b.Fatal(err)
		}
		c, errConsumer := ring.JoinConsumer()
		p, errProducer := ring.JoinProducer()
		if err := errors.Join(errConsumer, errProducer); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _, _, _ = p.Close(), c.Close(), m.Unmap() })
		return side(c, p)
	}
}

// asleepAfter is longer than any waiter spins before it sleeps.
const asleepAfter = 2 * time.Millisecond

// BenchmarkIdle measures the processor time of a hundred waiters while nothing happens,
// in percent of one processor.
func BenchmarkIdle(b *testing.B) {
	for _, w := range waitings() {
		b.Run(w.name, func(b *testing.B) {
			const waiters, windows, window = 100, 11, 500 * time.Millisecond
			ctx, cancel := context.WithCancel(b.Context())
			var group sync.WaitGroup
			shared := w.waiter(b)
			for i := range waiters {
				wait := shared
				if i > 0 && ofItsOwn(w.name) {
					wait = w.waiter(b)
				}
				group.Go(func() { _ = wait(ctx) })
			}
			time.Sleep(waiters * asleepAfter)
			runtime.GC() // not during the measurement
			var percent []float64
			for range windows {
				began, used := time.Now(), cpuTime(b)
				time.Sleep(window)
				percent = append(percent, 100*(cpuTime(b)-used).Seconds()/time.Since(began).Seconds())
			}
			cancel()
			group.Wait()
			slices.Sort(percent)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(percent[windows/2], "percent")
			b.ReportMetric(percent[0], "percent-min")
			b.ReportMetric(percent[windows-1], "percent-max")
		})
	}
}

// ofItsOwn reports whether each waiter needs its own object: a side of a ring is for
// one goroutine.
func ofItsOwn(name string) bool {
	return name == "shmring.Consumer" || name == "shmring.Producer"
}

// BenchmarkCancel measures how long a sleeping waiter takes to return after its context
// ends.
func BenchmarkCancel(b *testing.B) {
	for _, w := range waitings() {
		b.Run(w.name, func(b *testing.B) {
			const times = 300
			wait := w.waiter(b)
			var took []float64
			for range times {
				ctx, cancel := context.WithCancel(b.Context())
				returned := make(chan error)
				go func() { returned <- wait(ctx) }()
				time.Sleep(asleepAfter)
				began := time.Now()
				cancel()
				err := <-returned
				took = append(took, float64(time.Since(began).Nanoseconds())/1000)
				if !errors.Is(err, context.Canceled) {
					b.Fatalf("error %v, want %v", err, context.Canceled)
				}
			}
			slices.Sort(took)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(took[times/2], "us-p50")
			b.ReportMetric(took[times*99/100], "us-p99")
			b.ReportMetric(took[times-1], "us-max")
		})
	}
}
