package shmring_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func unnamed(t testing.TB, o *shmring.UnnamedOptions) *shmring.Ring {
	t.Helper()
	ring, err := shmring.CreateUnnamed("gipc-test", o)
	check(t, err)
	t.Cleanup(func() { ring.Close() })
	return ring
}

// sockets returns a connection, and the other end for a child.
func sockets(t testing.TB) (*net.UnixConn, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	ours, theirs := os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket")
	conn, err := net.FileConn(ours)
	check(t, errors.Join(err, ours.Close()))
	return conn.(*net.UnixConn), theirs
}

// handed passes an object through a socket of this process.
func handed(t testing.TB, o *posix.Object) *posix.Object {
	t.Helper()
	conn, f := sockets(t)
	defer conn.Close()
	other, err := net.FileConn(f)
	check(t, errors.Join(err, f.Close()))
	defer other.Close()
	check(t, o.SendTo(conn))
	got, err := posix.ReceiveObject(other.(*net.UnixConn))
	check(t, err)
	return got
}

// holds returns the number of descriptors, and of mappings of memory that the tests in this
// file make.
func holds(t testing.TB) (files, mappings int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	maps, err := os.ReadFile("/proc/self/maps")
	check(t, err)
	return len(entries), strings.Count(string(maps), "memfd:gipc-test")
}

// nothingLeft fails the test if it leaves a descriptor or a mapping. It is the first call of
// a test, because cleanups run in reverse.
func nothingLeft(t testing.TB) {
	t.Helper()
	files, mappings := holds(t)
	t.Cleanup(func() {
		if f, m := holds(t); f > files || m > mappings { // fewer: the garbage collector closed what an earlier test forgot
			t.Errorf("there are %d descriptors and %d mappings, before there were %d and %d", f, m, files, mappings)
		}
	})
}

// TestUnnamed hands over a ring within this process. The two tests after it do that with
// the other types.
func TestUnnamed(t *testing.T) {
	nothingLeft(t)
	ctx := background(t)
	ring := unnamed(t, nil)
	object := handed(t, ring.Object())
	other, err := shmring.OpenUnnamed(object)
	check(t, errors.Join(err, object.Close()))
	if other.ID() != ring.ID() || ring.Capacity() != 1<<20 || ring.Producers() != shmring.One {
		t.Errorf("%x and %x, %d bytes, for %v", other.ID(), ring.ID(), ring.Capacity(), ring.Producers())
	}
	p, c := producer(t, ring), consumer(t, other)
	check(t, p.Send(ctx, []byte("hello")))
	if err := ring.Close(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("Close under a producer: %v, want EBUSY", err)
	}
	check(t, errors.Join(p.Close(), ring.Close()))
	if msg, err := c.Receive(ctx); string(msg) != "hello" || err != nil {
		t.Errorf("received %q, %v", msg, err)
	}
	if _, err := c.Receive(ctx); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want EOF", err)
	}
	for name, err := range map[string]error{"Remove": other.Remove(), "Unlink": other.Unlink()} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v, want ErrUnsupported", name, err)
		}
	}
	if !ring.Made() || other.Made() {
		t.Errorf("made: %t and %t, want only the first", ring.Made(), other.Made())
	}
	check(t, other.Prefault())
	third, err := shmring.OpenUnnamed(other.Object()) // a received object can be handed on
	check(t, err)
	check(t, errors.Join(third.Close(), c.Close(), other.Close()))
	if err := ring.Close(); !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("second Close: %v, want ErrClosed", err)
	}
	if ring, _ := newRing(t, 4096, shmring.One); ring.Object() != nil {
		t.Error("a ring in memory of the caller has an object")
	} else {
		check(t, ring.Close())
	}
}

