package shmring

import (
	"testing"
	"time"
)

// A momentary is a source that calls then after each poll that finds nothing.
type momentary struct {
	source
	polls int
	then  func(poll int)
}

func (m *momentary) poll() bool {
	ready := m.source.poll()
	if m.polls++; !ready {
		m.then(m.polls)
	}
	return ready
}

type sourceOf struct{ s source }

func (s sourceOf) source() source { return s.s }

// TestSelectMoments sends a message at each moment at which a Selector has just found
// nothing: before it registers as a sleeper, before it sleeps, and when it is woken for
// another reason. It never sleeps for a tick.
func TestSelectMoments(t *testing.T) {
	for _, apart := range []bool{false, true} {
		for moment := 1; moment <= 3; moment++ {
			r, other := crashRing(t, Many), crashRing(t, Many)
			p, err := r.JoinProducer()
			check(t, err)
			c, err := r.JoinConsumer()
			check(t, err)
			never, err := other.JoinConsumer()
			check(t, err)
			m := &momentary{source: c, then: func(poll int) {
				switch {
				case poll == moment:
					check(t, p.Send(t.Context(), []byte("now")))
				case poll == 2:
					wake(&other.header.consumerSleeps)
				}
			}}
			s := Selector{calm: true, apart: apart}
			began := time.Now()
			i, err := s.Select(t.Context(), sourceOf{m}, never)
			if took := time.Since(began); i != 0 || err != nil || took > tick*2/3 {
				t.Errorf("apart %v, a message after poll %d: Select = %d, %v after %v", apart, moment, i, err, took)
			}
		}
	}
}

// TestSelectKeepsOpen checks that a Server can't be closed while a Selector uses it.
func TestSelectKeepsOpen(t *testing.T) {
	l := ServiceLimits{MaxMessage: 64, Clients: 1, Calls: 1}
	service, err := createService(make([]byte, ServiceSize(l)), l)
	check(t, err)
	v, err := service.JoinServer()
	check(t, err)
	var s Selector
	m := &momentary{source: v, then: func(int) {
		if v.using.TryLock() {
			t.Error("the Server can be closed")
		}
		v.closed.Store(true) // as Close does first
	}}
	if i, err := s.Select(t.Context(), sourceOf{m}); i != 0 || err != nil {
		t.Errorf("Select = %d, %v", i, err)
	}
	if !v.using.TryLock() {
		t.Error("the Server can't be closed after Select")
	}
	v.using.Unlock()
	v.closed.Store(false)
	check(t, v.Close())
}
