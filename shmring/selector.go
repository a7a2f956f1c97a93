package shmring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"time"

	"github.com/sysvipc/gipc/internal/futex"
)

// A Source is something that a Selector can wait for: a *Consumer, a *Receiver, a
// *Subscription, a *Server, Cell.Newer or Producer.Room. A source is ready if there is a
// message, a request, a newer value or room, and also if the call that would take it returns
// an error: io.EOF, ErrPeerDied, ErrClosed or any other.
type Source interface {
	source() source
}

// A source is the part of a handle that a Selector uses. Apart from enter, its methods are
// called only between enter and exit.
type source interface {
	// enter keeps the memory mapped until exit. It returns false, and then needs no exit, if
	// the handle is closed, so that its next call fails.
	enter() bool
	// poll reports whether the source is ready. If it is not, poll has done what must be done
	// before a sleep.
	poll() bool
	// check looks for deaths. It reports whether the source is ready because of one, which
	// poll need not see, and returns how long a sleeper may sleep until the next check.
	check() (tick time.Duration, ready bool)
	// sleeper returns the waiter, with the word to sleep on.
	sleeper() *waiter
	// exit ends what enter and check started.
	exit()
}

// A Selector waits for several sources at a time. The zero Selector is ready for use. It
// holds nothing between two calls and need not be closed. Only one goroutine may use it at a
// time.
type Selector struct {
	spinner
	next   int  // the source to look at first
	looked int  // the source that is being looked at, to know which one faulted
	calm   bool // it does not spin
	apart  bool // the kernel cannot wait for several words

	sources []source
	naps    []nap
	words   []futex.Waiter
}

// Select blocks until at least one of the sources is ready, and returns its index. It
// receives nothing. Then call the method of that source that does not block: TryReceive,
// Cell.Load or TryClaim. Rarely it finds nothing, because the reason has gone: another
// goroutine took the request, or a message was overwritten.
//
// If several sources are ready, Select returns the next one after the one it returned
// last, so with the same sources at each call, a source that is ready is returned within as
// many calls as there are sources. The same source may be given twice.
//
// If ctx is done, Select returns an error that unwraps to ctx.Err(), even if a source is
// ready. It is an error to give no source, or more than 128. Other errors: ErrFault. The
// index is -1 if there is an error.
//
// Select counts as a call of a method of each source: no other goroutine may use the source
// at the same time, unless it is a Server or a Cell, and the last message of a Consumer is
// released. A source whose memory was truncated is ready.
//
// Select spins for some 0.1 ms, then sleeps, as Consumer.Receive does, and notices deaths
// as fast. It sleeps on all sources in one thread with futex_waitv(2), since Linux 5.16.
// Where the kernel lacks the call or a security policy refuses it, each source takes a
// thread while Select sleeps. Either way, the first message of each source after a sleep
// costs its sender a system call.
func (s *Selector) Select(ctx context.Context, sources ...Source) (index int, err error) {
	if err := ctx.Err(); err != nil {
		return -1, err
	}
	return s.find(sources, func() (int, error) { return s.wait(ctx) })
}

// find calls look between the enter and the exit of the sources. It returns the source that
// look returns, or one that has faulted.
func (s *Selector) find(sources []Source, look func() (int, error)) (index int, err error) {
	switch n := len(sources); {
	case n == 0:
		return -1, errors.New("shmring: no source to select from")
	case n > futex.MostWords:
		return -1, fmt.Errorf("shmring: %w: %d sources, at most %d", ErrTooLarge, n, futex.MostWords)
	}
	defer s.leave()
	err = guarded(func() error {
		for i, from := range sources {
			s.looked = i
			from := from.source()
			if !from.enter() {
				from = shut{}
			}
			s.sources = append(s.sources, from)
		}
		index, err = look()
		return err
	})
	switch {
	case err == nil:
	case errors.Is(err, ErrFault) && s.looked >= 0:
		index = s.looked
	default:
		return -1, err
	}
	if index >= 0 {
		s.next = index + 1
	}
	return index, nil
}

// shut stands for a handle that is closed. It is always ready, so the rest is never called.
type shut struct{ source }

func (shut) poll() bool { return true }
func (shut) exit()      {}

