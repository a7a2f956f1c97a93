package shmring_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sysvipc/gipc/shmring"
)

// A feeder has rings and one goroutine that receives from all of them.
type feeder struct {
	producers []*shmring.Producer
	consumers []*shmring.Consumer
	sources   []shmring.Source
	selector  shmring.Selector
}

func newFeeder(b *testing.B, rings int) *feeder {
	f := new(feeder)
	for i := range rings {
		ring, _ := newRing(b, 64<<10, shmring.Many)
		f.producers = append(f.producers, producer(b, ring))
		f.consumers = append(f.consumers, consumer(b, ring))
		f.sources = append(f.sources, f.consumers[i])
	}
	return f
}

// selected receives from whichever ring has a message.
func (f *feeder) selected(ctx context.Context) error {
	i, err := f.selector.Select(ctx, f.sources...)
	if err == nil {
		_, _, err = f.consumers[i].TryReceive()
	}
	return err
}

// received receives from the first ring.
func (f *feeder) received(ctx context.Context) error {
	_, err := f.consumers[0].Receive(ctx)
	return err
}

// feeders runs a benchmark with Receive, and with Select from some numbers of rings.
func feeders(b *testing.B, run func(b *testing.B, f *feeder, receive func(context.Context) error)) {
	b.Run("Receive", func(b *testing.B) {
		f := newFeeder(b, 1)
		run(b, f, f.received)
	})
	for _, rings := range []int{1, 2, 8, 64} {
		b.Run(fmt.Sprintf("Select-%d", rings), func(b *testing.B) {
			f := newFeeder(b, rings)
			run(b, f, f.selected)
		})
	}
}

// BenchmarkSelectReady sends a message to one ring after another, and receives it in the
// same goroutine.
func BenchmarkSelectReady(b *testing.B) {
	feeders(b, func(b *testing.B, f *feeder, receive func(context.Context) error) {
		ctx, msg := b.Context(), make([]byte, messageSize)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if err := errors.Join(f.producers[i%len(f.producers)].Send(ctx, msg), receive(ctx)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSelectTurn sends a message to one ring after another. Another goroutine receives
// it, and answers through a ring.
func BenchmarkSelectTurn(b *testing.B) {
	feeders(b, func(b *testing.B, f *feeder, receive func(context.Context) error) {
		back := newFeeder(b, 1)
		ctx, cancel := context.WithCancel(b.Context())
		msg := make([]byte, messageSize)
		b.ReportAllocs()
		together(func() {
			for receive(ctx) == nil {
				if err := back.producers[0].Send(b.Context(), msg); err != nil {
					b.Error(err)
				}
			}
		}, func() {
			defer cancel()
			for i := 0; b.Loop(); i++ {
				if err := errors.Join(f.producers[i%len(f.producers)].Send(b.Context(), msg), back.received(b.Context())); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}
