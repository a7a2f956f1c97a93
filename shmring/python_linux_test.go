package shmring_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/shmring"
)

// makerOfPython prepares processes of testdata/peer.py, with libgipc.
func makerOfPython(t *testing.T) maker {
	t.Helper()
	dir := library(t)
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: no Python: install python3")
	}
	return func(f *os.File, role string, args ...any) *exec.Cmd {
		cmd := command("python3", f, append([]any{"testdata/peer.py", role}, args...)...)
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+dir, "PYTHONPATH=../python", "PYTHONDONTWRITEBYTECODE=1")
		return cmd
	}
}

// TestPythonPeers lets Python exchange messages with itself, Go and C.
func TestPythonPeers(t *testing.T) {
	python := makerOfPython(t)
	others := map[string]maker{"Python": python, "Go": makerOfGo(t, self(t)), "C": makerOfC(compileC(t, "ring"))}
	for name, other := range others {
		t.Run("to "+name, func(t *testing.T) { exchangeBetween(t, 1000, python, other) })
		if name != "Python" {
			t.Run("from "+name, func(t *testing.T) { exchangeBetween(t, 1000, other, python) })
		}
	}
}

// TestPythonBroadcast lets a writer of each language send to readers of all languages at
// once.
func TestPythonBroadcast(t *testing.T) {
	const count = 2000
	makers := map[string]maker{
		"Python": makerOfPython(t), "Go": makerOfGo(t, self(t)), "C": makerOfC(compileC(t, "broadcast")),
	}
	for from := range makers {
		t.Run("from "+from, func(t *testing.T) { broadcastBetween(t, count, makers[from], makers) })
	}
}

// TestPythonCell lets programs of each language watch values that all of them store.
func TestPythonCell(t *testing.T) {
	storeAndWatch(t, 20, map[string]maker{
		"Python": makerOfPython(t), "Go": makerOfGo(t, self(t)), "C": makerOfC(compileC(t, "cell")),
	})
}

// TestKilledBroadcastOfPython kills writers and readers in Python at random moments.
func TestKilledBroadcastOfPython(t *testing.T) { testKilledBroadcast(t, 6, makerOfPython(t)) }

// TestPython checks what the methods return and raise.
func TestPython(t *testing.T) { must(t, makerOfPython(t)(nil, "check")) }

// TestPythonInterrupted interrupts a call that waits for ever.
func TestPythonInterrupted(t *testing.T) {
	cmd := makerOfPython(t)(nil, "interrupt")
	start(t, cmd)
	noError(t, errors.Join(cmd.Process.Signal(unix.SIGINT), cmd.Wait()))
}

// TestPythonKilled kills a producer in Python. The consumer gets ErrPeerDied.
func TestPythonKilled(t *testing.T) {
	ring, f := newRing(t, 8192, shmring.One)
	child := makerOfPython(t)(f, "produce", 1<<30, 0)
	noError(t, child.Start())
	c := consumer(t, ring)
	_, err := c.Receive(background(t))
	noError(t, err)
	kill(t, child)
	for err == nil {
		_, err = c.Receive(background(t))
	}
	if !errors.Is(err, shmring.ErrPeerDied) {
		t.Errorf("Receive = %v, want ErrPeerDied", err)
	}
}

// TestPythonTakesSome closes a consumer in Python in the middle of an iteration. The next
// consumer receives the rest.
func TestPythonTakesSome(t *testing.T) {
	const taken, all = 3, 10
	ring, f := newRing(t, 1<<16, shmring.One)
	p := producer(t, ring)
	msg := func(i int) []byte {
		msg := make([]byte, varied(uint64(i)))
		fill(msg, uint64(i))
		return msg
	}
	for i := range all {
		noError(t, p.Send(t.Context(), msg(i)))
	}
	must(t, makerOfPython(t)(f, "take", taken))
	c := consumer(t, ring)
	for i := taken; i < all; i++ {
		if got, err := c.Receive(background(t)); err != nil || !bytes.Equal(got, msg(i)) {
			t.Fatalf("message %d: %.16x, %v", i, got, err)
		}
	}
}

// BenchmarkPython sends messages of 256 bytes between Python and Go.
func BenchmarkPython(b *testing.B) {
	dir := os.Getenv("GIPC_LIBRARY") // as make lib builds it
	if dir == "" {
		b.Skip("no GIPC_LIBRARY, the directory with libgipc")
	}
	python := func(f *os.File, args ...any) *exec.Cmd {
		cmd := command("python3", f, append([]any{"testdata/peer.py"}, args...)...)
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+dir, "PYTHONPATH=../python", "PYTHONDONTWRITEBYTECODE=1")
		return cmd
	}
	pair := func(name string, produce, consume func(f *os.File, args ...any) *exec.Cmd) {
		b.Run(name, func(b *testing.B) {
			_, f := newRing(b, 1<<20, shmring.One)
			var out string
			together(
				func() { must(b, produce(f, "produce", b.N, 256)) },
				func() { out = must(b, consume(f, "consume", b.N)) })
			var count, ns float64
			if _, err := fmt.Sscan(out, &count, &ns); err != nil {
				b.Fatal(err, strconv.Quote(strings.TrimSpace(out)))
			}
			b.ReportMetric(count/ns*1e3, "M/s")
		})
	}
	goPeers := func(f *os.File, args ...any) *exec.Cmd {
		return goPeer(b, self(b), f, fmt.Sprint(args[0]), args[1:]...)
	}
	pair("to Go", python, goPeers)
	pair("from Go", goPeers, python)
}
