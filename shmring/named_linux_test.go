package shmring_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/internal/lifeline"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// A where is the place of a ring: a name that begins with a slash, or a key.
type where string

var wheres = []where{"/named", "0x4e414d45"}

func (w where) key() sysv.Key {
	key, err := sysv.ParseKey(string(w))
	if err != nil {
		panic(err)
	}
	return key
}

func (w where) isName() bool { return w[0] == '/' }

func (w where) openOrCreate(ctx context.Context, o *shmring.NamedOptions) (*shmring.Ring, error) {
	if w.isName() {
		return shmring.OpenOrCreate(ctx, string(w), o)
	}
	return shmring.OpenOrCreateKey(ctx, w.key(), o)
}

func (w where) await(ctx context.Context, o *shmring.NamedOptions) (*shmring.Ring, error) {
	if w.isName() {
		return shmring.Await(ctx, string(w), o)
	}
	return shmring.AwaitKey(ctx, w.key(), o)
}

// owner returns mode and owner; the error is fs.ErrNotExist if nothing is there.
func (w where) owner() (fs.FileMode, uint32, error) {
	if w.isName() {
		info, err := posix.StatObject(string(w))
		return info.Mode, info.UID, err
	}
	s, err := sysv.OpenSegment(w.key())
	if err != nil {
		return 0, 0, err
	}
	info, err := s.Stat()
	return info.Mode, info.UID, err
}

func (w where) chown(uid int) error {
	if w.isName() {
		return os.Chown("/dev/shm"+string(w), uid, -1)
	}
	s, err := sysv.OpenSegment(w.key())
	if err != nil {
		return err
	}
	return s.SetOwnership(sysv.Ownership{UID: uint32(uid), Mode: 0o600})
}

// create makes an object of size bytes that holds no ring.
func (w where) create(t *testing.T, size int64, mode fs.FileMode) (remove func() error) {
	t.Helper()
	if w.isName() {
		o, err := posix.CreateObject(string(w), size, &posix.ObjectOptions{Mode: mode})
		mustAll(t, err)
		mustAll(t, o.Close())
		return func() error { return posix.UnlinkObject(string(w)) }
	}
	s, err := sysv.CreateSegment(w.key(), size, &sysv.SegmentOptions{Mode: mode})
	mustAll(t, err)
	return s.Remove
}

func mustAll(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// eachWhere runs a test with a name and with a key. Nothing may be left there in the end.
func eachWhere(t *testing.T, test func(*testing.T, where)) {
	for _, w := range wheres {
		t.Run(string(w), func(t *testing.T) {
			if w != wheres[0] {
				ipctest.SkipWithoutMode(t)
			}
			test(t, w)
			w.wantNothing(t)
		})
	}
}

func (w where) wantNothing(t *testing.T) {
	t.Helper()
	if mode, _, err := w.owner(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is something of mode %v at %s: %v", mode, w, err)
	}
}

func (w where) open(t *testing.T, o *shmring.NamedOptions) *shmring.Ring {
	t.Helper()
	ring, err := w.openOrCreate(background(t), o)
	mustAll(t, err)
	return ring
}

// TestNamed lets two sides meet; the last one removes the ring.
func TestNamed(t *testing.T) {
	eachWhere(t, func(t *testing.T, w where) {
		a := w.open(t, nil)
		b := w.open(t, &shmring.NamedOptions{Capacity: a.Capacity()})
		if a.ID() != b.ID() || a.Producers() != shmring.One || a.Capacity() != 1<<20 || !a.Made() || b.Made() {
			t.Fatalf("%x and %x, for %v, %d bytes", a.ID(), b.ID(), a.Producers(), a.Capacity())
		}
		if mode, _, err := w.owner(); mode != 0o600 || err != nil {
			t.Errorf("mode %o, %v, want 0600", mode, err)
		}
		mustAll(t, a.Prefault())
		p, c := producer(t, a), consumer(t, b)
		mustAll(t, p.Send(background(t), []byte("hello")))
		if msg, err := c.Receive(background(t)); string(msg) != "hello" || err != nil {
			t.Fatalf("received %q, %v", msg, err)
		}
		if err := a.Close(); !errors.Is(err, unix.EBUSY) {
			t.Errorf("Close under a producer: %v, want EBUSY", err)
		}
		mustAll(t, p.Close())
		wantBusy(t, "Remove of what somebody else has open", a.Remove())
		mustAll(t, a.Close())
		for name, err := range map[string]error{
			"Close": a.Close(), "Remove": a.Remove(), "Unlink": a.Unlink(), "Prefault": a.Prefault(),
		} {
			if !errors.Is(err, shmring.ErrClosed) {
				t.Errorf("%s after Close: %v, want ErrClosed", name, err)
			}
		}
		wantBusy(t, "Remove under a consumer", b.Remove())
		mustAll(t, c.Close(), b.Remove(), b.Remove(), b.Unlink())
		_, err := b.JoinProducer()
		wantBusy(t, "JoinProducer of what is removed", err)
		next := w.open(t, nil)
		if next.ID() == b.ID() {
			t.Error("the name leads to a ring that was removed")
		}
		mustAll(t, b.Remove(), b.Unlink(), b.Close())
		mustAll(t, next.Remove(), next.Close())
	})
}

func wantBusy(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, shmring.ErrBusy) {
		t.Errorf("%s: %v, want ErrBusy", what, err)
	}
}

