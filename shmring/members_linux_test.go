package shmring

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func kinds(t *testing.T, test func(*testing.T, Producers)) {
	t.Run("One", func(t *testing.T) { test(t, One) })
	t.Run("Many", func(t *testing.T) { test(t, Many) })
}

func TestMembers(t *testing.T) {
	kinds(t, func(t *testing.T, kind Producers) {
		r := crashRing(t, kind)
		want := func(when string, m Members, abandoned bool) {
			t.Helper()
			if got := r.Members(); got != m {
				t.Errorf("%s: Members = %+v, want %+v", when, got, m)
			}
			if got := r.Abandoned(); got != abandoned {
				t.Errorf("%s: Abandoned = %t", when, got)
			}
		}
		want("new", Members{}, false)
		p, err := r.JoinProducer()
		check(t, err)
		want("a producer", Members{Producers: 1, Joined: 1}, false)
		c, err := r.JoinConsumer()
		check(t, err)
		want("both", Members{Producers: 1, Consumer: true, Joined: 1}, false)
		check(t, p.Close())
		_, err = c.Receive(t.Context())
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		want("an end", Members{Consumer: true, Joined: 1, Ended: 1}, false)
		p, err = r.JoinProducer()
		check(t, err)
		want("another producer, behind the end", Members{Producers: 1, Consumer: true, Joined: 2, Ended: 1}, false)
		check(t, p.Close())
		check(t, c.Close())
		want("all have left", Members{Joined: 2, Ended: 1}, false)

		r.consumer().ticket.Store(deadTicket)
		want("a dead consumer", Members{Consumer: true, Joined: 2, Ended: 1}, true)
		r.header.members[0].ticket.Store(deadTicket)
		want("both dead", Members{Producers: 1, Consumer: true, Joined: 2, Ended: 1}, true)
		r.header.members[0].ticket.Store(nobody)
		p, err = r.JoinProducer()
		check(t, err)
		want("a dead consumer, a producer that lives", Members{Producers: 1, Consumer: true, Joined: 3, Ended: 1}, false)
		check(t, p.Close())
		r.header.members[0].ticket.Store(deadTicket)
		l, err := r.lifeline()
		check(t, err)
		defer l.Close()
		r.buryAll(l)
		want("a producer that was found dead", Members{Consumer: true, Joined: 3, Ended: 1, Died: 1}, true)
	})
}

func TestFlush(t *testing.T) {
	kinds(t, func(t *testing.T, kind Producers) {
		f := newFlusher(t, kind)
		f.wantReleases()
		f.wantMidClaim()
		f.wantDeaths()
	})
}

// A flusher is a producer whose Flush is called in all states of the ring.
type flusher struct {
	t    *testing.T
	r    *Ring
	p    *Producer
	c    *Consumer
	over context.Context // cancelled: Flush must not wait
}

func newFlusher(t *testing.T, kind Producers) *flusher {
	r := crashRing(t, kind)
	p, err := r.JoinProducer()
	check(t, err)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	return &flusher{t: t, r: r, p: p, over: over}
}

func (f *flusher) flush(when string, ctx context.Context, want error) {
	f.t.Helper()
	if err := f.p.Flush(ctx); !errors.Is(err, want) {
		f.t.Errorf("%s: Flush = %v, want %v", when, err, want)
	}
}

// wantReleases checks that Flush waits until the consumer has released all messages.
func (f *flusher) wantReleases() {
	t := f.t
	f.flush("nothing was sent", f.over, nil)
	check(t, f.p.Send(t.Context(), []byte("one")))
	f.flush("no consumer", f.over, context.Canceled)
	c, err := f.r.JoinConsumer()
	check(t, err)
	if _, err := c.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.flush("received, not released", f.over, context.Canceled)
	c.Release()
	f.flush("released", f.over, nil)

	check(t, f.p.Send(t.Context(), []byte("two")))
	released := make(chan struct{})
	go func() {
		defer close(released)
		for !anyAsleep(&f.r.header.producersSleep) {
			runtime.Gosched()
		}
		if _, err := c.Receive(t.Context()); err != nil {
			t.Error(err)
		}
		c.Release()
	}()
	f.flush("released meanwhile", t.Context(), nil)
	<-released
	f.c = c
}

