package bench

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A lane is a link made of channels. Each message takes delay.
type lane struct {
	out, in chan byte
	delay   time.Duration
	fail    int // sends that succeed before one fails, 0 for no failure
}

var errLane = errors.New("the lane is broken")

func (l *lane) send(msg []byte) error {
	if l.fail > 0 {
		if l.fail--; l.fail == 0 {
			return errLane
		}
	}
	time.Sleep(l.delay)
	l.out <- msg[0]
	return nil
}

func (l *lane) receive(msg []byte) error {
	var ok bool
	if msg[0], ok = <-l.in; !ok {
		return errLane
	}
	return nil
}

// lanes returns two parties that exchange messages of one byte.
func lanes(delay time.Duration) (a, b party, stays *int) {
	there, back := make(chan byte), make(chan byte)
	stays = new(int)
	stay := func() { *stays++ }
	a = party{&lane{out: there, in: back, delay: delay}, make([]byte, 1), stay}
	b = party{&lane{out: back, in: there, delay: delay}, make([]byte, 1), func() {}}
	return a, b, stays
}

func TestAskAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, stays := lanes(50 * time.Microsecond)
		answered := make(chan error)
		go func() { answered <- b.answer() }()
		h, err := a.ask(10 * time.Millisecond)
		if err := errors.Join(err, <-answered); err != nil {
			t.Fatal(err)
		}
		// 110 turns of 100 µs; the first ten are the warm-up.
		if h.observed != 100 {
			t.Errorf("%d turns are counted, want 100", h.observed)
		}
		for _, q := range []float64{0.01, 0.5, 1} {
			if got := h.quantile(q); got < 99*time.Microsecond || got > 101*time.Microsecond {
				t.Errorf("quantile %v is %v, want 100µs", q, got)
			}
		}
		if *stays != 7 {
			t.Errorf("stay was called %d times in 110 turns, want 7", *stays)
		}
	})
}

func TestFloodCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, stays := lanes(10 * time.Microsecond)
		flooded := make(chan error)
		go func() { flooded <- a.flood(100 * time.Millisecond) }()
		rate, err := b.count()
		if err := errors.Join(err, <-flooded); err != nil {
			t.Fatal(err)
		}
		if rate < 99_999 || rate > 100_001 {
			t.Errorf("%v messages a second, want 100000", rate)
		}
		if *stays != 10 {
			t.Errorf("stay was called %d times for 10048 messages, want 10", *stays)
		}
	})
}

// TestFloodNoTime: the time is over before the first message.
func TestFloodNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := lanes(10 * time.Microsecond)
		flooded := make(chan error)
		go func() { flooded <- a.flood(0) }()
		rate, err := b.count()
		if err := errors.Join(err, <-flooded); err != nil || rate < 99_999 || rate > 100_001 {
			t.Errorf("%v messages a second, %v, want 100000", rate, err)
		}
	})
}

// TestFailingLink: a link that fails ends the work with its error.
func TestFailingLink(t *testing.T) {
	for _, tt := range []struct {
		name string
		fail int // which send of the first party fails
		work func(party) error
		peer func(party) error
	}{
		{"ask, first", 1, func(p party) error { _, err := p.ask(time.Hour); return err }, party.answer},
		{"ask", 3, func(p party) error { _, err := p.ask(time.Hour); return err }, party.answer},
		{"answer", 2, party.answer, func(p party) error { _, err := p.ask(time.Hour); return err }},
		{"flood", 2, func(p party) error { return p.flood(time.Hour) }, func(p party) error { _, err := p.count(); return err }},
		{"count", 1, func(p party) error { _, err := p.count(); return err }, func(p party) error { return p.flood(time.Hour) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b, _ := lanes(0)
			broken := a.link.(*lane)
			broken.fail = tt.fail
			over := make(chan error)
			go func() { over <- tt.peer(b) }()
			if err := tt.work(a); !errors.Is(err, errLane) {
				t.Errorf("error %v, want %v", err, errLane)
			}
			close(broken.out)
			if err := <-over; !errors.Is(err, errLane) {
				t.Errorf("the other's error %v, want %v", err, errLane)
			}
		})
	}
}