// TestUnlink checks that processes that have the ring open keep it, and that others make a
// new one.
func TestUnlink(t *testing.T) {
	eachWhere(t, func(t *testing.T, w where) {
		a, b := w.open(t, nil), w.open(t, nil)
		c := consumer(t, b)
		mustAll(t, a.Unlink())
		w.wantNothing(t)
		p := producer(t, a)
		mustAll(t, p.Send(background(t), []byte("still here")))
		if msg, err := c.Receive(background(t)); string(msg) != "still here" || err != nil {
			t.Errorf("received %q, %v", msg, err)
		}
		next := w.open(t, nil)
		if !next.Made() || next.ID() == a.ID() {
			t.Error("the name leads to a ring that was unlinked")
		}
		mustAll(t, b.Unlink())
		if _, _, err := w.owner(); err != nil {
			t.Errorf("a second Unlink removed the next ring: %v", err)
		}
		mustAll(t, next.Unlink(), next.Close(), p.Close(), c.Close(), a.Close(), b.Close())
	})
	memory, _ := newRing(t, 4096, shmring.One)
	for name, err := range map[string]error{
		"Remove": memory.Remove(), "Unlink": memory.Unlink(), "Prefault": memory.Prefault(),
	} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s of a ring in memory: %v", name, err)
		}
	}
}

// TestNamedMismatch finds something else under the name, and leaves it unchanged.
func TestNamedMismatch(t *testing.T) {
	eachWhere(t, func(t *testing.T, w where) {
		ring := w.open(t, &shmring.NamedOptions{Producers: shmring.Many, Capacity: 4096, Sparse: true})
		refused := func(what string, o *shmring.NamedOptions, want error) {
			t.Helper()
			if r, err := w.openOrCreate(background(t), o); !errors.Is(err, want) {
				t.Errorf("%s: %v, %v, want %v", what, r, err, want)
			}
		}
		refused("for one", nil, shmring.ErrMismatch)
		refused("larger", &shmring.NamedOptions{Producers: shmring.Many, Capacity: 8192}, shmring.ErrMismatch)
		if os.Geteuid() == 0 {
			mustAll(t, w.chown(12345))
			many := shmring.NamedOptions{Producers: shmring.Many}
			refused("somebody else's", &many, shmring.ErrMismatch)
			many.Owners = []int{12345}
			mustAll(t, w.open(t, &many).Close())
		}
		mustAll(t, ring.Remove(), ring.Close())
		refused("no capacity", &shmring.NamedOptions{Capacity: 5000}, shmring.ErrSize)
		refused("bad mode", &shmring.NamedOptions{Mode: 0o601}, unix.EINVAL)
		remove := w.create(t, 1<<20, 0o600)
		refused("no ring", nil, shmring.ErrNotRing)
		mustAll(t, remove())
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.openOrCreate(over, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a done context: %v", err)
		}
	})
	if _, err := shmring.OpenOrCreateKey(background(t), sysv.Private, nil); !errors.Is(err, sysv.ErrPrivateKey) {
		t.Errorf("key 0: %v", err)
	}
	huge := &shmring.NamedOptions{HugePages: sysv.DefaultHugePages}
	if _, err := shmring.OpenOrCreate(background(t), "/huge", huge); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("huge pages with a name: %v", err)
	}
}

