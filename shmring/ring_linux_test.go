package shmring_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
)

func producer(t testing.TB, r *shmring.Ring) *shmring.Producer {
	t.Helper()
	p, err := r.JoinProducer()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func consumer(t testing.TB, r *shmring.Ring) *shmring.Consumer {
	t.Helper()
	c, err := r.JoinConsumer()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// both runs a test for a ring of either kind.
func both(t *testing.T, test func(t *testing.T, kind shmring.Producers)) {
	t.Run("One", func(t *testing.T) { test(t, shmring.One) })
	t.Run("Many", func(t *testing.T) { test(t, shmring.Many) })
}

func TestCreateErrors(t *testing.T) {
	mem, _ := shared(t, shmring.Size(8192))
	for _, tt := range []struct {
		name string
		mem  []byte
		o    *shmring.Options
		want error
	}{
		{"nothing", nil, nil, shmring.ErrSize},
		{"too small", mem[:shmring.Size(4096)-1], nil, shmring.ErrSize},
		{"too small for this capacity", mem[:shmring.Size(8192)-1], &shmring.Options{Capacity: 8192}, shmring.ErrSize},
		{"not a power of two", mem, &shmring.Options{Capacity: 5000}, shmring.ErrSize},
		{"a power of two too small", mem, &shmring.Options{Capacity: 2048}, shmring.ErrSize},
		{"negative", mem, &shmring.Options{Capacity: -4096}, shmring.ErrSize},
		{"not aligned", mem[4:], nil, shmring.ErrAlignment},
	} {
		if _, err := shmring.Create(tt.mem, tt.o); !errors.Is(err, tt.want) {
			t.Errorf("Create in %s = %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := shmring.Create(mem, &shmring.Options{Producers: 3}); err == nil {
		t.Error("Create for 3 producers: no error")
	}
	for size, want := range map[int]int{shmring.Size(4096): 4096, shmring.Size(8192) - 1: 4096, shmring.Size(8192): 8192} {
		ring, err := shmring.Create(mem[:size], nil)
		if err != nil || ring.Capacity() != want || ring.MaxMessage() != want/2 || ring.Producers() != shmring.One {
			t.Errorf("Create in %d bytes: %+v, %v, want a capacity of %d for One", size, ring, err, want)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	size := shmring.Size(4096)
	for _, tt := range []struct {
		name  string
		spoil func(mem []byte) []byte
		want  error
	}{
		{"whole", func(m []byte) []byte { return m }, nil},
		{"empty", func(m []byte) []byte { return m[:0] }, shmring.ErrNotRing},
		{"cut", func(m []byte) []byte { return m[:size-1] }, shmring.ErrSize},
		{"longer", func(m []byte) []byte { return m[:size+8] }, shmring.ErrSize},
		{"zeroed", func(m []byte) []byte { clear(m); return m }, shmring.ErrNotRing},
		{"other byte order", func(m []byte) []byte {
			for i, j := 0, 7; i < j; i, j = i+1, j-1 {
				m[i], m[j] = m[j], m[i]
			}
			return m
		}, shmring.ErrByteOrder},
		{"not finished", put64(0, 0), shmring.ErrNotRing},
		{"version 1", put32(8, 1), shmring.ErrVersion},
		{"version 3", put32(8, 3), shmring.ErrVersion},
		{"a feature that need not be known", put64(16, 1<<63), nil},
		{"a feature that must be known", put64(24, 1<<63), shmring.ErrVersion},
		{"other header", put32(12, 2048), shmring.ErrCorrupt},
		{"capacity 0", put64(56, 0), shmring.ErrCorrupt},
		{"capacity 4097", put64(56, 4097), shmring.ErrCorrupt},
		{"capacity too large for the memory", put64(56, 8192), shmring.ErrCorrupt},
		{"capacity enormous", put64(56, 1<<63), shmring.ErrCorrupt},
		{"other unit", put32(80, 128), shmring.ErrCorrupt},
		{"other slots", put32(84, 63), shmring.ErrCorrupt},
		{"states elsewhere", put64(64, 4104), shmring.ErrCorrupt},
		{"data elsewhere", put64(72, 12288), shmring.ErrCorrupt},
		{"locks nowhere", put32(88, 0), shmring.ErrCorrupt},
		{"locks somewhere new", put32(88, 3), shmring.ErrCorrupt},
		{"locks at no multiple", put64(96, 64), shmring.ErrCorrupt},
		{"locks beyond", put64(96, 1<<63), shmring.ErrCorrupt},
		{"another IPC namespace", func(m []byte) []byte { return put64(104, 1)(put32(88, 2)(m)) }, shmring.ErrForeign},
		{"another boot", put64(112, 12345), nil},
		{"unknown boot", put64(112, 0), nil},
		{"misaligned", func(m []byte) []byte { return m[1:] }, shmring.ErrAlignment},
	} {
		mem, _ := shared(t, size+4096)
		if _, err := shmring.Create(mem[:size], nil); err != nil {
			t.Fatal(err)
		}
		spoiled := tt.spoil(mem)
		if len(spoiled) == len(mem) && tt.want != shmring.ErrNotRing {
			spoiled = spoiled[:size]
		}
		if _, err := shmring.Open(spoiled); !errors.Is(err, tt.want) {
			t.Errorf("Open, %s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func put32(off int, v uint32) func([]byte) []byte {
	return func(m []byte) []byte { binary.NativeEndian.PutUint32(m[off:], v); return m }
}

func put64(off int, v uint64) func([]byte) []byte {
	return func(m []byte) []byte { binary.NativeEndian.PutUint64(m[off:], v); return m }
}

// TestOpenKeepsMessages opens a ring a second time, through another mapping.
func TestOpenKeepsMessages(t *testing.T) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		ring, f := newRing(t, 4096, kind)
		if err := producer(t, ring).Send(background(t), []byte("hello")); err != nil {
			t.Fatal(err)
		}
		mem, err := mapFile(f)
		if err != nil {
			t.Fatal(err)
		}
		again, err := shmring.Open(mem)
		if err != nil {
			t.Fatal(err)
		}
		if again.Producers() != kind {
			t.Errorf("Producers = %d, want %d", again.Producers(), kind)
		}
		if msg, err := consumer(t, again).Receive(background(t)); err != nil || string(msg) != "hello" {
			t.Errorf("Receive = %q, %v", msg, err)
		}
	})
}

// TestLengths sends messages of every length that matters through many laps.
func TestLengths(t *testing.T) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		ring, _ := newRing(t, 4096, kind)
		p, c := producer(t, ring), consumer(t, ring)
		ctx := background(t)
		rng := rand.New(rand.NewPCG(1, 2))
		want := make([]byte, ring.MaxMessage())
		for i := range uint64(20_000) {
			n := rng.IntN(len(want) + 1)
			switch i % 5 {
			case 0:
				n = len(want)
			case 1:
				n = int(i) % 130
			}
			claim, err := p.Claim(ctx, n)
			if err != nil {
				t.Fatal(err)
			}
			fill(claim.Bytes(), i)
			if err := claim.Commit(); err != nil {
				t.Fatal(err)
			}
			msg, err := c.Receive(ctx)
			fill(want[:n], i)
			if err != nil || !bytes.Equal(msg, want[:n]) {
				t.Fatalf("message %d: %d bytes, %v, want %d bytes", i, len(msg), err, n)
			}
			c.Release() // before this goroutine waits for room
		}
	})
}

func TestTooLarge(t *testing.T) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		ring, _ := newRing(t, 4096, kind)
		p, ctx := producer(t, ring), background(t)
		for _, n := range []int{ring.MaxMessage() + 1, 1 << 30, -1} {
			if _, err := p.Claim(ctx, n); !errors.Is(err, shmring.ErrTooLarge) {
				t.Errorf("Claim(%d) = %v, want ErrTooLarge", n, err)
			}
		}
		big := make([]byte, ring.MaxMessage()+1)
		if n, err := p.SendBatch(ctx, [][]byte{{1}, {2}, big}); n != 2 && n != 0 || !errors.Is(err, shmring.ErrTooLarge) {
			t.Errorf("SendBatch = %d, %v, want ErrTooLarge", n, err)
		}
	})
}

