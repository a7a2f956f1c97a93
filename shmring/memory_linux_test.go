package shmring_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// TestPinned unmaps and detaches memory while somebody waits in a ring in it.
func TestPinned(t *testing.T) {
	mapping, err := posix.MapAnonymous(shmring.Size(4096), posix.AnonymousOptions{})
	if err != nil {
		t.Fatal(err)
	}
	segment, err := sysv.CreateSegment(sysv.Private, int64(shmring.Size(4096)), nil)
	if err != nil {
		t.Fatal(err)
	}
	attachment, err := segment.Attach(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := segment.Remove(); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		mem   shmring.Memory
		unmap func() error
		gone  error
	}{
		"mapping": {mapping, mapping.Unmap, posix.ErrUnmapped},
		"segment": {attachment, attachment.Detach, sysv.ErrDetached},
	} {
		t.Run(name, func(t *testing.T) { pinned(t, tt.mem, tt.unmap, tt.gone) })
	}
}

func pinned(t *testing.T, mem shmring.Memory, unmap func() error, gone error) {
	ring, err := shmring.CreateIn(mem, shmring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, c := producer(t, ring), consumer(t, ring)
	got := make(chan string)
	go func() {
		msg, _ := c.Receive(background(t))
		got <- string(msg)
	}()
	if err := unmap(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("unmapping under a ring in use: %v, want EBUSY", err)
	}
	if err := p.Send(background(t), []byte("x")); err != nil {
		t.Error(err)
	}
	if msg := <-got; msg != "x" {
		t.Errorf("received %q", msg)
	}
	if err := errors.Join(p.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if err := unmap(); err != nil {
		t.Errorf("unmapping when all have closed: %v", err)
	}
	// Nothing of a ring touches memory that is gone.
	if _, err := ring.Producer(); !errors.Is(err, gone) {
		t.Errorf("Producer = %v, want %v", err, gone)
	}
	if _, err := ring.Consumer(); !errors.Is(err, gone) {
		t.Errorf("Consumer = %v, want %v", err, gone)
	}
	if _, err := shmring.OpenIn(mem); !errors.Is(err, gone) {
		t.Errorf("OpenIn = %v, want %v", err, gone)
	}
	if ring.Members() != (shmring.Members{}) || ring.Abandoned() {
		t.Error("somebody is in memory that is gone")
	}
	for name, err := range map[string]error{
		"Send": p.Send(context.Background(), nil), "Flush": p.Flush(context.Background()), "CheckConsumer": p.CheckConsumer(),
		"Receive": func() error { _, err := c.Receive(context.Background()); return err }(),
	} {
		if !errors.Is(err, shmring.ErrClosed) {
			t.Errorf("%s after Close = %v, want ErrClosed", name, err)
		}
	}
	c.CheckProducers()
}

// TestNoMemory lays out a ring in an object for which there are no pages.
func TestNoMemory(t *testing.T) {
	mem, f := shared(t, shmring.Size(1<<20))
	if err := f.Truncate(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := shmring.Create(mem, shmring.Options{}); !errors.Is(err, shmring.ErrFault) {
		t.Errorf("Create = %v, want ErrFault", err)
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := shmring.Open(mem); !errors.Is(err, shmring.ErrFault) {
		t.Errorf("Open = %v, want ErrFault", err)
	}
}

// TestEmptyRingStaysAbsent uses a large ring of which one page is in memory, and buries
// a dead producer in it: that brings in no more than the messages take.
func TestEmptyRingStaysAbsent(t *testing.T) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		ring, f := newRing(t, 1<<28, kind)
		// All beyond the header is zero, as in a hole.
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4096, int64(shmring.Size(1<<28)-4096))
		if err != nil {
			t.Fatal(err)
		}
		before := present(t, f.Fd())
		kill(t, start(t, goPeer(t, self(t), f, "holder", "claim")))
		p, c := producer(t, ring), consumer(t, ring)
		c.CheckProducers()
		if err := p.Send(background(t), []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if msg, err := c.Receive(background(t)); err != nil || string(msg) != "hello" {
			t.Fatalf("received %q, %v", msg, err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Receive(background(t)); !errors.Is(err, io.EOF) && !errors.Is(err, shmring.ErrPeerDied) {
			t.Fatal(err)
		}
		if grown := present(t, f.Fd()) - before; grown > 1<<20 {
			t.Errorf("a ring that carried one message has %d bytes more in memory", grown)
		}
	})
}

// present returns how many bytes of the file are in memory.
func present(t *testing.T, fd uintptr) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(fd), &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}