func (f *flusher) wantMidClaim() {
	claim, err := f.p.Claim(f.t.Context(), 1)
	check(f.t, err)
	f.flush("a claim under way", f.over, ErrClaim)
	check(f.t, claim.Abort())
}

// wantDeaths checks what else ends a Flush: a death, a close, or an invalid head.
func (f *flusher) wantDeaths() {
	t, header := f.t, f.r.header
	check(t, f.p.Send(t.Context(), []byte("three")))
	header.consumerSleeps.Store(sleeping) // it may have seen all but the padding that follows
	f.flush("the consumer sleeps", f.over, context.Canceled)
	if anyAsleep(&header.consumerSleeps) {
		t.Error("Flush did not wake the consumer")
	}
	f.c.life.release(consumerRole)
	f.flush("the consumer has died", t.Context(), ErrPeerDied)
	head := header.head.Load()
	header.head.Store(head - 2*f.r.capacity)
	f.flush("mad head", t.Context(), ErrCorrupt)
	header.head.Store(head)
	f.r.consumer().ticket.Store(gone)
	f.flush("the consumer has closed", t.Context(), ErrClosed)
	header.head.Store(max(f.p.tail, header.tail.Load())) // where the last message ends
	f.flush("it had received all", t.Context(), nil)
	check(t, f.p.Close())
	f.flush("closed", t.Context(), ErrClosed)
}

func TestPositions(t *testing.T) {
	kinds(t, func(t *testing.T, kind Producers) {
		r := crashRing(t, kind)
		want := func(when string, head, tail uint64) {
			t.Helper()
			if got, err := r.Positions(); err != nil || got != (Positions{r.capacity + head, r.capacity + tail}) {
				t.Errorf("%s: %+v, %v, want %d and %d behind %d", when, got, err, head, tail, r.capacity)
			}
		}
		want("new", 0, 0)
		p, err := r.JoinProducer()
		check(t, err)
		c, err := r.JoinConsumer()
		check(t, err)
		check(t, p.Send(t.Context(), make([]byte, 100)))
		check(t, p.Send(t.Context(), nil))
		want("two messages", 0, 192)
		if _, err := c.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("one received", 0, 192)
		c.Release()
		want("one released", 128, 192)
		if kind == Many {
			r.header.tail.Store(r.capacity)
			want("a tail that is late", 128, 128)
			r.header.tail.Store(3 * r.capacity)
			if got, err := r.Positions(); !errors.Is(err, ErrCorrupt) {
				t.Errorf("mad tail: %+v, %v, want ErrCorrupt", got, err)
			}
		}
		r.header.head.Store(1)
		if got, err := r.Positions(); !errors.Is(err, ErrCorrupt) && kind == One {
			t.Errorf("mad head: %+v, %v, want ErrCorrupt", got, err)
		}
	})
}

func TestList(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it shows another start time at each look")
	r := crashRing(t, Many)
	p, err := r.JoinProducer()
	check(t, err)
	_, err = r.JoinConsumer()
	check(t, err)
	r.header.members[7].ticket.Store(deadTicket)
	got, err := r.List()
	check(t, err)
	me := thisProcess()
	alive := Member{Alive: true, PID: int(me.pid), PIDNamespace: uint64(me.namespace), Started: me.start}
	receiver := alive
	receiver.Consumer = true
	if want := []Member{alive, {}, receiver}; !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	check(t, p.Close())
	check(t, r.Close())
	if _, err := r.List(); !errors.Is(err, ErrClosed) {
		t.Errorf("%v, want ErrClosed", err)
	}
}