func TestClaimMisuse(t *testing.T) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		ring, _ := newRing(t, 4096, kind)
		p, c, ctx := producer(t, ring), consumer(t, ring), background(t)
		claim, err := p.Claim(ctx, 10)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Claim(ctx, 10); !errors.Is(err, shmring.ErrClaim) {
			t.Errorf("a second claim: %v, want ErrClaim", err)
		}
		if err := claim.CommitN(11); !errors.Is(err, shmring.ErrTooLarge) {
			t.Errorf("CommitN beyond the claim: %v, want ErrTooLarge", err)
		}
		if err := claim.CommitN(-1); !errors.Is(err, shmring.ErrTooLarge) {
			t.Errorf("CommitN(-1): %v, want ErrTooLarge", err)
		}
		if err := claim.Abort(); err != nil {
			t.Error(err)
		}
		for name, f := range map[string]func() error{"Commit": claim.Commit, "Abort": claim.Abort} {
			if err := f(); !errors.Is(err, shmring.ErrClaim) {
				t.Errorf("%s after Abort: %v, want ErrClaim", name, err)
			}
		}
		if msg, ok, err := c.TryReceive(); ok || err != nil {
			t.Errorf("an aborted claim was received: %q, %v", msg, err)
		}
		next, err := p.Claim(ctx, 5)
		if err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]func() error{"Commit": claim.Commit, "Abort": claim.Abort} {
			if err := f(); !errors.Is(err, shmring.ErrClaim) {
				t.Errorf("%s of an old claim: %v, want ErrClaim", name, err)
			}
		}
		var none shmring.Claim
		if err := none.Commit(); !errors.Is(err, shmring.ErrClaim) || none.Bytes() != nil {
			t.Errorf("no claim: %v, %d bytes, want ErrClaim and none", err, len(none.Bytes()))
		}
		if err := next.Commit(); err != nil {
			t.Error(err)
		}
	})
}

