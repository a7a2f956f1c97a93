package shmring_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
)

// A candidate is a source, and how to make it ready and how to use that up.
type candidate struct {
	source func() shmring.Source
	make   func() error
	take   func() (bool, error)
}

// candidates returns a source of each kind.
func candidates(t testing.TB) map[string]candidate {
	t.Helper()
	ctx := background(t)
	return map[string]candidate{
		"consumer of one":  consumerCandidate(ctx, t, shmring.One),
		"consumer of many": consumerCandidate(ctx, t, shmring.Many),
		"receiver":         receiverCandidate(ctx, t),
		"block":            subscriptionCandidate(ctx, t, shmring.Block),
		"latest":           subscriptionCandidate(ctx, t, shmring.Latest),
		"cell":             cellCandidate(ctx, t),
		"server":           serverCandidate(ctx, t),
		"room of one":      roomCandidate(ctx, t, shmring.One),
		"room of many":     roomCandidate(ctx, t, shmring.Many),
	}
}

func consumerCandidate(ctx context.Context, t testing.TB, kind shmring.Producers) candidate {
	ring, _ := newRing(t, 4096, kind)
	p, c := producer(t, ring), consumer(t, ring)
	return candidate{
		source: func() shmring.Source { return c },
		make:   func() error { return p.Send(ctx, make([]byte, 1500)) }, // two fit, with padding after them
		take: func() (bool, error) {
			msg, ok, err := c.TryReceive()
			return ok && len(msg) == 1500, err
		},
	}
}

func receiverCandidate(ctx context.Context, t testing.TB) candidate {
	_, f := shared(t, shmring.Size(4096))
	m, err := posix.MapFile(f, nil)
	noError(t, err)
	ch, err := shmring.CreateChanIn[int64](m, nil)
	noError(t, err)
	s, err := ch.JoinSender()
	noError(t, err)
	r, err := ch.JoinReceiver()
	noError(t, err)
	t.Cleanup(func() { noError(t, errors.Join(s.Close(), r.Close(), ch.Close(), m.Unmap())) })
	return candidate{
		source: func() shmring.Source { return r },
		make:   func() error { return s.Send(ctx, 7) },
		take: func() (bool, error) {
			v, ok, err := r.TryReceive()
			return ok && v == 7, err
		},
	}
}

func subscriptionCandidate(ctx context.Context, t testing.TB, policy shmring.Policy) candidate {
	b, _ := newBroadcast(t, 4096)
	w, s := writer(t, b, nil), subscribe(t, b, policy, nil)
	return candidate{
		source: func() shmring.Source { return s },
		make:   func() error { return sendNext(ctx, w) },
		take: func() (bool, error) {
			_, ok, err := s.TryReceive()
			return ok, err
		},
	}
}

func cellCandidate(ctx context.Context, t testing.TB) candidate {
	_, f := shared(t, shmring.CellSize[int64]())
	m, err := posix.MapFile(f, nil)
	noError(t, err)
	cell, err := shmring.CreateCellIn[int64](m)
	noError(t, err)
	t.Cleanup(func() { noError(t, errors.Join(cell.Close(), m.Unmap())) })
	version := uint64(0)
	return candidate{
		source: func() shmring.Source { return cell.Newer(version) },
		make:   func() error { _, err := cell.Store(ctx, 7); return err },
		take: func() (bool, error) {
			_, newer, err := cell.Load()
			ok := newer > version
			version = newer
			return ok, err
		},
	}
}

func serverCandidate(ctx context.Context, t testing.TB) candidate {
	s, _ := newService(t, shmring.ServiceLimits{})
	c, v := joinClient(t, s), joinServer(t, s)
	var call <-chan error
	return candidate{
		source: func() shmring.Source { return v },
		make:   func() error { call = calling(ctx, c, "hello"); return nil },
		take: func() (bool, error) {
			r, ok, err := v.TryReceive()
			if !ok || err != nil {
				return false, err
			}
			return true, errors.Join(r.Reply([]byte("re: hello"), nil), <-call)
		},
	}
}

func roomCandidate(ctx context.Context, t testing.TB, kind shmring.Producers) candidate {
	ring, _ := newRing(t, 4096, kind)
	p, c := producer(t, ring), consumer(t, ring)
	for range 2 {
		noError(t, p.Send(ctx, make([]byte, 2000))) // two fit
	}
	return candidate{
		source: func() shmring.Source { return p.Room(2000) },
		make: func() error {
			for range 3 {
				if _, _, err := c.TryReceive(); err != nil {
					return err
				}
			}
			return nil
		},
		take: func() (bool, error) {
			for range 2 {
				claim, ok, err := p.TryClaim(2000)
				if !ok || err != nil {
					return false, err
				}
				if err := claim.Commit(); err != nil {
					return false, err
				}
			}
			return true, nil
		},
	}
}

