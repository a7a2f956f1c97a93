package storm_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// A wait is a blocking call, and what releases it.
type wait struct {
	name    string
	call    func(context.Context) error
	release func() error
}

// A timed is a call that waits until its context's deadline.
type timed struct {
	name string
	call func(context.Context) error
}

// waits returns every blocking call of the module, each on its own objects.
func waits(t *testing.T) (all []wait, times []timed) {
	for _, some := range []func(*testing.T) ([]wait, []timed){sysvWaits, semopsWaits, posixWaits, ringWaits} {
		w, d := some(t)
		all, times = append(all, w...), append(times, d...)
	}
	return all, times
}

// newSet makes a set that lasts for the test.
func newSet(t testing.TB, values ...uint16) sysv.Set {
	t.Helper()
	set, err := sysv.CreateSet(sysv.Private, len(values), nil)
	check(t, err)
	t.Cleanup(func() { check(t, set.Remove()) })
	check(t, set.SetValues(values))
	return set
}

// newQueue makes a queue that holds up to bytes.
func newQueue(t testing.TB, bytes uint64) sysv.Queue {
	t.Helper()
	queue, err := sysv.CreateQueue(sysv.Private, nil)
	check(t, err)
	t.Cleanup(func() { check(t, queue.Remove()) })
	check(t, queue.SetOwnership(sysv.Ownership{Mode: 0o600}, bytes))
	return queue
}

func sysvWaits(t *testing.T) (waits []wait, timeouts []timed) {
	set, full, empty := newSet(t, 0, 1, 0), newQueue(t, 1), newQueue(t, 1)
	check(t, full.Send(t.Context(), 1, []byte("x")))
	waits = []wait{
		{
			"sysv Set.Do",
			func(ctx context.Context) error { return set.Do(ctx, sysv.Op{Add: -1}) },
			func() error { return set.Do(t.Context(), sysv.Op{Add: 1}) },
		},
		{
			"sysv Set.Do for zero",
			func(ctx context.Context) error { return set.Do(ctx, sysv.Op{Num: 1}) },
			func() error { return set.SetValue(1, 0) },
		},
		{
			"sysv Queue.Send",
			func(ctx context.Context) error { return full.Send(ctx, 2, []byte("y")) },
			func() error {
				_, _, err := full.Receive(t.Context(), make([]byte, 1), sysv.ReceiveOptions{Type: 1})
				return err
			},
		},
		{
			"sysv Queue.Receive",
			func(ctx context.Context) error {
				_, _, err := empty.Receive(ctx, nil, sysv.ReceiveOptions{})
				return err
			},
			func() error { return empty.Send(t.Context(), 1, nil) },
		},
	}
	return waits, []timed{{
		"sysv Set.Do",
		func(ctx context.Context) error { return set.Do(ctx, sysv.Op{Num: 2, Add: -1}) },
	}}
}

// locking returns lock without the answer to whether the last holder died.
func locking(lock func(context.Context) (bool, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := lock(ctx)
		return err
	}
}

func semopsWaits(t *testing.T) ([]wait, []timed) {
	set := newSet(t, slices.Concat(
		[]uint16{0, 1},                             // one semaphore each
		semops.MutexValues(), semops.EventValues(), // 2 to 4
		semops.RWMutexValues(), semops.RWMutexValues(), // 5 to 10
		semops.BarrierValues(2),                   // 11 to 13
		semops.MutexValues(), semops.CondValues(), // 14 to 20
		semops.BufferValues(1), semops.BufferValues(1))..., // 21 to 32
	)
	must := func(err error) { t.Helper(); check(t, err) }
	p, err := semops.NewSemaphore(set, 0, nil)
	must(err)
	zero, err := semops.NewSemaphore(set, 1, nil)
	must(err)
	mu, err := semops.NewMutex(set, 2, 3)
	must(err)
	must(locking(mu.Lock)(t.Context()))
	event, err := semops.NewEvent(set, 4)
	must(err)
	read, err := semops.NewRWMutex(set, 5)
	must(err)
	must(read.RLock(t.Context()))
	written, err := semops.NewRWMutex(set, 8)
	must(err)
	must(locking(written.Lock)(t.Context()))
	barrier, err := semops.NewBarrier(set, 11, 2)
	must(err)
	condMu, err := semops.NewMutex(set, 14, 15)
	must(err)
	cond, err := semops.NewCond(condMu, 16)
	must(err)
	locked := make(chan struct{}) // closed when the waiter for cond holds condMu
	full, err := semops.NewBuffer(set, 21, 1)
	must(err)
	nothing := func(int) error { return nil }
	must(full.Put(t.Context(), nothing))
	empty, err := semops.NewBuffer(set, 27, 1)
	must(err)
	unlocking := func(lock func(context.Context) error, unlock func() error) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := lock(ctx); err != nil {
				return err
			}
			return unlock()
		}
	}
	return []wait{
		{"semops Semaphore.Acquire", func(ctx context.Context) error { return p.Acquire(ctx, 1) }, func() error { return p.Release(1) }},
		{"semops Semaphore.WaitZero", zero.WaitZero, func() error { return zero.Acquire(t.Context(), 1) }},
		{"semops Mutex.Lock", unlocking(locking(mu.Lock), mu.Unlock), mu.Unlock},
		{"semops Event.Wait", event.Wait, event.Set},
		{"semops RWMutex.Lock", unlocking(locking(read.Lock), read.Unlock), read.RUnlock},
		{"semops RWMutex.RLock", unlocking(written.RLock, written.RUnlock), written.Unlock},
		{
			"semops Barrier.Wait",
			func(ctx context.Context) error { _, err := barrier.Wait(ctx); return err },
			func() error { _, err := barrier.Wait(t.Context()); return err },
		},
		{
			"semops Cond.Wait",
			func(ctx context.Context) error {
				return condMu.With(ctx, func(bool) error {
					close(locked)
					_, err := cond.Wait(ctx)
					return err
				})
			},
			func() error { // a signal without a waiter is lost
				<-locked
				return condMu.With(t.Context(), func(bool) error { return cond.Signal() })
			},
		},
		{
			"semops Buffer.Put",
			func(ctx context.Context) error { return full.Put(ctx, nothing) },
			func() error { return full.Take(t.Context(), nothing) },
		},
		{
			"semops Buffer.Take",
			func(ctx context.Context) error { return empty.Take(ctx, nothing) },
			func() error { return empty.Put(t.Context(), nothing) },
		},
	}, nil
}