// TestShorterCommit commits less than was claimed, at every place of the ring.
func TestShorterCommit(t *testing.T) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		ring, _ := newRing(t, 4096, kind)
		p, c, ctx := producer(t, ring), consumer(t, ring), background(t)
		for i := range 5000 {
			claim, err := p.Claim(ctx, 1+i%1500)
			if err != nil {
				t.Fatal(err)
			}
			n := i * 13 % (len(claim.Bytes()) + 1)
			fill(claim.Bytes()[:n], uint64(i))
			if i%7 == 6 {
				err = claim.Abort()
			} else {
				err = claim.CommitN(n)
			}
			if err != nil {
				t.Fatal(err)
			}
			if i%7 == 6 {
				if msg, ok, err := c.TryReceive(); ok || err != nil {
					t.Fatalf("an aborted claim was received: %d bytes, %v", len(msg), err)
				}
				continue
			}
			want := make([]byte, n)
			fill(want, uint64(i))
			if msg, err := c.Receive(ctx); err != nil || !bytes.Equal(msg, want) {
				t.Fatalf("message %d: %d bytes, %v, want %d", i, len(msg), err, n)
			}
			c.Release()
		}
	})
}

func TestFullAndEmpty(t *testing.T) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		ring, _ := newRing(t, 4096, kind)
		p, c := producer(t, ring), consumer(t, ring)
		for lap := range 100 {
			sent := 0
			for {
				claim, ok, err := p.TryClaim(100 + lap)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				fill(claim.Bytes(), uint64(sent))
				if err := claim.Commit(); err != nil {
					t.Fatal(err)
				}
				sent++
			}
			if sent < 4096/256-1 {
				t.Fatalf("a ring of 4096 bytes took %d messages of %d bytes", sent, 100+lap)
			}
			want := make([]byte, 100+lap)
			for i := range sent {
				fill(want, uint64(i))
				msg, ok, err := c.TryReceive()
				if !ok || err != nil || !bytes.Equal(msg, want) {
					t.Fatalf("message %d of %d: %q, %v, %v", i, sent, msg, ok, err)
				}
			}
			if msg, ok, err := c.TryReceive(); ok || err != nil {
				t.Fatalf("received from an empty ring: %q, %v", msg, err)
			}
		}
	})
}

