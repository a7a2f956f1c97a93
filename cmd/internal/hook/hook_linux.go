// Package hook runs a command for each event, one at a time. A slow command does not stall
// its caller: events queue up, and those for which there is no room are dropped and counted.
package hook

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Options holds the options of Start.
type Options struct {
	Command []string      // the program and its arguments; no shell interprets them
	Environ []string      // its environment, to which each event adds
	Timeout time.Duration // after which a command is ended
	Queue   int           // how many events may wait for the command
	Output  io.Writer     // takes what the command prints; an *os.File is passed on
	// Failed is called, on another goroutine, if the command failed for an event.
	Failed func(Event, error)
}

// An Event is what a command is told.
type Event struct {
	Name    string   // for error messages
	Environ []string // NAME=VALUE
	Input   []byte   // standard input
}

// A Hook runs a command for each event. Close or Stop ends it.
type Hook struct {
	o       Options
	events  chan Event
	done    chan struct{}
	ctx     context.Context
	stop    context.CancelFunc
	dropped atomic.Int64
	closing sync.Once
}

// Start returns a Hook that is ready for events.
func Start(o Options) *Hook {
	ctx, stop := context.WithCancel(context.Background())
	h := &Hook{o: o, events: make(chan Event, o.Queue), done: make(chan struct{}), ctx: ctx, stop: stop}
	go h.run()
	return h
}

// Pass queues an event and returns at once. It reports false if the queue is full: then the
// event is dropped. Pass must not be called after Close or Stop.
func (h *Hook) Pass(e Event) bool {
	select {
	case h.events <- e:
		return true
	default:
		h.dropped.Add(1)
		return false
	}
}

// Dropped returns the number of events for which the command was not run.
func (h *Hook) Dropped() int64 { return h.dropped.Load() }

// Close waits until the command was run for every event in the queue. If ctx ends first, it
// stops as Stop does.
func (h *Hook) Close(ctx context.Context) {
	h.closing.Do(func() { close(h.events) })
	select {
	case <-h.done:
	case <-ctx.Done():
		h.Stop()
	}
}

// Stop ends the running command and drops the queue.
func (h *Hook) Stop() {
	h.stop()
	h.closing.Do(func() { close(h.events) })
	<-h.done
}

func (h *Hook) run() {
	defer close(h.done)
	// PR_SET_PDEATHSIG acts when the thread that started the command ends.
	runtime.LockOSThread()
	for e := range h.events {
		if h.ctx.Err() != nil {
			h.dropped.Add(1)
			continue
		}
		if err := h.runOne(e); err != nil && h.ctx.Err() == nil {
			h.o.Failed(e, err)
		}
	}
}

// runOne runs the command for one event.
func (h *Hook) runOne(e Event) error {
	ctx, cancel := context.WithTimeoutCause(h.ctx, h.o.Timeout, fmt.Errorf("it did not end within %v", h.o.Timeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, h.o.Command[0], h.o.Command[1:]...)
	cmd.Env = slices.Concat(h.o.Environ, e.Environ)
	cmd.Stdin = bytes.NewReader(e.Input)
	cmd.Stdout, cmd.Stderr = h.o.Output, h.o.Output
	// The command ends with what it started, and with this program.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	const grace = time.Second
	cmd.WaitDelay = 2 * grace
	ended := make(chan struct{})
	cmd.Cancel = func() error {
		group := -cmd.Process.Pid
		go func() {
			select {
			case <-ended: // what it started may go on
			case <-time.After(grace):
				_ = unix.Kill(group, unix.SIGKILL)
			}
		}()
		return unix.Kill(group, unix.SIGTERM)
	}
	err := cmd.Run()
	close(ended)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}
