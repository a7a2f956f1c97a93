package shmring_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
)

// outliving opens the ring whose handles outlive the other side.
func outliving(ctx context.Context, name string) (*shmring.Ring, error) {
	return shmring.OpenOrCreate(ctx, name, &shmring.NamedOptions{Capacity: 4096, Outlive: true})
}

// outlive is a child that sends numbers from FIRST on, or receives them and prints each
// before it releases it, for ever: NAME produce FIRST, or NAME consume.
func outlive(args []string) error {
	ctx := context.Background()
	ring, err := outliving(ctx, args[0])
	if err != nil {
		return err
	}
	if args[1] == "produce" {
		p, err := ring.JoinProducer()
		if err != nil {
			return err
		}
		for i := uint64(number(args[2])); ; i++ {
			if err := p.Send(ctx, binary.NativeEndian.AppendUint64(nil, i)); err != nil {
				return err
			}
		}
	}
	c, err := ring.JoinConsumer()
	if err != nil {
		return err
	}
	for msg, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		fmt.Println(binary.NativeEndian.Uint64(msg))
	}
	return errors.New("the sequence has ended")
}

// TestOutliveKilled kills producers and consumers of a ring by name. A living side goes on
// with the next process, and no number is lost.
func TestOutliveKilled(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	const name = "/outlive"
	ring, err := outliving(background(t), name)
	mustAll(t, err)
	t.Run("consumers", func(t *testing.T) {
		p := producer(t, ring)
		stop, sent := sendForEver(t, p)
		var next uint64
		for round := range ipctest.Rounds(t, 5, 1) {
			next = receiveAndDie(t, name, next, round)
		}
		stop()
		if n := <-sent; n < next {
			t.Errorf("%d numbers received of %d", next, n)
		}
		mustAll(t, p.Close())
	})
	t.Run("producers", func(t *testing.T) {
		c := consumer(t, ring)
		for ok := true; ok; { // messages that the first subtest left
			var err error
			_, ok, err = c.TryReceive()
			mustAll(t, err)
		}
		var next, killed uint64
		for range ipctest.Rounds(t, 5, 1) {
			next = sendAndDie(t, c, name, next)
			killed++
		}
		c.ReapProducers()
		if died := ring.Members().Died; died != uint32(killed) {
			t.Errorf("%d producers were found dead of %d", died, killed)
		}
		mustAll(t, c.Close())
	})
	mustAll(t, ring.Remove(), ring.Close())
}

// sendForEver sends numbers until stop is called; then sent receives how many there were.
func sendForEver(t *testing.T, p *shmring.Producer) (stop func(), sent chan uint64) {
	ctx, stop := context.WithCancel(t.Context())
	sent = make(chan uint64, 1)
	go func() {
		for i := uint64(0); ; i++ {
			if err := p.Send(ctx, binary.NativeEndian.AppendUint64(nil, i)); err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("message %d: %v", i, err)
				}
				sent <- i
				return
			}
		}
	}()
	return stop, sent
}

// receiveAndDie starts a consumer, and kills it after some numbers. The first number is
// next, or the one before, which the previous consumer printed but may not have released.
// It returns the number after the last.
func receiveAndDie(t *testing.T, name string, next uint64, round int) uint64 {
	t.Helper()
	r, w, err := os.Pipe()
	mustAll(t, err)
	defer r.Close()
	cmd := goPeer(t, self(t), nil, "outlive", name, "consume")
	cmd.Stdout = w
	mustAll(t, cmd.Start(), w.Close())
	lines := bufio.NewScanner(r)
	for i := 0; lines.Scan(); i++ {
		got := uint64(number(lines.Text()))
		if got != next && (i > 0 || got+1 != next) {
			t.Errorf("received %d, want %d", got, next)
		}
		next = got + 1
		if i == 100+round%7 {
			kill(t, cmd) // the rest of its output can still be read
		}
	}
	return next
}

// sendAndDie starts a producer that sends from next on, and kills it after some numbers.
// It returns the number after the last that arrives.
func sendAndDie(t *testing.T, c *shmring.Consumer, name string, next uint64) uint64 {
	t.Helper()
	cmd := goPeer(t, self(t), nil, "outlive", name, "produce", next)
	mustAll(t, cmd.Start())
	for i := 0; ; i++ {
		if i == 100 {
			kill(t, cmd)
		}
		receive := c.TryReceive // after the death, take only what was sent before
		if i < 100 {
			receive = func() ([]byte, bool, error) {
				msg, err := c.Receive(t.Context())
				return msg, err == nil, err
			}
		}
		msg, ok, err := receive()
		mustAll(t, err)
		if !ok {
			return next
		}
		if got := binary.NativeEndian.Uint64(msg); got != next {
			t.Fatalf("received %d, want %d", got, next)
		}
		next++
	}
}

// TestOutliveClosed checks that neither side gets an error when the other has closed.
func TestOutliveClosed(t *testing.T) {
	const name = "/outlive-closed"
	ring, err := outliving(background(t), name)
	mustAll(t, err)
	p, c := producer(t, ring), consumer(t, ring)
	mustAll(t, c.Close())
	sent := 0
	for ok := true; ok; sent++ {
		var claim shmring.Claim
		if claim, ok, err = p.TryClaim(8); ok {
			err = claim.Commit()
		}
		mustAll(t, err)
	}
	if sent--; sent != 64 {
		t.Errorf("sent %d messages without a consumer, want 64", sent)
	}
	wantTimeout(t, "Send", func(ctx context.Context) error { return p.Send(ctx, nil) })
	wantTimeout(t, "Flush", p.Flush)
	if err := p.CheckConsumer(); !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("CheckConsumer = %v, want ErrClosed", err)
	}
	c = consumer(t, ring)
	for i := range sent {
		if _, ok, err := c.TryReceive(); !ok || err != nil {
			t.Fatalf("message %d: %v, %v", i, ok, err)
		}
	}
	mustAll(t, p.Close())
	if err := p.Send(background(t), nil); !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("Send after Close = %v, want ErrClosed", err)
	}
	if _, ok, err := c.TryReceive(); ok || err != nil {
		t.Errorf("TryReceive at the end = %v, %v", ok, err)
	}
	wantTimeout(t, "Receive", func(ctx context.Context) error { _, err := c.Receive(ctx); return err })
	mustAll(t, producer(t, ring).Close())
	wantTimeout(t, "Receive", func(ctx context.Context) error { _, err := c.Receive(ctx); return err })
	mustAll(t, c.Close(), ring.Remove(), ring.Close())
}

// TestOutliveWriter checks that a reader of a Broadcast outlives its writers.
func TestOutliveWriter(t *testing.T) {
	b, err := shmring.OpenOrCreateBroadcast(background(t), "/outlive-writer", &shmring.NamedOptions{Outlive: true})
	mustAll(t, err)
	s, err := b.Subscribe(shmring.Block, nil)
	mustAll(t, err)
	for i := range 3 {
		w, err := b.JoinWriter(nil)
		mustAll(t, err)
		mustAll(t, w.Send(background(t), []byte{byte(i)}), w.Close())
		if msg, err := s.Receive(background(t)); err != nil || len(msg) != 1 || msg[0] != byte(i) {
			t.Errorf("received %v, %v of writer %d", msg, err, i)
		}
		wantTimeout(t, "Receive", func(ctx context.Context) error { _, err := s.Receive(ctx); return err })
	}
	mustAll(t, s.Close(), b.Remove(), b.Close())
}

func wantTimeout(t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := f(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s = %v, want to wait until its context is done", what, err)
	}
}
