package shmring_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
)

func openOrCreate(t *testing.T, name string, o *shmring.NamedOptions) *shmring.Ring {
	t.Helper()
	ring, err := shmring.OpenOrCreate(background(t), name, o)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// TestNamed lets two sides meet by a name; the last one removes it.
func TestNamed(t *testing.T) {
	const name = "/named"
	a := openOrCreate(t, name, nil)
	b := openOrCreate(t, name, &shmring.NamedOptions{Capacity: a.Capacity()})
	if a.ID() != b.ID() || a.Producers() != shmring.One || a.Capacity() != 1<<20 {
		t.Fatalf("%x and %x, for %v, %d bytes", a.ID(), b.ID(), a.Producers(), a.Capacity())
	}
	info, err := os.Stat("/dev/shm" + name)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v, want mode 0600", info, err)
	}
	p, c := producer(t, a), consumer(t, b)
	if err := p.Send(background(t), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if msg, err := c.Receive(background(t)); string(msg) != "hello" || err != nil {
		t.Fatalf("received %q, %v", msg, err)
	}
	if err := a.Close(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("Close under a producer: %v, want EBUSY", err)
	}
	if err := errors.Join(p.Close(), a.Remove()); !errors.Is(err, shmring.ErrBusy) {
		t.Errorf("Remove of what somebody else has open: %v, want ErrBusy", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{"Close": a.Close(), "Remove": a.Remove()} {
		if !errors.Is(err, shmring.ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
	if err := b.Remove(); !errors.Is(err, shmring.ErrBusy) {
		t.Errorf("Remove under a consumer: %v, want ErrBusy", err)
	}
	if err := errors.Join(c.Close(), b.Remove(), b.Remove()); err != nil {
		t.Error(err)
	}
	if _, err := b.JoinProducer(); !errors.Is(err, shmring.ErrBusy) {
		t.Errorf("JoinProducer of what is removed: %v, want ErrBusy", err)
	}
	next := openOrCreate(t, name, nil)
	if next.ID() == b.ID() {
		t.Error("the name leads to a ring that was removed")
	}
	if err := errors.Join(b.Remove(), b.Close()); err != nil {
		t.Error(err)
	}
	if err := errors.Join(next.Remove(), next.Close()); err != nil {
		t.Error(err)
	}
}

// TestNamedMismatch finds something else under the name, and leaves it unchanged.
func TestNamedMismatch(t *testing.T) {
	const name = "/mismatch"
	ring := openOrCreate(t, name, &shmring.NamedOptions{Producers: shmring.Many, Capacity: 4096, Sparse: true})
	refused := func(what string, o *shmring.NamedOptions, want error) {
		t.Helper()
		if r, err := shmring.OpenOrCreate(background(t), name, o); !errors.Is(err, want) {
			t.Errorf("%s: %v, %v, want %v", what, r, err, want)
		}
	}
	refused("for one", nil, shmring.ErrMismatch)
	refused("larger", &shmring.NamedOptions{Producers: shmring.Many, Capacity: 8192}, shmring.ErrMismatch)
	if os.Geteuid() == 0 {
		if err := os.Chown("/dev/shm"+name, 12345, -1); err != nil {
			t.Fatal(err)
		}
		many := shmring.NamedOptions{Producers: shmring.Many}
		refused("somebody else's", &many, shmring.ErrMismatch)
		many.Owners = []int{12345}
		again := openOrCreate(t, name, &many)
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(ring.Remove(), ring.Close()); err != nil {
		t.Error(err)
	}
	refused("no capacity", &shmring.NamedOptions{Capacity: 5000}, shmring.ErrSize)
	o, err := posix.CreateObject(name, 1<<20, &posix.ObjectOptions{Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	refused("no ring", nil, shmring.ErrNotRing)
	if err := errors.Join(o.Close(), posix.UnlinkObject(name)); err != nil {
		t.Error(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := shmring.OpenOrCreate(over, name, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a done context: %v", err)
	}
}

// TestMeeting lets processes open, make, remove and close the ring of a name all the time,
// and kills them meanwhile. While one has it open, the name leads to it.
func TestMeeting(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	const name = "/meeting"
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	begin := func() *exec.Cmd {
		cmd := goPeer(t, self(t), nil, "meet", name, 1<<30)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	peers := []*exec.Cmd{begin(), begin(), begin()}
	for range ipctest.Rounds(t, 200, 1) {
		time.Sleep(time.Duration(rng.IntN(20_000)) * time.Microsecond)
		i := rng.IntN(len(peers))
		kill(t, peers[i]) // fails if it has ended by itself
		peers[i] = begin()
	}
	for _, peer := range peers {
		kill(t, peer)
	}
	// Whatever they left, the next one opens it at once, is alone, and can remove it.
	ring := openOrCreate(t, name, nil)
	if err := errors.Join(ring.Remove(), ring.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat("/dev/shm" + name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the removal: %v", err)
	}
}