func TestBatches(t *testing.T) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		ring, _ := newRing(t, 8192, kind)
		p, c, ctx := producer(t, ring), consumer(t, ring), background(t)
		const count = 20_000
		together(func() {
			for i := uint64(0); i < count; {
				var batch [][]byte
				for range min(1+i%40, count-i) {
					msg := make([]byte, varied(i))
					fill(msg, i)
					batch = append(batch, msg)
					i++
				}
				if n, err := p.SendBatch(ctx, batch); n != len(batch) || err != nil {
					t.Errorf("SendBatch = %d, %v, want %d", n, err, len(batch))
					return
				}
			}
			p.Close()
		}, func() {
			msgs := make([][]byte, 17)
			want := make([]byte, 1000)
			for i := uint64(0); i < count; {
				n, err := c.ReceiveBatch(ctx, msgs)
				if err != nil || n < 1 {
					t.Errorf("ReceiveBatch = %d, %v", n, err)
					return
				}
				for _, msg := range msgs[:n] {
					fill(want[:varied(i)], i)
					if !bytes.Equal(msg, want[:varied(i)]) {
						t.Errorf("message %d is wrong", i)
						return
					}
					i++
				}
			}
			if n, err := c.ReceiveBatch(ctx, msgs); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("ReceiveBatch at the end = %d, %v, want io.EOF", n, err)
			}
		})
		if n, err := c.ReceiveBatch(ctx, nil); n != 0 || err != nil {
			t.Errorf("ReceiveBatch of nothing = %d, %v", n, err)
		}
	})
}

// TestRoles joins and leaves.
func TestRoles(t *testing.T) {
	ring, _ := newRing(t, 4096, shmring.One)
	p, c := producer(t, ring), consumer(t, ring)
	if _, err := ring.JoinProducer(); !errors.Is(err, shmring.ErrBusy) {
		t.Errorf("a second producer: %v, want ErrBusy", err)
	}
	if _, err := ring.JoinConsumer(); !errors.Is(err, shmring.ErrBusy) {
		t.Errorf("a second consumer: %v, want ErrBusy", err)
	}
	for _, close := range []func() error{p.Close, c.Close} {
		if err := close(); err != nil {
			t.Error(err)
		}
		if err := close(); !errors.Is(err, shmring.ErrClosed) {
			t.Errorf("Close again: %v, want ErrClosed", err)
		}
	}
	if _, err := p.Claim(background(t), 1); !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("Claim after Close: %v, want ErrClosed", err)
	}
	if _, err := c.Receive(background(t)); !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("Receive after Close: %v, want ErrClosed", err)
	}
	p = producer(t, ring)
	if _, _, err := p.TryClaim(1); !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("TryClaim after the consumer has closed: %v, want ErrClosed", err)
	}
	if err := p.CheckConsumer(); !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("CheckConsumer after the consumer has closed: %v, want ErrClosed", err)
	}
	c = consumer(t, ring)
	if err := p.CheckConsumer(); err != nil {
		t.Errorf("CheckConsumer = %v", err)
	}
	if err := p.Send(background(t), []byte("x")); err != nil {
		t.Errorf("Send to the next consumer: %v", err)
	}
	if msg, err := c.Receive(background(t)); string(msg) != "x" || err != nil {
		t.Errorf("Receive = %q, %v", msg, err)
	}
}

