package semops_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

const bufferSlots = 10

// The semaphores of a Buffer that begins at 0.
const (
	bufferFree = iota
	bufferFull
	bufferPutLock
	bufferPutIndex
	bufferTakeLock
	bufferTakeIndex
)

func newBuffer(t testing.TB, set sysv.Set, slots int) *semops.Buffer {
	t.Helper()
	b, err := semops.NewBuffer(set, 0, slots)
	must(t, err)
	return b
}

// A recorder records the slots that it is given.
type recorder struct {
	slots []int
	fail  error
}

func (r *recorder) use(slot int) error {
	if r.fail != nil {
		return r.fail
	}
	r.slots = append(r.slots, slot)
	return nil
}

func TestBuffer(t *testing.T) {
	w := newWorld(t, semops.BufferValues(3))
	b, ctx := newBuffer(t, w.set, 3), within(t)
	var put, taken recorder
	length := func(want int) {
		t.Helper()
		if n, err := b.Len(); n != want || err != nil {
			t.Fatalf("Len = %d, %v; want %d", n, err, want)
		}
	}
	if ok, err := b.TryTake(taken.use); ok || err != nil {
		t.Fatalf("TryTake of nothing = %v, %v", ok, err)
	}
	must(t, b.Put(ctx, put.use))
	must(t, b.Put(ctx, put.use))
	length(2)
	must(t, b.Take(ctx, taken.use))
	must(t, b.Put(ctx, put.use))
	if ok, err := b.TryPut(put.use); !ok || err != nil {
		t.Fatalf("TryPut = %v, %v", ok, err)
	}
	length(3)
	if ok, err := b.TryPut(put.use); ok || err != nil {
		t.Fatalf("TryPut into a full buffer = %v, %v", ok, err)
	}
	waiting := run(func() error { return b.Put(ctx, put.use) })
	w.asleep(bufferFree, 1)
	pending(t, waiting)
	must(t, b.Take(ctx, taken.use))
	must(t, result(t, waiting))
	for range 2 {
		if ok, err := b.TryTake(taken.use); !ok || err != nil {
			t.Fatalf("TryTake = %v, %v", ok, err)
		}
	}
	must(t, b.Take(ctx, taken.use))
	waiting = run(func() error { return b.Take(ctx, taken.use) })
	w.asleep(bufferFull, 1)
	must(t, newBuffer(t, w.set, 3).Put(ctx, put.use)) // does not know which slot is next
	must(t, result(t, waiting))
	if want := []int{0, 1, 2, 0, 1, 2}; !slices.Equal(put.slots, want) || !slices.Equal(taken.slots, want) {
		t.Errorf("put %v, taken %v; want %v", put.slots, taken.slots, want)
	}
	length(0)
	if got := w.values(); !slices.Equal(got, semops.BufferValues(3)) {
		t.Errorf("values %v", got)
	}
}

// Work that fails or panics has no effect.
func TestBufferFails(t *testing.T) {
	w := newWorld(t, semops.BufferValues(2))
	b, ctx := newBuffer(t, w.set, 2), within(t)
	failed := errors.New("failed")
	mustBe(t, b.Put(ctx, (&recorder{fail: failed}).use), failed)
	panicking := func(f func(context.Context, func(int) error) error) {
		defer func() {
			if recover() == nil {
				t.Error("did not panic")
			}
		}()
		_ = f(ctx, func(int) error { panic("oh") })
	}
	panicking(b.Put)
	if got := w.values(); !slices.Equal(got, semops.BufferValues(2)) {
		t.Errorf("values %v", got)
	}
	var r recorder
	must(t, b.Put(ctx, r.use))
	before := w.values()
	mustBe(t, b.Take(ctx, (&recorder{fail: failed}).use), failed)
	if ok, err := b.TryTake((&recorder{fail: failed}).use); !ok || err != failed {
		t.Errorf("TryTake = %v, %v", ok, err)
	}
	panicking(b.Take)
	if got := w.values(); !slices.Equal(got, before) {
		t.Errorf("values %v; want %v", got, before)
	}
	must(t, b.Take(ctx, r.use))
	if want := []int{0, 0}; !slices.Equal(r.slots, want) {
		t.Errorf("slots %v; want %v", r.slots, want)
	}
	ctx, cancel := context.WithCancel(ctx)
	waiting := run(func() error { return b.Take(ctx, r.use) })
	w.asleep(bufferFull, 1)
	cancel()
	mustBe(t, result(t, waiting), context.Canceled)
}

