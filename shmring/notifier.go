package shmring

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A Notifier makes a descriptor readable when a source is ready, for programs that wait in
// poll(2) or epoll(7), as those of graphical toolkits and event libraries do. Other Go
// programs use a Selector. The peers need not know of it: the Notifier waits in a goroutine
// of its own, which writes to an eventfd(2).
//
// Watch begins a wait. When the descriptor is readable, Ready ends the wait and says which
// source is ready:
//
//	err := n.Watch(consumer, subscription)
//	... // the descriptor of n is readable
//	i, err := n.Ready()
//	... // TryReceive
//	err = n.Watch(consumer, subscription)
//
// Only one goroutine may use a Notifier at a time.
type Notifier struct {
	event    event
	selector Selector
	closed   bool

	cancel context.CancelFunc // nil while it does not watch
	over   chan struct{}      // closed when the goroutine has ended
	index  int
	err    error
}

// NewNotifier makes a Notifier. It holds an open descriptor until Close. Errors: those of
// eventfd(2); errors.ErrUnsupported.
func NewNotifier() (*Notifier, error) {
	e, err := newEvent()
	if err != nil {
		return nil, fmt.Errorf("shmring: eventfd: %w", err)
	}
	return &Notifier{event: e, selector: Selector{calm: true}}, nil
}

// Fd returns the descriptor, which belongs to the Notifier: only poll it. It becomes readable
// once for each Watch, when a source is ready or the wait has failed, and stays readable until
// Ready. So it can be polled level-triggered and edge-triggered. It is close-on-exec.
func (n *Notifier) Fd() uintptr { return uintptr(n.event) }

// Watch begins to wait for the sources, as Selector.Select does, but without spinning. It
// does not block. If a source is ready, the descriptor is readable when Watch returns.
//
// Until Ready or Close has returned, the sources belong to the Notifier: no other method of
// them may be called, except for those of a Server, Cell.Load, Cell.Store and Cell.Update.
// While no source is ready, a watch takes a goroutine and a thread.
//
// Errors: ErrBusy (it watches already; call Ready first); ErrClosed; those of Select.
func (n *Notifier) Watch(sources ...Source) error {
	switch {
	case n.closed:
		return fmt.Errorf("shmring: %w: notifier", ErrClosed)
	case n.cancel != nil:
		return fmt.Errorf("shmring: %w: the notifier watches already", ErrBusy)
	}
	s := &n.selector
	n.index, n.err = s.find(sources, func() (int, error) { return s.poll(), nil })
	switch {
	case n.err != nil:
		return n.err
	case n.index >= 0:
		n.cancel, n.over = func() {}, nil
		return n.event.set()
	}
	ctx, cancel := context.WithCancel(context.Background())
	over, all := make(chan struct{}), slices.Clone(sources)
	n.cancel, n.over = cancel, over
	go func() {
		defer close(over)
		if n.index, n.err = s.Select(ctx, all...); !errors.Is(n.err, context.Canceled) {
			n.err = errors.Join(n.err, n.event.set())
		}
	}()
	return nil
}

// Ready ends the watch, and returns the index of the source that is ready, or -1 if none is.
// Then the descriptor is not readable any more, and the sources can be used. Ready never
// waits for a source. It also ends a watch early, which takes some 0.1 ms. Errors: those of
// Select; ErrClosed.
func (n *Notifier) Ready() (index int, err error) {
	if n.closed {
		return -1, fmt.Errorf("shmring: %w: notifier", ErrClosed)
	}
	return n.end()
}

func (n *Notifier) end() (index int, err error) {
	if n.cancel == nil {
		return -1, nil
	}
	n.cancel()
	if n.over != nil {
		<-n.over
	}
	n.cancel = nil
	if errors.Is(n.err, context.Canceled) {
		return -1, nil
	}
	return n.index, errors.Join(n.err, n.event.clear())
}

// Close ends the watch and closes the descriptor. A second Close returns ErrClosed.
func (n *Notifier) Close() error {
	if n.closed {
		return fmt.Errorf("shmring: %w: notifier", ErrClosed)
	}
	_, _ = n.end()
	n.closed = true
	return n.event.close()
}
