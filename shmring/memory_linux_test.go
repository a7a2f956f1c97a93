package shmring_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// TestPinned unmaps and detaches memory while a goroutine waits in a ring in it.
func TestPinned(t *testing.T) {
	mapping, err := posix.MapAnonymous(shmring.Size(4096), nil)
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
	ring, err := shmring.CreateIn(mem, nil)
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
	// No method of a ring touches memory that is gone.
	if _, err := ring.JoinProducer(); !errors.Is(err, gone) {
		t.Errorf("JoinProducer = %v, want %v", err, gone)
	}
	if _, err := ring.JoinConsumer(); !errors.Is(err, gone) {
		t.Errorf("JoinConsumer = %v, want %v", err, gone)
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
	c.ReapProducers()
}

// TestNoMemory makes and opens a ring in memory whose file was truncated.
func TestNoMemory(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it loses the address of a fault, at times")
	mem, f := shared(t, shmring.Size(1<<20))
	if err := f.Truncate(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := shmring.Create(mem, nil); !errors.Is(err, shmring.ErrFault) {
		t.Errorf("Create = %v, want ErrFault", err)
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := shmring.Open(mem); !errors.Is(err, shmring.ErrFault) {
		t.Errorf("Open = %v, want ErrFault", err)
	}
}

// TestEmptyRingStaysAbsent makes a large ring, uses it, and buries a dead producer in it.
// This takes no more memory than the header and the messages.
func TestEmptyRingStaysAbsent(t *testing.T) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		ring, f := newRing(t, 1<<28, kind)
		kill(t, start(t, goPeer(t, self(t), f, "holder", "claim")))
		p, c := producer(t, ring), consumer(t, ring)
		c.ReapProducers()
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
		if has := present(t, f.Fd()); has > 1<<20 {
			t.Errorf("a ring that carried one message has %d bytes in memory", has)
		}
	})
}

// TestCreateClears makes rings over existing contents, at the beginning of a file and
// elsewhere, in reserved memory and in memory with holes.
func TestCreateClears(t *testing.T) {
	const capacity, offset = 1 << 20, 1 << 16
	size := shmring.Size(capacity)
	for name, prepare := range map[string]func(f *os.File, mem []byte) error{
		"full":      func(_ *os.File, mem []byte) error { fill(mem, 3); return nil },
		"set aside": func(f *os.File, mem []byte) error { return unix.Fallocate(int(f.Fd()), 0, 0, int64(len(mem))) },
		"with holes": func(f *os.File, mem []byte) error {
			fill(mem, 3)
			return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset+40960, 8192)
		},
	} {
		mem, f := shared(t, offset+size)
		if err := prepare(f, mem); err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(mem[:offset])
		ring, err := shmring.Create(mem[offset:], &shmring.Options{Producers: shmring.Many})
		if err != nil || ring.Capacity() != capacity {
			t.Fatal(ring, err)
		}
		if states := mem[offset+4096:][:capacity/8]; !bytes.Equal(states, make([]byte, len(states))) {
			t.Errorf("%s: there are state words in a new ring", name)
		}
		if !bytes.Equal(before, mem[:offset]) {
			t.Errorf("%s: the memory before the ring has changed", name)
		}
		exchange(t, ring, 1000)
	}
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