func TestUnnamedBroadcast(t *testing.T) {
	nothingLeft(t)
	ctx := background(t)
	b, err := shmring.CreateUnnamedBroadcast("gipc-test", &shmring.UnnamedOptions{Capacity: 8192})
	check(t, err)
	object := handed(t, b.Object())
	other, err := shmring.OpenUnnamedBroadcast(object)
	check(t, errors.Join(err, object.Close()))
	sub, err := other.Subscribe(shmring.Block, nil)
	check(t, err)
	w, err := b.JoinWriter(nil)
	check(t, err)
	check(t, w.Send(ctx, []byte("hello")))
	if msg, err := sub.Receive(ctx); string(msg) != "hello" || err != nil || other.Capacity() != 8192 {
		t.Errorf("received %q, %v, of %d bytes", msg, err, other.Capacity())
	}
	check(t, errors.Join(w.Close(), sub.Close(), b.Close(), other.Close()))
}

type pair struct{ A, B int64 }

func TestUnnamedValues(t *testing.T) {
	nothingLeft(t)
	ctx := background(t)
	cell, err := shmring.CreateUnnamedCell[pair]("gipc-test", nil)
	check(t, err)
	object := handed(t, cell.Object())
	other, err := shmring.OpenUnnamedCell[pair](object)
	check(t, err)
	if c, err := shmring.OpenUnnamedCell[int32](object); c != nil || !errors.Is(err, shmring.ErrMismatch) {
		t.Errorf("as another type: %t, %v, want ErrMismatch", c != nil, err)
	}
	_, err = other.Store(ctx, pair{1, 2})
	check(t, err)
	if v, _, err := cell.Load(); v != (pair{1, 2}) || err != nil {
		t.Errorf("loaded %v, %v", v, err)
	}
	check(t, errors.Join(object.Close(), cell.Close(), other.Close()))

	ch, err := shmring.CreateUnnamedChan[pair]("gipc-test", 100, nil)
	check(t, err)
	if ch.Ring().Producers() != shmring.Many {
		t.Errorf("a Chan for %v", ch.Ring().Producers())
	}
	object = handed(t, ch.Object())
	second, err := shmring.OpenUnnamedChan[pair](object)
	check(t, err)
	if c, err := shmring.OpenUnnamedChan[int32](object); c != nil || !errors.Is(err, shmring.ErrMismatch) {
		t.Errorf("as another type: %t, %v, want ErrMismatch", c != nil, err)
	}
	s, err := ch.JoinSender()
	check(t, err)
	r, err := second.JoinReceiver()
	check(t, err)
	check(t, s.Send(ctx, pair{3, 4}))
	if v, err := r.Receive(ctx); v != (pair{3, 4}) || err != nil {
		t.Errorf("received %v, %v", v, err)
	}
	check(t, errors.Join(object.Close(), s.Close(), r.Close(), ch.Close(), second.Close()))
}