// leave ends the use of the sources.
func (s *Selector) leave() {
	for _, from := range s.sources {
		from.exit()
	}
	clear(s.sources)
	clear(s.naps)
	clear(s.words)
	s.sources, s.naps, s.words = s.sources[:0], s.naps[:0], s.words[:0]
}

// poll returns a source that is ready, or -1.
func (s *Selector) poll() int {
	n := len(s.sources)
	for i := range n {
		s.looked = (s.next + i) % n
		if s.sources[s.looked].poll() {
			return s.looked
		}
	}
	s.looked = -1
	return -1
}

// wait is waiter.wait for several sources.
func (s *Selector) wait(ctx context.Context) (ready int, err error) {
	if ready = s.poll(); ready >= 0 {
		return ready, nil
	}
	if !s.calm && s.sources[0].sleeper().spin {
		if s.budget == 0 {
			s.pause, s.budget = pauseLeast, spinMost/4
		}
		if ok, _ := s.spinUntil(func() (bool, error) { ready = s.poll(); return ready >= 0, nil }); ok {
			return ready, nil
		}
	}
	runtime.Gosched()

	began := time.Now()
	defer func() { s.adapt(time.Since(began)) }()
	for _, from := range s.sources {
		s.naps = append(s.naps, nap{w: from.sleeper(), checked: began, tick: tick})
	}
	for now := began; ; now = time.Now() {
		s.register()
		if ready = s.poll(); ready >= 0 {
			return ready, nil
		}
		if err := ctx.Err(); err != nil {
			return -1, err
		}
		if err := s.sleep(ctx, now); err != nil && !errors.Is(err, futex.ErrTimeout) {
			s.register() // to find the word that faults
			return -1, err
		}
		if ready = s.check(); ready >= 0 {
			return ready, nil
		}
	}
}

// register sets the bits of all words.
func (s *Selector) register() {
	for i := range s.naps {
		s.looked = i
		s.naps[i].register()
	}
	s.looked = -1
}

// check checks the sources that are due. It returns one that is ready because of a death,
// or -1.
func (s *Selector) check() (ready int) {
	ready = -1
	for i, now := 0, time.Now(); i < len(s.naps); i++ {
		n := &s.naps[i]
		s.looked = i
		if !n.due(now) {
			continue
		}
		var died bool
		if n.tick, died = s.sources[i].check(); died {
			ready = i
		}
	}
	s.looked = -1
	return ready
}

// sleep sleeps until a process wakes one of the words, or a check is due.
func (s *Selector) sleep(ctx context.Context, now time.Time) error {
	left := restTick
	for i := range s.naps {
		left = min(left, s.naps[i].left(now))
	}
	if left <= 0 {
		return nil
	}
	if len(s.naps) == 1 {
		return futex.Wait(ctx, futexWord(s.naps[0].w.word), s.naps[0].seen, left)
	}
	if !s.apart {
		s.words = s.words[:0]
		for i := range s.naps {
			var w futex.Waiter
			w.Set(futexWord(s.naps[i].w.word), s.naps[i].seen)
			s.words = append(s.words, w)
		}
		err := futex.WaitAny(ctx, s.words, left)
		// Security policies refuse calls that they do not know with EPERM.
		if s.apart = errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission); !s.apart {
			return err
		}
	}
	return s.sleepApart(ctx, left)
}

// sleepApart sleeps on each word in a goroutine of its own. When one returns, the words of
// the others are woken: this changes them, so it also ends a sleep that has not begun yet.
func (s *Selector) sleepApart(ctx context.Context, left time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	first := make(chan error, 1)
	var all sync.WaitGroup
	defer func() { cancel(); all.Wait() }() // even if a word faults
	for i := range s.naps {
		word, seen := s.naps[i].w.word, s.naps[i].seen
		all.Go(func() {
			err := futex.Wait(ctx, futexWord(word), seen, left)
			select {
			case first <- err:
			default:
			}
		})
	}
	err := <-first
	for i := range s.naps {
		s.looked = i
		s.naps[i].stir()
	}
	s.looked = -1
	// A hostile process may have undone that. Signals are slower, but end every sleep.
	late := time.AfterFunc(wakeLimit, cancel)
	defer late.Stop()
	all.Wait()
	return err
}

// wakeLimit is how long sleepApart waits for goroutines that it has woken.
const wakeLimit = 10 * time.Millisecond
