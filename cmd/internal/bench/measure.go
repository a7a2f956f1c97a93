package bench

import "time"

// A link is one side of a way in use. All messages have one length.
type link interface {
	send(msg []byte) error
	receive(msg []byte) error
}

// A party is one of the two processes at work.
type party struct {
	link
	msg []byte
	// stay is called now and then to move the process back to its processor.
	stay func()
}

// The first byte of a message says whether it is the last.
const (
	more byte = iota
	last
)

// The warm-up takes duration/warmUp; nothing is counted during it.
const warmUp = 10

// How many turns or messages go by between calls of stay, which costs about as much as
// a system call.
const (
	stayTurns    = 16
	stayMessages = 1024
)

// turn sends a message and waits for the answer.
func (p party) turn() error {
	if err := p.send(p.msg); err != nil {
		return err
	}
	return p.receive(p.msg)
}

// ask makes turns for d and returns their times.
func (p party) ask(d time.Duration) (h *histogram, err error) {
	h = new(histogram)
	p.msg[0] = more
	if err := p.turn(); err != nil { // wait for the other side
		return nil, err
	}
	began, now := time.Now(), time.Duration(0)
	for n := 0; now < d+d/warmUp; n++ {
		before := now
		if n%stayTurns == 0 {
			p.stay()
			before = time.Since(began)
		}
		if err := p.turn(); err != nil {
			return nil, err
		}
		if now = time.Since(began); now > d/warmUp {
			h.add(now - before)
		}
	}
	p.msg[0] = last
	return h, p.turn()
}

// answer echoes what it receives.
func (p party) answer() error {
	p.msg[0] = more
	for n := 0; p.msg[0] != last; n++ {
		if n%stayTurns == 0 {
			p.stay()
		}
		if err := p.receive(p.msg); err != nil {
			return err
		}
		if err := p.send(p.msg); err != nil {
			return err
		}
	}
	return nil
}

// flood sends messages as fast as it can for d, once the other side is there. It sends some
// even if the system keeps the process from running for all of d.
func (p party) flood(d time.Duration) error {
	if err := p.receive(p.msg); err != nil {
		return err
	}
	p.msg[0] = more
	began := time.Now()
	for n := 0; n == 0 || time.Since(began) < d; {
		for range between(len(p.msg)) {
			if n++; n%stayMessages == 1 {
				p.stay()
			}
			if err := p.send(p.msg); err != nil {
				return err
			}
		}
	}
	p.msg[0] = last
	return p.send(p.msg)
}

// between returns how many messages go by between readings of the clock.
func between(size int) int { return min(max(256<<10/size, 1), 64) }

// count receives messages and returns their rate per second.
func (p party) count() (rate float64, err error) {
	if err := p.send(p.msg); err != nil {
		return 0, err
	}
	if err := p.receive(p.msg); err != nil {
		return 0, err
	}
	began, n := time.Now(), 0
	for ; p.msg[0] != last; n++ {
		if n%stayMessages == 0 {
			p.stay()
		}
		if err := p.receive(p.msg); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
