package shmring_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// newBroadcast makes a broadcast of the capacity in memory of its own.
func newBroadcast(t testing.TB, capacity int) (*shmring.Broadcast, *os.File) {
	t.Helper()
	_, f := shared(t, shmring.BroadcastSize(capacity))
	m, err := posix.MapFile(f, nil)
	if err == nil {
		err = m.Prefault()
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := shmring.CreateBroadcastIn(m, capacity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(b.Close(), m.Unmap()) })
	return b, f
}

func writer(t testing.TB, b *shmring.Broadcast, o *shmring.WriterOptions) *shmring.BroadcastWriter {
	t.Helper()
	w, err := b.JoinWriter(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func subscribe(t testing.TB, b *shmring.Broadcast, p shmring.Policy, o *shmring.SubscribeOptions) *shmring.Subscription {
	t.Helper()
	s, err := b.Subscribe(p, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// message returns message n of a broadcast, whose length and bytes follow from n.
func message(n uint64) []byte {
	msg := make([]byte, 8+varied(n))
	fill(msg, n)
	return msg
}

func sendNext(ctx context.Context, w *shmring.BroadcastWriter) error {
	return w.Send(ctx, message(w.Published()))
}

// receiveNext receives a message and checks that it is the right one.
func receiveNext(ctx context.Context, s *shmring.Subscription) error {
	msg, err := s.Receive(ctx)
	if err != nil {
		return err
	}
	if want := message(s.Next() - 1); string(msg) != string(want) {
		return fmt.Errorf("message %d has %d bytes, want %d: %.16x, want %.16x", s.Next()-1, len(msg), len(want), msg, want)
	}
	return nil
}

func TestBroadcast(t *testing.T) {
	ctx := background(t)
	b, _ := newBroadcast(t, 1<<16)
	w := writer(t, b, nil)
	early := subscribe(t, b, shmring.Block, nil)
	for range 5 {
		noError(t, sendNext(ctx, w))
	}
	late := subscribe(t, b, shmring.Latest, nil)
	oldest := subscribe(t, b, shmring.Block, &shmring.SubscribeOptions{FromOldest: true, Label: "from the oldest"})
	noError(t, sendNext(ctx, w))
	noError(t, w.SendFunc(ctx, 2000, func(p []byte) (int, error) { return copy(p, message(6)), nil }))
	noError(t, w.Close())
	for name, tt := range map[string]struct {
		s    *shmring.Subscription
		want int
	}{"early": {early, 7}, "late": {late, 2}, "oldest": {oldest, 7}} {
		got := 0
		for ; ; got++ {
			err := receiveNext(ctx, tt.s)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if got != tt.want || tt.s.Lost() != 0 {
			t.Errorf("%s: received %d and lost %d, want %d and none", name, got, tt.s.Lost(), tt.want)
		}
	}
	again := writer(t, b, nil)
	noError(t, sendNext(ctx, again))
	noError(t, receiveNext(ctx, early))
	all, err := b.Subscribers()
	noError(t, err)
	if len(all) != 3 || !all[2].Alive || all[2].Label != "from the oldest" || all[2].PID != os.Getpid() || all[2].Behind != 1 || all[0].Behind != 0 {
		t.Errorf("Subscribers = %+v", all)
	}
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestBroadcastLatest lets a reader fall behind. It learns exactly how many messages it
// lost, and goes on with the newest.
func TestBroadcastLatest(t *testing.T) {
	ctx := background(t)
	b, _ := newBroadcast(t, 1<<12)
	w := writer(t, b, nil)
	s := subscribe(t, b, shmring.Latest, nil)
	for range 3 {
		noError(t, sendNext(ctx, w))
	}
	noError(t, receiveNext(ctx, s))
	for range 1000 {
		noError(t, sendNext(ctx, w))
	}
	noError(t, receiveNext(ctx, s))
	if s.Next() != 1003 || s.Lost() != 1001 {
		t.Errorf("after the gap: next %d, lost %d; want 1003 and 1001", s.Next(), s.Lost())
	}
	if _, ok, err := s.TryReceive(); ok || err != nil {
		t.Errorf("TryReceive = %v, %v, want nothing", ok, err)
	}
	// A message that is overwritten while it is read in place is not received.
	noError(t, sendNext(ctx, w))
	err := s.View(ctx, func([]byte) error {
		for range 100 {
			noError(t, sendNext(ctx, w))
		}
		return io.ErrUnexpectedEOF
	})
	if !errors.Is(err, shmring.ErrOverwritten) || s.Lost() != 1001+100 {
		t.Errorf("View = %v, lost %d, want ErrOverwritten and 1101", err, s.Lost())
	}
	noError(t, receiveNext(ctx, s))
	if want := w.Published(); s.Next() != want {
		t.Errorf("next %d, want %d", s.Next(), want)
	}
}

// TestBroadcastBlock sends until the writer must wait for readers that do not receive. The
// wait is bounded, and the error names the readers, slowest first.
func TestBroadcastBlock(t *testing.T) {
	ctx := background(t)
	b, _ := newBroadcast(t, 1<<14)
	w := writer(t, b, &shmring.WriterOptions{MaxWait: 10 * time.Millisecond})
	slow := subscribe(t, b, shmring.Block, &shmring.SubscribeOptions{Label: "recorder"})
	quick := subscribe(t, b, shmring.Block, nil)
	noError(t, sendNext(ctx, w))
	noError(t, receiveNext(ctx, quick))
	var err error
	for err == nil {
		err = sendNext(ctx, w)
	}
	var e *shmring.SlowError
	if !errors.Is(err, shmring.ErrSlow) || !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Send = %v, want ErrSlow", err)
	}
	if want := w.Published(); e.Readers[0].Label != "recorder" || e.Readers[0].Behind != want || e.Readers[0].PID != os.Getpid() {
		t.Errorf("Send = %v, want recorder, %d behind, first", err, want)
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if err := sendNext(short, w); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Send = %v, want the context's error", err)
	}
	// A message stays in place while View reads it.
	noError(t, slow.View(ctx, func(msg []byte) error {
		if err := sendNext(ctx, w); !errors.Is(err, shmring.ErrSlow) {
			t.Errorf("Send during View = %v", err)
		}
		if string(msg) != string(message(0)) {
			t.Error("the message has changed")
		}
		return nil
	}))
	noError(t, slow.Close())
	for quick.Next() < w.Published() {
		noError(t, receiveNext(ctx, quick))
	}
	noError(t, sendNext(ctx, w))
}

// TestBroadcastFull subscribes more readers than there can be.
func TestBroadcastFull(t *testing.T) {
	b, _ := newBroadcast(t, 1<<12)
	var all []*shmring.Subscription
	for range 64 {
		all = append(all, subscribe(t, b, shmring.Latest, nil))
	}
	if _, err := b.Subscribe(shmring.Block, nil); !errors.Is(err, shmring.ErrBusy) {
		t.Errorf("the 65th reader: %v, want ErrBusy", err)
	}
	noError(t, all[17].Close())
	subscribe(t, b, shmring.Block, nil)
	w := writer(t, b, nil)
	if _, err := b.JoinWriter(nil); !errors.Is(err, shmring.ErrBusy) {
		t.Errorf("the second writer: %v, want ErrBusy", err)
	}
	noError(t, w.Close())
	for name, err := range map[string]error{"Close": w.Close(), "Send": w.Send(t.Context(), nil), "Close of a reader": all[17].Close(), "Receive": receiveNext(t.Context(), all[17])} {
		if !errors.Is(err, shmring.ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
}

// TestBroadcastDone passes a done context to every call that takes one.
func TestBroadcastDone(t *testing.T) {
	b, _ := newBroadcast(t, 1<<12)
	w, s := writer(t, b, nil), subscribe(t, b, shmring.Block, nil)
	noError(t, w.Send(t.Context(), []byte("x")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Send":     func() error { return w.Send(ctx, nil) },
		"SendFunc": func() error { return w.SendFunc(ctx, 1, func([]byte) (int, error) { return 0, nil }) },
		"Receive":  func() error { _, err := s.Receive(ctx); return err },
		"View":     func() error { return s.View(ctx, func([]byte) error { return nil }) },
		"Messages": func() error {
			for _, err := range s.Messages(ctx) {
				return err
			}
			return nil
		},
		"OpenOrCreateBroadcast": func() error { _, err := shmring.OpenOrCreateBroadcast(ctx, "/done", nil); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
	noError(t, receiveNothingBut(t.Context(), s, "x"))
	// A context also ends a wait that has begun.
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Receive = %v, want the deadline", err)
	}
}

func receiveNothingBut(ctx context.Context, s *shmring.Subscription, want string) error {
	if msg, err := s.Receive(ctx); err != nil || string(msg) != want {
		return fmt.Errorf("received %q, %w, want %q", msg, err, want)
	}
	return nil
}

// TestBroadcastFill checks that nothing is sent if fill fails, panics or returns a wrong
// length.
func TestBroadcastFill(t *testing.T) {
	ctx := background(t)
	b, _ := newBroadcast(t, 1<<12)
	w, s := writer(t, b, nil), subscribe(t, b, shmring.Block, nil)
	failure := errors.New("broken")
	if err := w.SendFunc(ctx, 10, func([]byte) (int, error) { return 10, failure }); err != failure {
		t.Errorf("SendFunc = %v, want fill's error", err)
	}
	if err := w.SendFunc(ctx, 10, func([]byte) (int, error) { return 11, nil }); !errors.Is(err, shmring.ErrTooLarge) {
		t.Errorf("SendFunc = %v, want ErrTooLarge", err)
	}
	if err := w.SendFunc(ctx, 10, func([]byte) (int, error) { return -1, nil }); !errors.Is(err, shmring.ErrTooLarge) {
		t.Errorf("SendFunc = %v, want ErrTooLarge", err)
	}
	if err := w.Send(ctx, make([]byte, b.MaxMessage()+1)); !errors.Is(err, shmring.ErrTooLarge) {
		t.Errorf("Send = %v, want ErrTooLarge", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = w.SendFunc(ctx, 10, func([]byte) (int, error) { panic("fill") })
	}()
	noError(t, w.Send(ctx, []byte("x")))
	func() {
		defer func() { _ = recover() }()
		_ = s.View(ctx, func([]byte) error { panic("view") })
	}()
	noError(t, receiveNothingBut(ctx, s, "x"))
	noError(t, w.Send(ctx, nil))
	noError(t, receiveNothingBut(ctx, s, ""))
	noError(t, w.Send(ctx, make([]byte, b.MaxMessage())))
	noError(t, receiveNothingBut(ctx, s, string(make([]byte, b.MaxMessage()))))
}

// TestBroadcastJoins subscribes readers while the writer overwrites messages at full speed.
// A reader that blocks receives every message from its first one on.
func TestBroadcastJoins(t *testing.T) {
	b, _ := newBroadcast(t, 1<<12)
	w := writer(t, b, nil)
	ctx, cancel := context.WithCancel(background(t))
	readers := 3000
	if testing.Short() {
		readers = 300
	}
	together(
		func() {
			for {
				if err := sendNext(ctx, w); err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					return
				}
			}
		},
		func() {
			defer cancel()
			for i := range readers {
				s, err := b.Subscribe(shmring.Block, &shmring.SubscribeOptions{FromOldest: i%3 > 0})
				if err != nil {
					t.Error(err)
					return
				}
				for range i % 50 {
					if err := receiveNext(ctx, s); err != nil {
						t.Errorf("reader %d: %v", i, err)
						return
					}
				}
				if s.Lost() != 0 {
					t.Errorf("reader %d lost %d messages", i, s.Lost())
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
}

// TestBroadcastShrinks truncates the memory while it is in use. Calls return ErrFault.
func TestBroadcastShrinks(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "a SIGBUS comes without its address")
	b, f := newBroadcast(t, 1<<16)
	w, s, idle := writer(t, b, nil), subscribe(t, b, shmring.Block, nil), subscribe(t, b, shmring.Latest, nil)
	noError(t, sendNext(t.Context(), w))
	for _, size := range []int64{4096, 0} {
		noError(t, f.Truncate(size))
		if err := sendNext(t.Context(), w); !errors.Is(err, shmring.ErrFault) {
			t.Errorf("%d bytes left: Send = %v, want ErrFault", size, err)
		}
		if _, err := s.Receive(t.Context()); !errors.Is(err, shmring.ErrFault) {
			t.Errorf("%d bytes left: Receive = %v, want ErrFault", size, err)
		}
		if err := idle.View(t.Context(), func([]byte) error { return nil }); !errors.Is(err, shmring.ErrFault) {
			t.Errorf("%d bytes left: View = %v, want ErrFault", size, err)
		}
		if _, err := b.Subscribe(shmring.Block, nil); !errors.Is(err, shmring.ErrFault) {
			t.Errorf("%d bytes left: Subscribe = %v, want ErrFault", size, err)
		}
	}
	if err := s.Close(); !errors.Is(err, shmring.ErrFault) {
		t.Errorf("Close = %v, want ErrFault", err)
	}
}

// TestBroadcastNamed opens a broadcast by its name, and refuses objects that do not match.
func TestBroadcastNamed(t *testing.T) {
	ctx := background(t)
	const name = "/broadcast-named"
	b, err := shmring.OpenOrCreateBroadcast(ctx, name, &shmring.NamedOptions{Capacity: 1 << 13})
	noError(t, err)
	for what, o := range map[string]*shmring.NamedOptions{"capacity": {Capacity: 1 << 14}} {
		if _, err := shmring.OpenOrCreateBroadcast(ctx, name, o); !errors.Is(err, shmring.ErrMismatch) {
			t.Errorf("another %s: %v, want ErrMismatch", what, err)
		}
	}
	if _, err := shmring.OpenOrCreate(ctx, name, nil); !errors.Is(err, shmring.ErrNotRing) {
		t.Errorf("as a ring: %v, want ErrNotRing", err)
	}
	if _, err := shmring.OpenOrCreateBroadcast(ctx, name, &shmring.NamedOptions{Producers: shmring.Many}); err == nil {
		t.Error("a broadcast of many writers")
	}
	other, err := shmring.OpenOrCreateBroadcast(ctx, name, nil)
	noError(t, err)
	if other.ID() != b.ID() || other.Capacity() != 1<<13 {
		t.Error("the name leads to another broadcast")
	}
	w, s := writer(t, b, nil), subscribe(t, other, shmring.Latest, nil)
	noError(t, sendNext(ctx, w))
	noError(t, receiveNext(ctx, s))
	if err := b.Remove(); !errors.Is(err, shmring.ErrBusy) {
		t.Errorf("Remove while another has it open: %v, want ErrBusy", err)
	}
	if err := b.Close(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("Close with a writer: %v, want EBUSY", err)
	}
	noError(t, errors.Join(w.Close(), s.Close(), other.Close(), b.Remove(), b.Close()))
	if _, err := posix.StatObject(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Remove: %v", err)
	}
}

// TestBroadcastKey is TestBroadcastNamed with a key. A maker replaces the segment that a
// killed maker left. After Unlink, readers still receive the messages that were sent.
func TestBroadcastKey(t *testing.T) {
	ipctest.SkipWithoutMode(t)
	ctx := background(t)
	const key = 7
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := shmring.AwaitBroadcastKey(over, key, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("AwaitBroadcastKey of nothing: %v, want context.Canceled", err)
	}
	left, err := sysv.CreateSegment(key, int64(shmring.BroadcastSize(1<<13)), &sysv.SegmentOptions{Mode: 0o601})
	noError(t, err)
	b, err := shmring.OpenOrCreateBroadcastKey(ctx, key, &shmring.NamedOptions{Capacity: 1 << 13})
	noError(t, err)
	if _, err := left.Stat(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the segment of the dead maker: %v, want fs.ErrNotExist", err)
	}
	other, err := shmring.AwaitBroadcastKey(ctx, key, nil)
	noError(t, err)
	if other.ID() != b.ID() || !b.Made() || other.Made() {
		t.Errorf("ids %x and %x, made %t and %t", b.ID(), other.ID(), b.Made(), other.Made())
	}
	w, s := writer(t, b, nil), subscribe(t, other, shmring.Block, nil)
	noError(t, errors.Join(b.Prefault(), sendNext(ctx, w), w.Close()))
	if n, err := other.Published(); n != 1 || err != nil || other.Abandoned() {
		t.Errorf("Published = %d, %v; Abandoned = %t, want 1, nil, false", n, err, other.Abandoned())
	}
	noError(t, errors.Join(b.Unlink(), b.Close()))
	if _, err := sysv.OpenSegment(key); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Unlink: %v", err)
	}
	noError(t, errors.Join(receiveNext(ctx, s), s.Close(), other.Close()))
}