func TestSlots(t *testing.T) {
	ring, _ := newRing(t, 4096, shmring.Many)
	var ps []*shmring.Producer
	for range 64 {
		ps = append(ps, producer(t, ring))
	}
	if _, err := ring.JoinProducer(); !errors.Is(err, shmring.ErrBusy) {
		t.Errorf("producer 65: %v, want ErrBusy", err)
	}
	ps[17].Close()
	producer(t, ring)
}

// TestEnd checks that the consumer sees the end when all producers that joined have left,
// and that others may join after it.
func TestEnd(t *testing.T) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		ring, _ := newRing(t, 4096, kind)
		c, ctx := consumer(t, ring), background(t)
		if _, ok, err := c.TryReceive(); ok || err != nil {
			t.Errorf("TryReceive before the first producer: %v, %v", ok, err)
		}
		for round := range 3 {
			p := producer(t, ring)
			if err := p.Send(ctx, []byte{byte(round)}); err != nil {
				t.Fatal(err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			var got [][]byte
			for msg, err := range c.Messages(ctx) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, bytes.Clone(msg))
			}
			if diff := cmp.Diff([][]byte{{byte(round)}}, got); diff != "" {
				t.Errorf("messages of round %d (-want +got):\n%s", round, diff)
			}
			if _, ok, err := c.TryReceive(); ok || err != nil {
				t.Errorf("TryReceive after the end: %v, %v: the end came twice", ok, err)
			}
		}
	})
}

func TestEndOfLastOfMany(t *testing.T) {
	ring, _ := newRing(t, 4096, shmring.Many)
	c, ctx := consumer(t, ring), background(t)
	a, b := producer(t, ring), producer(t, ring)
	a.Close()
	if _, ok, err := c.TryReceive(); ok || err != nil {
		t.Errorf("TryReceive with one of two producers left: %v, %v", ok, err)
	}
	time.AfterFunc(10*time.Millisecond, func() { b.Close() })
	if _, err := c.Receive(ctx); !errors.Is(err, io.EOF) {
		t.Errorf("Receive = %v, want io.EOF", err)
	}
}

// TestBreak leaves the loop over messages and enters it again.
func TestBreak(t *testing.T) {
	ring, _ := newRing(t, 4096, shmring.One)
	p, c, ctx := producer(t, ring), consumer(t, ring), background(t)
	for i := range byte(10) {
		if err := p.Send(ctx, []byte{i}); err != nil {
			t.Fatal(err)
		}
	}
	p.Close()
	var got []byte
	for range 10 {
		for msg, err := range c.Messages(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, msg[0])
			break
		}
	}
	if want := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; !bytes.Equal(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

// TestCancel ends both kinds of waiting by a context.
func TestCancel(t *testing.T) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		ring, _ := newRing(t, 4096, kind)
		p, c := producer(t, ring), consumer(t, ring)
		full := func(ctx context.Context) error {
			for {
				if err := p.Send(ctx, make([]byte, 1000)); err != nil {
					return err
				}
			}
		}
		for _, tt := range []struct {
			name string
			wait func(context.Context) error
		}{
			{"Receive", func(ctx context.Context) error { _, err := c.Receive(ctx); return err }},
			{"Messages", func(ctx context.Context) error {
				for _, err := range c.Messages(ctx) {
					return err
				}
				return nil
			}},
			{"Claim", full},
			{"Claim again", full},
		} {
			ctx, cancel := context.WithCancel(context.Background())
			cause := time.AfterFunc(20*time.Millisecond, cancel)
			start := time.Now()
			err := tt.wait(ctx)
			if d := time.Since(start); !errors.Is(err, context.Canceled) || d > 20*time.Millisecond+10*time.Second {
				t.Errorf("%s = %v after %v, want context.Canceled", tt.name, err, d)
			}
			cause.Stop()
			cancel()
		}
		// The messages stay for a call whose context is not done.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := c.Receive(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Receive with a context that is done: %v, want context.Canceled", err)
		}
		if msg, err := c.Receive(background(t)); err != nil || len(msg) != 1000 {
			t.Errorf("Receive = %d bytes, %v", len(msg), err)
		}
	})
}