// selectors are the ways in which a Selector can sleep.
var selectors = map[string]func(*shmring.Selector){
	"together": func(*shmring.Selector) {},
	"calm":     (*shmring.Selector).Calm,
	"apart":    (*shmring.Selector).SleepApart,
}

// A slowness counts rounds that took about a tick, as a lost wake-up does, while the machine
// was not busy.
type slowness struct {
	rounds, slow int
	busy         atomic.Int64 // when a short sleep last took long
}

func newSlowness(t *testing.T) *slowness {
	s := new(slowness)
	ctx := t.Context()
	go func() {
		const nap, late = 5 * time.Millisecond, 10 * time.Millisecond
		for ctx.Err() == nil {
			began := time.Now()
			time.Sleep(nap)
			if time.Since(began) > nap+late {
				s.busy.Store(time.Now().UnixNano())
			}
		}
	}()
	return s
}

func (s *slowness) count(began time.Time) {
	s.rounds++
	if time.Since(began) > 100*time.Millisecond && s.busy.Load() < began.UnixNano() {
		s.slow++
	}
}

// check fails the test if more than a few were slow: the other process may have been
// delayed alone.
func (s *slowness) check(t *testing.T) {
	t.Helper()
	if s.slow > 2+s.rounds/1000 {
		t.Errorf("%d of %d rounds took a tick: wake-ups are lost", s.slow, s.rounds)
	}
}

// TestSelect selects from a source of each kind, and makes one of them ready.
func TestSelect(t *testing.T) {
	for how, prepare := range selectors {
		t.Run(how, func(t *testing.T) {
			ctx, all := background(t), candidates(t)
			names := slices.Sorted(maps.Keys(all))
			var s shmring.Selector
			prepare(&s)
			slow := newSlowness(t)
			sources := func() (sources []shmring.Source) {
				for _, name := range names {
					sources = append(sources, all[name].source())
				}
				return sources
			}
			notReady(t, &s, sources()...)
			for range ipctest.Rounds(t, 600, 0) {
				want := rand.IntN(len(names))
				chosen := all[names[want]]
				pause := time.Duration(rand.IntN(200)) * time.Microsecond
				made := make(chan time.Time)
				go func() {
					time.Sleep(pause)
					began := time.Now()
					if err := chosen.make(); err != nil {
						t.Error(err)
					}
					made <- began
				}()
				i, err := s.Select(ctx, sources()...)
				if slow.count(<-made); i != want || err != nil {
					t.Fatalf("Select = %d, %v, want %d, %s", i, err, want, names[want])
				}
				if ok, err := chosen.take(); !ok || err != nil {
					t.Fatalf("%s: taken: %v, %v", names[want], ok, err)
				}
			}
			notReady(t, &s, sources()...)
			slow.check(t)
		})
	}
}

// notReady checks that none of the sources is ready.
func notReady(t *testing.T, s *shmring.Selector, sources ...shmring.Source) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if i, err := s.Select(ctx, sources...); i != -1 || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Select = %d, %v, want -1 and the end of the context", i, err)
	}
}

func selects(t *testing.T, s *shmring.Selector, want int, sources ...shmring.Source) {
	t.Helper()
	if i, err := s.Select(background(t), sources...); i != want || err != nil {
		t.Fatalf("Select = %d, %v, want %d", i, err, want)
	}
}