// newPOSIXQueue makes a queue for one message of one byte.
func newPOSIXQueue(t *testing.T, name string) *posix.Queue {
	t.Helper()
	q, err := posix.CreateQueue(name, &posix.QueueOptions{Mode: 0o600, MaxMsgs: 1, MsgSize: 1})
	check(t, err)
	check(t, posix.UnlinkQueue(name)) // it lives as long as it is open
	t.Cleanup(func() { check(t, q.Close()) })
	return q
}

func posixWaits(t *testing.T) (waits []wait, timeouts []timed) {
	mem, err := posix.MapAnonymous(4096, nil)
	check(t, err)
	t.Cleanup(func() { check(t, mem.Unmap()) })
	sem, err := posix.InitSemaphore(mem, 0, 0)
	check(t, err)
	never, err := posix.InitSemaphore(mem, 128, 0)
	check(t, err)
	full, empty, polled := newPOSIXQueue(t, "/full"), newPOSIXQueue(t, "/empty"), newPOSIXQueue(t, "/polled")
	neverFull, neverEmpty := newPOSIXQueue(t, "/never full"), newPOSIXQueue(t, "/never empty")
	check(t, full.Send(t.Context(), nil, 0))
	check(t, neverFull.Send(t.Context(), nil, 0))
	receive := func(ctx context.Context, q *posix.Queue) error {
		_, _, err := q.Receive(ctx, make([]byte, 1))
		return err
	}
	waits = []wait{
		{"posix Semaphore.Acquire", func(ctx context.Context) error { return sem.Acquire(ctx, 1) }, func() error { return sem.Release(1) }},
		{
			"posix Queue.Send",
			func(ctx context.Context) error { return full.Send(ctx, nil, 0) },
			func() error { return receive(t.Context(), full) },
		},
		{
			"posix Queue.Receive",
			func(ctx context.Context) error { return receive(ctx, empty) },
			func() error { return empty.Send(t.Context(), nil, 0) },
		},
		{"posix Queue.Wait", polled.Wait, func() error { return polled.Send(t.Context(), nil, 0) }},
	}
	timeouts = []timed{
		{"posix Semaphore.Acquire", func(ctx context.Context) error { return never.Acquire(ctx, 1) }},
		{"posix Queue.Send", func(ctx context.Context) error { return neverFull.Send(ctx, nil, 0) }},
		{"posix Queue.Receive", func(ctx context.Context) error { return receive(ctx, neverEmpty) }},
	}
	return waits, timeouts
}

// newRing makes a ring in this process's memory.
func newRing(t *testing.T, kind shmring.Producers) (*shmring.Producer, *shmring.Consumer) {
	t.Helper()
	mem, err := posix.MapAnonymous(shmring.Size(4096), nil)
	check(t, err)
	t.Cleanup(func() { check(t, mem.Unmap()) })
	ring, err := shmring.Create(mem.Bytes(), &shmring.Options{Producers: kind, Capacity: 4096})
	check(t, err)
	p, err := ring.JoinProducer()
	check(t, err)
	c, err := ring.JoinConsumer()
	check(t, err)
	t.Cleanup(func() { check(t, errors.Join(p.Close(), c.Close())) })
	return p, c
}

func ringWaits(t *testing.T) (all []wait, _ []timed) {
	for name, kind := range map[string]shmring.Producers{"shmring": shmring.One, "shmring of many": shmring.Many} {
		full, taker := newRing(t, kind)
		giver, empty := newRing(t, kind)
		for {
			claim, ok, err := full.TryClaim(1000)
			check(t, err)
			if !ok {
				break
			}
			check(t, claim.Commit())
		}
		all = append(
			all,
			wait{
				name + " Producer.Send",
				func(ctx context.Context) error { return full.Send(ctx, make([]byte, 1000)) },
				func() error {
					_, err := taker.Receive(t.Context())
					taker.Release()
					return err
				},
			},
			wait{
				name + " Consumer.Receive",
				func(ctx context.Context) error { _, err := empty.Receive(ctx); empty.Release(); return err },
				func() error { return giver.Send(t.Context(), nil) },
			},
			selectorWait(t, name, kind),
		)
	}
	return all, nil
}

func selectorWait(t *testing.T, name string, kind shmring.Producers) wait {
	_, never := newRing(t, kind)
	giver, empty := newRing(t, kind)
	return wait{
		name + " Selector.Select",
		func(ctx context.Context) error {
			var s shmring.Selector
			i, err := s.Select(ctx, never, empty)
			if err == nil && i != 1 {
				err = fmt.Errorf("source %d is ready", i)
			}
			return err
		},
		func() error { return giver.Send(t.Context(), nil) },
	}
}