// TestGoroutines runs all sides in one process, in memory of Go's heap, where the race
// detector sees everything.
func TestGoroutines(t *testing.T) {
	for _, procs := range []int{1, 2} {
		t.Run(fmt.Sprintf("GOMAXPROCS=%d", procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			both(t, func(t *testing.T, kind shmring.Producers) {
				words := make([]uint64, shmring.Size(8192)/8)
				mem := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)
				ring, err := shmring.Create(mem, &shmring.Options{Producers: kind})
				if err != nil {
					t.Fatal(err)
				}
				exchange(t, ring, 5000)
			})
		})
	}
}

// TestFirstLaps uses many new rings with more threads than processors. So producers are
// stopped at every point of the first laps, in which the consumer sweeps the state words of
// the records that it has received.
func TestFirstLaps(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(16))
	words := make([]uint64, shmring.Size(4096)/8)
	mem := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)
	for range ipctest.Rounds(t, 300, 0) {
		ring, err := shmring.Create(mem, &shmring.Options{Producers: shmring.Many})
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, ring, 40)
		if err := ring.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// exchange sends count messages from each of one or four producers and checks that
// all arrive, in the order of their producer.
func exchange(t *testing.T, ring *shmring.Ring, count uint64) {
	t.Helper()
	ctx := background(t)
	n := 1
	if ring.Producers() == shmring.Many {
		n = 4
	}
	work := []func(){func() {
		next := make([]uint64, n)
		c := consumer(t, ring)
		defer c.Close()
		for msg, err := range c.Messages(ctx) {
			if err != nil {
				t.Error(err)
				return
			}
			checkNext(t, msg, next)
		}
		for id, seq := range next {
			if seq != count {
				t.Errorf("producer %d: %d messages arrived, want %d", id, seq, count)
			}
		}
	}}
	for id := range n {
		p := producer(t, ring)
		work = append(work, func() {
			for seq := range count {
				if err := sendNumbered(ctx, p, id, seq); err != nil {
					t.Errorf("producer %d: %v", id, err)
					break
				}
			}
			p.Close()
		})
	}
	together(work...)
}

// A numbered message consists of its producer's number, its own number, and contents that
// depend on both.
const numberedHeader = 16

func numbered(msg []byte, id int, seq uint64) {
	binary.NativeEndian.PutUint64(msg, uint64(id))
	binary.NativeEndian.PutUint64(msg[8:], seq)
	for i := range msg[numberedHeader:] {
		msg[numberedHeader+i] = byte(seq*7 + uint64(id) + uint64(i))
	}
}

func sendNumbered(ctx context.Context, p *shmring.Producer, id int, seq uint64) error {
	claim, err := p.Claim(ctx, numberedHeader+varied(seq+uint64(id)))
	if err != nil {
		return err
	}
	numbered(claim.Bytes(), id, seq)
	return claim.Commit()
}

// checkNext checks a numbered message, and that it is the next message of its producer.
func checkNext(t *testing.T, msg []byte, next []uint64) {
	t.Helper()
	if len(msg) < numberedHeader {
		t.Fatalf("message of %d bytes", len(msg))
	}
	id, seq := binary.NativeEndian.Uint64(msg), binary.NativeEndian.Uint64(msg[8:])
	if id >= uint64(len(next)) {
		t.Fatalf("message of producer %d, of which there is none", id)
	}
	if seq != next[id] {
		t.Fatalf("message %d of producer %d, want %d", seq, id, next[id])
	}
	want := make([]byte, numberedHeader+varied(seq+id))
	numbered(want, int(id), seq)
	if !bytes.Equal(msg, want) {
		t.Fatalf("message %d of producer %d has wrong contents", seq, id)
	}
	next[id]++
}