func TestSelectArguments(t *testing.T) {
	ctx := background(t)
	ready, never := consumerCandidate(ctx, t, shmring.Many), consumerCandidate(ctx, t, shmring.Many)
	noError(t, ready.make())
	r, n := ready.source(), never.source()
	var s shmring.Selector
	if i, err := s.Select(ctx); i != -1 || err == nil {
		t.Errorf("Select without a source = %d, %v", i, err)
	}
	if i, err := s.Select(ctx, slices.Repeat([]shmring.Source{r}, 129)...); i != -1 || !errors.Is(err, shmring.ErrTooLarge) {
		t.Errorf("Select of 129 sources = %d, %v", i, err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if i, err := s.Select(done, r); i != -1 || !errors.Is(err, context.Canceled) {
		t.Errorf("Select with a done context = %d, %v", i, err)
	}
	selects(t, &s, 127, append(slices.Repeat([]shmring.Source{n}, 127), r)...)
	// The same source, twice.
	selects(t, &s, 2, n, n, r, r)
	selects(t, &s, 3, n, n, r, r)
	if ok, err := ready.take(); !ok || err != nil {
		t.Errorf("taken: %v, %v", ok, err)
	}
	for how, prepare := range selectors {
		var s shmring.Selector
		prepare(&s)
		notReady(t, &s, slices.Repeat([]shmring.Source{n, r}, 64)...)
		made := make(chan error)
		time.AfterFunc(10*time.Millisecond, func() { made <- ready.make() })
		if i, err := s.Select(ctx, slices.Repeat([]shmring.Source{n, r}, 64)...); i%2 != 1 || err != nil {
			t.Errorf("%s: Select = %d, %v", how, i, err)
		}
		noError(t, <-made)
		if ok, err := ready.take(); !ok || err != nil {
			t.Errorf("taken: %v, %v", ok, err)
		}
	}
}

// TestSelectFair selects from sources of which some are always ready.
func TestSelectFair(t *testing.T) {
	ctx := background(t)
	var all []candidate
	var sources []shmring.Source
	for i := range 8 {
		all = append(all, consumerCandidate(ctx, t, shmring.Many))
		sources = append(sources, all[i].source())
	}
	var s shmring.Selector
	var counts [8]int
	for i := range all {
		if i%3 != 0 {
			noError(t, all[i].make())
		}
	}
	for range 100 {
		i, err := s.Select(ctx, sources...)
		noError(t, err)
		counts[i]++
		if ok, err := all[i].take(); !ok || err != nil {
			t.Fatalf("taken: %v, %v", ok, err)
		}
		noError(t, all[i].make())
	}
	if counts != [8]int{0, 20, 20, 0, 20, 20, 0, 20} {
		t.Errorf("the sources were returned %v times", counts)
	}
}

// TestSelectEnd closes the other side. Select does not use up the error.
func TestSelectEnd(t *testing.T) {
	ctx := background(t)
	ring, _ := newRing(t, 4096, shmring.Many)
	p, c := producer(t, ring), consumer(t, ring)
	b, _ := newBroadcast(t, 4096)
	w, sub := writer(t, b, nil), subscribe(t, b, shmring.Latest, nil)
	full, _ := newRing(t, 4096, shmring.Many)
	out, in := producer(t, full), consumer(t, full)
	for range 2 {
		noError(t, out.Send(ctx, make([]byte, 2000)))
	}
	for name, tt := range map[string]struct {
		source shmring.Source
		end    func() error
		try    func() (bool, error)
		want   error
	}{
		"consumer":     {c, p.Close, func() (bool, error) { _, ok, err := c.TryReceive(); return ok, err }, io.EOF},
		"subscription": {sub, w.Close, func() (bool, error) { _, ok, err := sub.TryReceive(); return ok, err }, io.EOF},
		"room":         {out.Room(2000), in.Close, func() (bool, error) { _, ok, err := out.TryClaim(2000); return ok, err }, shmring.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			var s shmring.Selector
			never := consumerCandidate(ctx, t, shmring.Many).source()
			notReady(t, &s, never, tt.source)
			time.AfterFunc(10*time.Millisecond, func() { noError(t, tt.end()) })
			for range 2 {
				selects(t, &s, 1, never, tt.source)
			}
			if ok, err := tt.try(); ok || !errors.Is(err, tt.want) {
				t.Errorf("then: %v, %v, want %v", ok, err, tt.want)
			}
			if tt.want == io.EOF { // it is reported once
				notReady(t, &s, never, tt.source)
			}
		})
	}
}

// TestSelectClosed selects from handles that are closed. The others still have their turns.
func TestSelectClosed(t *testing.T) {
	ctx := background(t)
	service, _ := newService(t, shmring.ServiceLimits{})
	v := joinServer(t, service)
	var s shmring.Selector
	other := consumerCandidate(ctx, t, shmring.Many)
	notReady(t, &s, v, other.source())
	time.AfterFunc(10*time.Millisecond, func() { _ = v.Close() })
	selects(t, &s, 0, v, other.source())
	if _, ok, err := v.TryReceive(); ok || !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("TryReceive = %v, %v", ok, err)
	}
	noError(t, other.make())
	selects(t, &s, 1, v, other.source())
	selects(t, &s, 0, v, other.source())

	_, f := newRing(t, 4096, shmring.Many)
	m, err := posix.MapFile(f, nil)
	noError(t, err)
	ring, err := shmring.OpenIn(m)
	noError(t, err)
	c, p := consumer(t, ring), producer(t, ring)
	noError(t, errors.Join(c.Close(), p.Close(), m.Unmap())) // the memory is not touched any more
	for range 2 {
		selects(t, &s, 1, other.source(), c, p.Room(1), v)
		selects(t, &s, 2, other.source(), c, p.Room(1), v)
		selects(t, &s, 3, other.source(), c, p.Room(1), v)
		selects(t, &s, 0, other.source(), c, p.Room(1), v)
	}
}