// TestCreateUnnamedErrors checks that a failed call leaves nothing behind.
func TestCreateUnnamedErrors(t *testing.T) {
	nothingLeft(t)
	for name, err := range map[string]error{
		"capacity": second(shmring.CreateUnnamed("gipc-test", &shmring.UnnamedOptions{Capacity: 5000})),
		"label":    second(shmring.CreateUnnamed(strings.Repeat("x", 250), nil)),
		"writers":  second(shmring.CreateUnnamedBroadcast("gipc-test", &shmring.UnnamedOptions{Producers: shmring.Many})),
		"cell":     second(shmring.CreateUnnamedCell[int]("gipc-test", &shmring.UnnamedOptions{Capacity: 4096})),
		"pointers": second(shmring.CreateUnnamedCell[*int]("gipc-test", nil)),
		"values":   second(shmring.CreateUnnamedChan[int]("gipc-test", -1, nil)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestOpenUnnamedRefused opens what a hostile process could hand over.
func TestOpenUnnamedRefused(t *testing.T) {
	nothingLeft(t)
	const all = posix.SealShrink | posix.SealGrow | posix.SealSeal
	size := int64(shmring.Size(4096))
	whole := func(m []byte) error {
		r, err := shmring.Create(m, nil)
		if err != nil {
			return err
		}
		return r.Close()
	}
	for _, tt := range []struct {
		name  string
		size  int64
		seals posix.Seals
		write func(m []byte) error
		want  error
		text  string
	}{
		{"no seals", size, 0, whole, shmring.ErrUnsealed, "it lacks F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL"},
		{"can shrink", size, all &^ posix.SealShrink, whole, shmring.ErrUnsealed, "it lacks F_SEAL_SHRINK"},
		{"can grow", size, all &^ posix.SealGrow, whole, shmring.ErrUnsealed, "it lacks F_SEAL_GROW"},
		{"can be sealed", size, all &^ posix.SealSeal, whole, shmring.ErrUnsealed, "it lacks F_SEAL_SEAL"},
		{"can't be written", size, all | posix.SealFutureWrite, whole, unix.EPERM, ""},
		{"empty", 0, all, nil, posix.ErrBounds, ""},
		{"short", 100, all, nil, shmring.ErrNotRing, ""},
		{"zeros", size, all, nil, shmring.ErrNotRing, ""},
		{"longer", size + 4096, all, func(m []byte) error { return whole(m[:size]) }, shmring.ErrSize, ""},
		{"locks elsewhere", size, all, func(m []byte) error {
			err := whole(m)
			var st unix.Stat_t
			err = errors.Join(err, unix.Stat("/proc/self/ns/ipc", &st))
			binary.NativeEndian.PutUint32(m[88:], 2) // death: the namespace's
			binary.NativeEndian.PutUint64(m[104:], st.Ino)
			return err
		}, shmring.ErrForeign, "its locks are not in its file"},
	} {
		o, err := posix.CreateMemfd("gipc-test", tt.size, &posix.MemfdOptions{Sealing: true})
		check(t, err)
		if tt.write != nil {
			m, err := o.Map(nil)
			check(t, err)
			check(t, tt.write(m.Bytes()))
			check(t, m.Unmap())
		}
		if tt.seals != 0 {
			check(t, o.Seal(tt.seals))
		}
		if r, err := shmring.OpenUnnamed(o); r != nil || !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %t, %v, want %v %s", tt.name, r != nil, err, tt.want, tt.text)
		}
		if _, err := o.Stat(); err != nil {
			t.Errorf("%s: the object of the caller: %v", tt.name, err)
		}
		check(t, o.Close())
	}
}

// TestOpenUnnamedOthers opens objects that are no memfd, of another kind, or closed.
func TestOpenUnnamedOthers(t *testing.T) {
	nothingLeft(t)
	named, err := posix.CreateObject("/named-object", 8192, nil)
	check(t, err)
	file, err := os.Create(t.TempDir() + "/file")
	check(t, err)
	fd, err := unix.Dup(int(file.Fd()))
	check(t, err)
	disk, err := posix.Inherit(fd)
	check(t, err)
	b, err := shmring.CreateUnnamedBroadcast("gipc-test", nil)
	check(t, err)
	for _, tt := range []struct {
		name string
		o    *posix.Object
		want error
	}{
		{"a POSIX object", named, shmring.ErrUnsealed},
		{"a file on a disk", disk, shmring.ErrUnsealed},
		{"a broadcast", b.Object(), shmring.ErrNotRing},
	} {
		if r, err := shmring.OpenUnnamed(tt.o); r != nil || !errors.Is(err, tt.want) {
			t.Errorf("%s: %t, %v, want %v", tt.name, r != nil, err, tt.want)
		}
	}
	check(t, errors.Join(named.Close(), posix.UnlinkObject("/named-object"), file.Close(), disk.Close(), b.Close()))
	if _, err := shmring.OpenUnnamed(named); !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("a closed object: %v, want ErrClosed", err)
	}
}

// TestUnnamedWithoutProc checks that rings cannot be made or opened without /proc, because
// deaths could not be seen.
func TestUnnamedWithoutProc(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can change the root directory")
	}
	ring := unnamed(t, nil)
	must(t, goPeer(t, self(t), ring.Object().File(), "noProc", t.TempDir()))
}

