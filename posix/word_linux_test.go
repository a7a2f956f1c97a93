package posix

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/futex"
)

// words returns a semaphore of each layout that this process can use.
func words(t *testing.T, value int) map[layout]*word {
	t.Helper()
	words := make(map[layout]*word)
	for _, l := range []layout{narrow, wide} {
		if l > nativeLayout {
			continue
		}
		m, err := MapAnonymous(4096, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Unmap(); err != nil {
				t.Error(err)
			}
		})
		w, err := l.word(m.region, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range value {
			if g := w.give(); g != added {
				t.Fatalf("give = %v", g)
			}
		}
		if v, n := l.read(m.Bytes()); v != value || n != 0 {
			t.Fatalf("read = %d, %d, want %d", v, n, value)
		}
		words[l] = &w
	}
	return words
}

// untilWoken is a sleeper that checks again only when it is woken, like waiters of the C
// library. With it, a lost wake-up makes a test hang.
func untilWoken(w *uint32, value uint32) error {
	return futex.Wait(context.Background(), w, value, 0)
}

func TestNoWakeUpIsLost(t *testing.T) {
	const takers, each = 4, 50_000
	for l, w := range words(t, 0) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			var wg sync.WaitGroup
			for range takers {
				wg.Go(func() {
					for range each {
						if w.take() {
							continue
						}
						if err := w.sleep(untilWoken); err != nil {
							t.Error(err)
						}
					}
				})
			}
			for range takers * each {
				if w.give() == waited {
					w.giveAndWake()
				}
			}
			wg.Wait()
		}()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatalf("layout %d: somebody sleeps for ever; value %d, waiters %d", l, w.value(), w.waiters())
		}
		if v, n := w.value(), w.waiters(); v != 0 || n != 0 {
			t.Errorf("layout %d: value %d, waiters %d in the end", l, v, n)
		}
		if w.give() == waited {
			t.Errorf("layout %d: it seems that somebody waits when nobody does", l)
		}
	}
}

// A waiter that gives up is counted out, and the others are not forgotten.
func TestWaiterGivesUp(t *testing.T) {
	gaveUp := errors.New("gave up")
	for l, w := range words(t, 0) {
		if err := w.sleep(func(*uint32, uint32) error { return gaveUp }); !errors.Is(err, gaveUp) {
			t.Errorf("layout %d: %v", l, err)
		}
		if n := w.waiters(); n != 0 {
			t.Errorf("layout %d: %d wait", l, n)
		}
		// A waiter arrives while another one leaves.
		err := w.sleep(func(*uint32, uint32) error {
			other := make(chan error, 1)
			go func() { other <- w.sleep(untilWoken) }()
			for w.waiters() != 2 {
				time.Sleep(time.Millisecond)
			}
			if g := w.give(); g != waited || !w.giveAndWake() {
				t.Errorf("layout %d: give = %v: nobody seems to wait", l, g)
			}
			if err := <-other; err != nil {
				t.Errorf("layout %d: %v", l, err)
			}
			return gaveUp
		})
		if !errors.Is(err, gaveUp) || w.value() != 0 || w.waiters() != 0 {
			t.Errorf("layout %d: %v, value %d, waiters %d", l, err, w.value(), w.waiters())
		}
	}
}

// A waiter that wrongly took itself for the last one has cleared the bit, and must set it
// again.
func TestNotTheLastOne(t *testing.T) {
	w := words(t, 0)[narrow]
	other := make(chan error, 1)
	go func() { other <- w.sleep(untilWoken) }()
	for atomic.LoadUint32(w.futex) != waitersBit { // it is about to sleep, or does
		time.Sleep(time.Millisecond)
	}
	atomic.AddUint32(w.count, 1)
	time.Sleep(10 * time.Millisecond)
	atomic.AddUint32(w.futex, 1<<valueShift) // added by a process that saw no bit
	w.leaveNarrow(true)
	select {
	case err := <-other:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the other was forgotten")
	}
}

func TestOverflow(t *testing.T) {
	for l, w := range words(t, 0) {
		if w.data != nil {
			*w.data = MaxSemaphore
		} else {
			*w.futex = MaxSemaphore << valueShift
		}
		if w.give() != full || w.giveAndWake() {
			t.Errorf("layout %d: more than the maximum fits", l)
		}
		if !w.take() || w.value() != MaxSemaphore-1 {
			t.Errorf("layout %d: value %d", l, w.value())
		}
	}
}

func TestLayoutOf(t *testing.T) {
	sem := newSemaphore(5)
	if len(sem) != SemaphoreSize || int64(len(sem)) != nativeLayout.size() {
		t.Errorf("a semaphore of %d bytes", len(sem))
	}
	l, err := layoutOf(sem)
	if v, n := l.read(sem); l != nativeLayout || v != 5 || n != 0 || err != nil {
		t.Errorf("layout %d, value %d, waiters %d, %v", l, v, n, err)
	}
	foreign := make([]byte, layoutBytes)
	binary.NativeEndian.PutUint32(foreign[wide.marker():], shared)
	if _, err := layoutOf(foreign); nativeLayout == narrow && !errors.Is(err, ErrNotSemaphore) {
		t.Errorf("a semaphore of 64 bits in a program of 32: %v", err)
	}
}

func TestParseQueue(t *testing.T) {
	for text, want := range map[string]struct {
		bytes uint64
		pid   int
		ok    bool
	}{
		"QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260  \n": {129, 8260, true},
		"QSIZE:0":                     {0, 0, true},
		"":                            {},
		"NOTIFY_PID:1":                {},
		"QSIZE:x":                     {},
		"QSIZE:-1":                    {},
		"QSIZE:1 NOTIFY_PID:":         {},
		"QSIZE:1 NOTIFY_PID:9e9":      {},
		"QSIZE:1 FUTURE:yes \x00\xff": {1, 0, true},
	} {
		bytes, pid, err := parseQueue(text)
		if bytes != want.bytes || pid != want.pid || (err == nil) != want.ok {
			t.Errorf("parseQueue(%q) = %d, %d, %v, want %+v", text, bytes, pid, err, want)
		}
	}
}

func FuzzParseQueue(f *testing.F) {
	f.Add("QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260")
	f.Fuzz(func(t *testing.T, text string) {
		if bytes, pid, err := parseQueue(text); err != nil && (bytes != 0 || pid != 0) {
			t.Errorf("parseQueue(%q) = %d, %d, %v", text, bytes, pid, err)
		}
	})
}

func FuzzLayoutOf(f *testing.F) {
	f.Add(newSemaphore(7))
	f.Fuzz(func(t *testing.T, head []byte) {
		if len(head) < layoutBytes {
			return
		}
		l, err := layoutOf(head)
		if err != nil {
			return
		}
		if v, _ := l.read(head); l > nativeLayout || v < 0 || v > MaxSemaphore {
			t.Errorf("layout %d with value %d", l, v)
		}
	})
}