// TestHandover lets producers in the slots at both ends of the table follow one another, so
// that there is always one. A consumer that checks meanwhile must not see the end.
func TestHandover(t *testing.T) {
	r := crashRing(t, Many)
	c, err := r.JoinConsumer()
	check(t, err)
	first, err := r.JoinProducer()
	check(t, err)
	stop, failed := make(chan struct{}), make(chan error, 1)
	go func() { failed <- handOver(r, first, stop) }()
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		if _, ok, err := c.TryReceive(); ok || err != nil {
			t.Errorf("%t, %v: there was a producer all the time", ok, err)
			break
		}
	}
	close(stop)
	check(t, <-failed)
}

// handOver fills the table, frees all slots but the last, takes the first again and frees
// the last, over and over.
func handOver(r *Ring, first *Producer, stop <-chan struct{}) error {
	for {
		all := []*Producer{first}
		for len(all) < slotCount {
			p, err := r.JoinProducer()
			if err != nil {
				return err
			}
			all = append(all, p)
		}
		last := all[len(all)-1]
		for _, p := range all[:len(all)-1] {
			if err := p.Close(); err != nil {
				return err
			}
		}
		var err error
		if first, err = r.JoinProducer(); err != nil {
			return err
		}
		if err := last.Close(); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

// TestCommitsBehindClaim lets a consumer sleep at an open claim while another producer
// commits messages after it. These do not wake the consumer; the end of the claim does.
func TestCommitsBehindClaim(t *testing.T) {
	r := crashRing(t, Many)
	first, err := r.JoinProducer()
	check(t, err)
	other, err := r.JoinProducer()
	check(t, err)
	c, err := r.JoinConsumer()
	check(t, err)
	for round := range 3 * int(r.capacity/unit) / 7 { // crosses the end of the data in all ways
		claim, err := first.Claim(t.Context(), round%200)
		check(t, err)
		got := make(chan error, 1)
		go func() {
			_, err := c.Receive(t.Context())
			got <- err
		}()
		for !anyAsleep(&r.header.consumerSleeps) {
			runtime.Gosched()
		}
		for range 5 {
			check(t, other.Send(t.Context(), make([]byte, 60)))
		}
		if !anyAsleep(&r.header.consumerSleeps) {
			t.Fatalf("round %d: a commit after an open claim woke the consumer", round)
		}
		began := time.Now()
		end := claim.Commit
		if round%2 == 1 {
			end = claim.Abort
		}
		check(t, end())
		check(t, <-got)
		if took := time.Since(began); took > tick*2/3 {
			t.Errorf("round %d: the consumer slept on for %v", round, took)
		}
		for ok := true; ok; {
			_, ok, err = c.TryReceive()
			check(t, err)
		}
	}
}

// TestWokenAtOnce lets a consumer sleep where padding, or an aborted claim, comes before
// the message. A lost wake-up would cost a tick.
func TestWokenAtOnce(t *testing.T) {
	kinds(t, func(t *testing.T, kind Producers) {
		r := crashRing(t, kind)
		p, err := r.JoinProducer()
		check(t, err)
		c, err := r.JoinConsumer()
		check(t, err)
		rounds := 5_000
		if testing.Short() {
			rounds /= 10
		}
		received := make(chan error)
		go func() {
			for range rounds {
				_, err := c.Receive(t.Context())
				received <- err
			}
		}()
		slow := 0
		for range rounds {
			for spins := 0; !anyAsleep(&r.header.consumerSleeps) && spins < 10_000; spins++ {
				runtime.Gosched()
			}
			began := time.Now()
			if kind == Many {
				claim, err := p.Claim(t.Context(), 1)
				check(t, err)
				check(t, claim.Abort())
			}
			check(t, p.Send(t.Context(), make([]byte, 1500))) // two fit, with padding after them
			check(t, <-received)
			if time.Since(began) > tick*2/3 {
				slow++
			}
		}
		if slow > 2 { // the machine may be busy
			t.Errorf("%d of %d messages took a tick", slow, rounds)
		}
	})
}