// TestMode checks that a new ring has the requested mode, whatever the umask.
func TestMode(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	eachWhere(t, func(t *testing.T, w where) {
		ring := w.open(t, &shmring.NamedOptions{Mode: 0o660})
		if mode, _, err := w.owner(); mode != 0o660 || err != nil {
			t.Errorf("mode %o, %v, want 0660", mode, err)
		}
		mustAll(t, ring.Remove(), ring.Close())
	})
}

// TestAwait lets one side wait for the ring that the other makes.
func TestAwait(t *testing.T) {
	eachWhere(t, func(t *testing.T, w where) {
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := w.await(short, nil); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Await of nothing: %v, want a deadline and fs.ErrNotExist", err)
		}
		remove := w.create(t, 1<<20, 0o600)
		blank, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := w.await(blank, nil); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, shmring.ErrNotRing) {
			t.Errorf("Await of zeros: %v, want a deadline and ErrNotRing", err)
		}
		mustAll(t, remove())
		found := make(chan error)
		go func() {
			ring, err := w.await(background(t), nil)
			if err == nil {
				err = ring.Close()
			}
			found <- err
		}()
		ring := w.open(t, nil)
		mustAll(t, <-found)
		mustAll(t, ring.Remove(), ring.Close())
	})
}

// TestMakerKilled finds a segment that a killed process left without a ring, and a segment
// that only looks like that.
func TestMakerKilled(t *testing.T) {
	ipctest.SkipWithoutMode(t)
	w := wheres[1]
	const marked = 0o601
	w.create(t, int64(shmring.Size(4096)), marked)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.await(short, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Await removes nothing: %v, want a deadline", err)
	}
	ring := w.open(t, nil)
	if !ring.Made() {
		t.Error("the ring was not made again")
	}
	mustAll(t, ring.Remove(), ring.Close())

	remove := w.create(t, int64(shmring.Size(4096))+1, marked)
	if _, err := w.openOrCreate(background(t), nil); !errors.Is(err, shmring.ErrNotRing) {
		t.Errorf("a segment of another size: %v, want ErrNotRing", err)
	}
	mustAll(t, remove())
	w.wantNothing(t)
}

// TestOthersWaitForMaker lets another user wait for a ring that is being made. Until it is
// complete, only its maker may read the segment.
func TestOthersWaitForMaker(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	ipctest.NeedOtherUsers(t)
	w := wheres[1]
	f, _, err := lifeline.OpenNamespace()
	check(t, err)
	defer f.Close()
	maker := lifeline.Line{FD: int(f.Fd()), Base: 3<<61 + int64(w.key())}
	check(t, maker.Hold(0))
	remove := w.create(t, int64(shmring.Size(4096)), 0o601)
	cmd := goPeer(t, self(t), nil, "await", w)
	cmd.Path = "/proc/self/exe" // another user may not reach the test program by its name
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(ipctest.User(1)), Gid: uint32(ipctest.User(1))}}
	mustAll(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	mustAll(t, remove())
	maker.Release(0)
	ring := w.open(t, &shmring.NamedOptions{Mode: 0o666})
	mustAll(t, <-ended)
	mustAll(t, ring.Remove(), ring.Close())
}