func TestBufferOneSlot(t *testing.T) {
	w := newWorld(t, semops.BufferValues(1))
	b, ctx := newBuffer(t, w.set, 1), within(t)
	var r recorder
	for range 3 {
		must(t, b.Put(ctx, r.use))
		must(t, b.Take(ctx, r.use))
	}
	if want := make([]int, 6); !slices.Equal(r.slots, want) {
		t.Errorf("slots %v; want %v", r.slots, want)
	}
}

// Four producers and four consumers, processes of two goroutines each: every
// message arrives once.
func TestBufferExact(t *testing.T) {
	w := newWorld(t, semops.BufferValues(bufferSlots))
	producers := []*child{w.start("producer"), w.start("producer")}
	consumers := []*child{w.start("consumer"), w.start("consumer")}
	for _, c := range producers {
		must(t, c.wait())
	}
	total := int64(len(producers) * bufferGoroutines * bufferMessages)
	eventually(t, "all messages", func() bool { return w.page.rounds.Load() == total })
	for _, c := range consumers {
		c.kill()
	}
	for id := range total {
		if n := w.page.data[id].Load(); n != 1 {
			t.Fatalf("message %d was taken %d times", id, n)
		}
	}
	got := w.values()
	got[bufferPutIndex], got[bufferTakeIndex] = 0, 0
	if !slices.Equal(got, semops.BufferValues(bufferSlots)) {
		t.Errorf("values %v", got)
	}
}

// Producers and consumers are killed at random points. Every message whose Put succeeded
// is taken, and none is half written. No message is taken twice, unless a consumer died
// while using it.
func TestBufferKilled(t *testing.T) {
	w := newWorld(t, semops.BufferValues(bufferSlots))
	names := []string{"mortalproducer", "mortalproducer", "mortalconsumer", "mortalconsumer"}
	children := make([]*child, len(names))
	for i, name := range names {
		children[i] = w.start(name)
	}
	kills := 0
	for range ipctest.Rounds(t, 200, 1) {
		kills++
		i := rand.IntN(len(children))
		before := w.page.rounds.Load()
		eventually(t, "progress", func() bool { return w.page.rounds.Load() > before })
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
		children[i].kill()
		w.checkFault()
		children[i] = w.start(names[i])
	}
	for i := range 2 {
		children[i].kill()
	}
	eventually(t, "all messages", func() bool { return w.values()[bufferFree] == bufferSlots })
	w.page.stop.Store(true)
	for _, c := range children[2:] {
		c.kill()
	}
	w.checkFault()
	t.Logf("%d messages, %d seen again", w.page.rounds.Load(), w.page.told.Load())
	if n := int(w.page.told.Load()); n == 0 && !testing.Short() || n > kills+2 {
		t.Errorf("%d messages were seen again after %d kills; want some", n, kills)
	}
	got := w.values()
	if got[bufferPutIndex] != got[bufferTakeIndex] {
		t.Errorf("values %v: the indices differ", got)
	}
	got[bufferPutIndex], got[bufferTakeIndex] = 0, 0
	if !slices.Equal(got, semops.BufferValues(bufferSlots)) {
		t.Errorf("values %v", got)
	}
}

func TestNewBufferErrors(t *testing.T) {
	w := newWorld(t, make([]uint16, 6))
	_, err := semops.NewBuffer(w.set, 0, 3)
	mustBe(t, err, sysv.ErrUninitialized)
	for _, tt := range [][2]int{{0, 0}, {0, -1}, {0, 32768}, {1, 3}, {-1, 3}} {
		if _, err := semops.NewBuffer(w.set, tt[0], tt[1]); err == nil {
			t.Errorf("NewBuffer(%d, %d) succeeded", tt[0], tt[1])
		}
	}
	must(t, w.set.SetValues(semops.BufferValues(3)))
	_, err = semops.NewBuffer(w.set, 0, 2)
	mustBe(t, err, sysv.ErrMismatch)
	if !strings.HasSuffix(err.Error(), "made for 3 slots, not 2") {
		t.Errorf("error %q", err)
	}
	must(t, w.set.SetValues([]uint16{2, 0, 1, 2, 1, 0}))
	if err := newBuffer(t, w.set, 2).Put(within(t), (&recorder{}).use); err == nil {
		t.Error("Put into slot 2 of 2")
	}
	if got, want := w.values(), []uint16{2, 0, 1, 2, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("values %v; want %v", got, want)
	}
}