// withoutProc, DIRECTORY, tries to make and open rings where there is no /proc.
func withoutProc(args []string) error {
	o, err := posix.Inherit(3)
	if err != nil {
		return err
	}
	if err := unix.Chroot(args[0]); err != nil {
		return err
	}
	if r, err := shmring.CreateUnnamed("gipc-test", nil); r != nil || !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("CreateUnnamed: %w, want ErrNotExist", err)
	}
	if r, err := shmring.OpenUnnamed(o); r != nil || !errors.Is(err, shmring.ErrForeign) || !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("OpenUnnamed: %w, want ErrForeign and ErrNotExist", err)
	}
	return nil
}

// TestUnnamedAndOthers hands a ring to a C program, and to processes of another user and in
// another user namespace.
func TestUnnamedAndOthers(t *testing.T) {
	send := func(ring *shmring.Ring) func() {
		p := producer(t, ring)
		return func() {
			for i := range uint64(1000) {
				msg := make([]byte, varied(i))
				fill(msg, i)
				check(t, p.Send(background(t), msg))
			}
			check(t, p.Close())
		}
	}
	t.Run("C", func(t *testing.T) {
		program := compileC(t, "ring")
		ring := unnamed(t, nil)
		together(send(ring), func() { must(t, command(program, ring.Object().File(), "verify")) })
	})
	for name, where := range map[string]place{
		"user namespace": inNamespaces(unix.CLONE_NEWUSER),
		"another user": func(t *testing.T, cmd *exec.Cmd) {
			ipctest.NeedOtherUsers(t)
			cmd.Path = "/proc/self/exe" // another user may not reach the test program by its name
			cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(ipctest.User(1)), Gid: uint32(ipctest.User(1))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ring := unnamed(t, nil)
			cmd := goPeer(t, self(t), ring.Object().File(), "verify")
			cmd.Env = append(cmd.Env, childMemory+"="+memoryInherited)
			where(t, cmd)
			together(send(ring), func() { must(t, cmd) })
		})
	}
}