// TestMeeting lets processes open, make, remove and close the ring all the time, and kills
// them meanwhile. While a process has a ring open, the name leads to that ring.
func TestMeeting(t *testing.T) {
	eachWhere(t, func(t *testing.T, w where) { killedThere(t, w, "meet", 80) })
}

// TestUnlinkKilled is TestMeeting with processes that unlink the ring while others join it.
func TestUnlinkKilled(t *testing.T) {
	eachWhere(t, func(t *testing.T, w where) { killedThere(t, w, "unlink", 40) })
}

// TestCloseAndRemove lets processes open the ring and leave it all the time: the last one
// removes it, so that nothing is left.
func TestCloseAndRemove(t *testing.T) {
	eachWhere(t, func(t *testing.T, w where) {
		ring := w.open(t, nil)
		c := consumer(t, ring)
		if err := ring.CloseAndRemove(); !errors.Is(err, unix.EBUSY) {
			t.Errorf("under a consumer: %v, want EBUSY", err)
		}
		mustAll(t, c.Close())
		other := w.open(t, nil)
		wantBusy(t, "Remove after a CloseAndRemove that failed", other.Remove())
		mustAll(t, ring.CloseAndRemove())
		if again := w.open(t, nil); again.ID() != other.ID() {
			t.Error("it was removed under a process that had it open")
		} else {
			mustAll(t, again.Close())
		}
		mustAll(t, other.CloseAndRemove())
		w.wantNothing(t)

		for range 200 { // two leave at once
			a, b := w.open(t, nil), w.open(t, nil)
			var left [2]error
			together(func() { left[0] = a.CloseAndRemove() }, func() { left[1] = b.CloseAndRemove() })
			mustAll(t, left[:]...)
			w.wantNothing(t)
		}

		var peers []*exec.Cmd
		for range 4 {
			peers = append(peers, goPeer(t, self(t), nil, "leave", w, 300))
		}
		runAtOnce(t, peers...)
	})
}

// TestCloseAndRemoveInC is TestCloseAndRemove with programs in C and Python.
func TestCloseAndRemoveInC(t *testing.T) {
	const name, rounds = where("/gipc-leave"), 300
	peers := []*exec.Cmd{
		goPeer(t, self(t), nil, "leave", name, rounds),
		command(compileC(t, "ring"), nil, "leave", name, rounds),
		command(compileC(t, "ring"), nil, "leave", name, rounds),
		makerOfPython(t)(nil, "leave", rounds),
	}
	runAtOnce(t, peers...)
	name.wantNothing(t)
}

// runAtOnce runs the processes at the same time.
func runAtOnce(t *testing.T, peers ...*exec.Cmd) {
	t.Helper()
	for _, peer := range peers {
		mustAll(t, peer.Start())
	}
	for _, peer := range peers {
		if err := peer.Wait(); err != nil {
			t.Errorf("%q: %v", peer.Args, err)
		}
	}
}

func killedThere(t *testing.T, w where, role string, rounds int) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	begin := func() *exec.Cmd {
		cmd := goPeer(t, self(t), nil, role, w, 1<<30)
		mustAll(t, cmd.Start())
		return cmd
	}
	peers := []*exec.Cmd{begin(), begin(), begin()}
	for range ipctest.Rounds(t, rounds, 1) {
		time.Sleep(time.Duration(rng.IntN(20_000)) * time.Microsecond)
		i := rng.IntN(len(peers))
		kill(t, peers[i]) // fails if it has ended by itself
		peers[i] = begin()
	}
	for _, peer := range peers {
		kill(t, peer)
	}
	// Whatever they left, the next process opens the ring at once, is alone in it, and can
	// remove it.
	many := shmring.One
	if role == "unlink" {
		many = shmring.Many
	}
	ring := w.open(t, &shmring.NamedOptions{Producers: many})
	mustAll(t, ring.Remove(), ring.Close())
}