// TestPingPong passes a message back and forth. A forgotten or lost wake-up costs a tick of
// more than 0.1 s, so many of them would take very long.
func TestPingPong(t *testing.T) {
	for _, procs := range []int{1, 2} {
		t.Run(fmt.Sprintf("GOMAXPROCS=%d", procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			both(t, func(t *testing.T, kind shmring.Producers) {
				const turns = 5000
				ctx := background(t)
				there, _ := newRing(t, 4096, kind)
				back, _ := newRing(t, 4096, kind)
				play := func(p *shmring.Producer, c *shmring.Consumer, serve bool) {
					for i := range turns {
						if i > 0 || !serve {
							if _, err := c.Receive(ctx); err != nil {
								t.Error(err)
								return
							}
						}
						if err := p.Send(ctx, []byte("ball")); err != nil {
							t.Error(err)
							return
						}
					}
				}
				began := time.Now()
				together(
					func() { play(producer(t, there), consumer(t, back), true) },
					func() { play(producer(t, back), consumer(t, there), false) },
				)
				if d := time.Since(began); d > 20*time.Second {
					t.Errorf("%d turns took %v", turns, d)
				}
			})
		})
	}
}

// TestFullPingPong lets both sides wait for each other all the time: the producer
// for room, the consumer for messages.
func TestFullPingPong(t *testing.T) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		ring, _ := newRing(t, 4096, kind)
		p, c, ctx := producer(t, ring), consumer(t, ring), background(t)
		const count = 5000
		began := time.Now()
		together(func() {
			for range count {
				if err := p.Send(ctx, make([]byte, ring.MaxMessage())); err != nil {
					t.Error(err)
					return
				}
			}
		}, func() {
			for range count {
				if _, err := c.Receive(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("%d messages took %v", count, d)
		}
	})
}

// TestManySleepers lets more producers than processors wait for a slow consumer.
func TestManySleepers(t *testing.T) {
	ring, _ := newRing(t, 4096, shmring.Many)
	c, ctx := consumer(t, ring), background(t)
	const producers, each = 16, 50
	work := []func(){func() {
		next := make([]uint64, producers)
		for msg, err := range c.Messages(ctx) {
			if err != nil {
				t.Error(err)
				return
			}
			checkNext(t, msg, next)
			runtime.GC() // interrupts every sleep
		}
		for id, seq := range next {
			if seq != each {
				t.Errorf("producer %d: %d messages, want %d", id, seq, each)
			}
		}
	}}
	for id := range producers {
		p := producer(t, ring)
		work = append(work, func() {
			for seq := range uint64(each) {
				if err := sendNumbered(ctx, p, id, seq); err != nil {
					t.Error(err)
				}
			}
			p.Close()
		})
	}
	together(work...)
}

func FuzzOpen(f *testing.F) {
	size := shmring.Size(4096)
	words := make([]uint64, size/8)
	mem := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), size)
	for _, kind := range []shmring.Producers{shmring.One, shmring.Many} {
		if _, err := shmring.Create(mem, &shmring.Options{Producers: kind}); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(mem[:2560]), uint16(2560))
	}
	f.Add([]byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, head []byte, cut uint16) {
		// Whatever the header and the first state words contain, the result is an error
		// and nothing worse.
		words := make([]uint64, size/8)
		mem := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), size)
		copy(mem, head)
		mem = mem[:max(0, size-int(cut)%64*8)]
		if cut%64 < 60 {
			mem = mem[:size]
		}
		ring, err := shmring.Open(mem)
		if err != nil {
			return
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if p, err := ring.JoinProducer(); err == nil {
			for n := range 5 {
				_ = p.Send(ctx, make([]byte, n*500))
			}
			_, _ = p.SendBatch(ctx, [][]byte{{1}, make([]byte, 100), {3}})
		}
		if c, err := ring.JoinConsumer(); err == nil {
			for range 100 {
				if _, err := c.Receive(ctx); err != nil {
					break
				}
			}
			c.ReapProducers()
			c.Close()
		}
	})
}