// TestKilledTakers hands a ring to one process after another, and kills each at a random
// moment: before it has started, with the ring in the socket, and in all that follows. Each
// process receives what the previous one had not released.
func TestKilledTakers(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	nothingLeft(t)
	ring, err := shmring.CreateUnnamed("gipc-test", &shmring.UnnamedOptions{Capacity: 1 << 14})
	check(t, err)
	mem, bookFile := shared(t, 4096)
	book := openLedger(mem)
	p := producer(t, ring)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() {
		for seq := uint64(0); ; {
			switch err := sendNumbered(ctx, p, 0, seq); {
			case err == nil:
				seq++
			case !errors.Is(err, shmring.ErrPeerDied):
				over <- err
				return
			}
		}
	}()
	take := func() (*exec.Cmd, *net.UnixConn) {
		conn, theirs := sockets(t)
		cmd := goPeer(t, self(t), theirs, "reader")
		cmd.ExtraFiles = append(cmd.ExtraFiles, bookFile)
		cmd.Env = append(cmd.Env, childMemory+"="+memorySent)
		check(t, cmd.Start())
		check(t, errors.Join(theirs.Close(), ring.Object().SendTo(conn)))
		return cmd, conn
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range ipctest.Rounds(t, 60, 1) {
		before := book[0].Load()
		cmd, conn := take()
		if i%2 == 0 && !eventually(func() bool { return book[0].Load() > before }) {
			t.Fatalf("seed %d: process %d receives nothing", seed, i)
		}
		time.Sleep(time.Duration(rng.IntN(20_000)) * time.Microsecond)
		kill(t, cmd)
		check(t, conn.Close())
	}
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	t.Logf("%d messages", book[0].Load())
	check(t, errors.Join(p.Close(), ring.Close()))
}

// TestKilledGivers lets one process after another make a ring, hand it over and send, and
// kills each at a random moment. Its messages arrive, and then the memory is gone.
func TestKilledGivers(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	nothingLeft(t)
	mem, bookFile := shared(t, 4096)
	book := openLedger(mem)
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	none, some := 0, 0
	for i := range ipctest.Rounds(t, 60, 1) {
		book[0].Store(0)
		book[1].Store(0)
		conn, theirs := sockets(t)
		cmd := goPeer(t, self(t), theirs, "giver")
		cmd.ExtraFiles = append(cmd.ExtraFiles, bookFile)
		check(t, cmd.Start())
		check(t, theirs.Close())
		if i%2 == 0 && !eventually(func() bool { return book[0].Load() > 0 }) {
			t.Fatalf("seed %d: process %d sends nothing", seed, i)
		}
		time.Sleep(time.Duration(rng.IntN(20_000)) * time.Microsecond)
		kill(t, cmd)
		got, err := receiveRest(t, conn)
		switch {
		case errors.Is(err, io.EOF):
			none++
		case err != nil:
			t.Errorf("seed %d: %v", seed, err)
		case got > 0:
			some++
		}
		if done, begun := book[0].Load(), book[1].Load(); got != done && got != begun {
			t.Errorf("seed %d: %d messages arrived; %d were committed, and %d begun", seed, got, done, begun)
		}
		check(t, conn.Close())
	}
	t.Logf("%d were killed before they handed over, %d after they had sent", none, some)
}

// receiveRest receives the messages that a dead process sent, and returns their number.
func receiveRest(t *testing.T, conn *net.UnixConn) (uint64, error) {
	o, err := posix.ReceiveObject(conn)
	if err != nil {
		return 0, err
	}
	ring, err := shmring.OpenUnnamed(o)
	if err := errors.Join(err, o.Close()); err != nil {
		return 0, err
	}
	c, next := consumer(t, ring), make([]uint64, 1)
	for {
		msg, ok, err := c.TryReceive()
		if !ok || err != nil {
			if errors.Is(err, shmring.ErrPeerDied) {
				err = nil
			}
			return next[0], errors.Join(err, c.Close(), ring.Close())
		}
		checkNext(t, msg, next)
	}
}

// give makes a ring, hands it over through descriptor 3, and sends numbered messages until it
// is killed. In the ledger it records the number of the next message before it sends it, in
// word 1, and afterwards, in word 0.
func give([]string) error {
	book, err := inheritedLedger()
	if err != nil {
		return err
	}
	conn, err := net.FileConn(os.NewFile(3, "socket"))
	if err != nil {
		return err
	}
	ring, err := shmring.CreateUnnamed("gipc-test", nil)
	if err != nil {
		return err
	}
	if err := ring.Object().SendTo(conn.(*net.UnixConn)); err != nil {
		return err
	}
	p, err := ring.JoinProducer()
	if err != nil {
		return err
	}
	for seq := uint64(0); ; seq++ {
		book[1].Store(seq + 1)
		if err := sendNumbered(context.Background(), p, 0, seq); err != nil {
			return err
		}
		book[0].Store(seq + 1)
	}
}

// Values of childMemory for a ring without a name: its object is descriptor 3, or comes
// through the socket that is descriptor 3.
const (
	memoryInherited = "inherited"
	memorySent      = "sent"
)

func openHanded(how string) (*shmring.Ring, error) {
	receive := func() (*posix.Object, error) { return posix.Inherit(3) }
	if how == memorySent {
		conn, err := net.FileConn(os.NewFile(3, "socket"))
		if err != nil {
			return nil, err
		}
		receive = func() (*posix.Object, error) { return posix.ReceiveObject(conn.(*net.UnixConn)) }
	}
	o, err := receive()
	if err != nil {
		return nil, err
	}
	ring, err := shmring.OpenUnnamed(o)
	return ring, errors.Join(err, o.Close())
}
