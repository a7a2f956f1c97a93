package shmring_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
)

// start starts a child and waits until it reports that it is ready.
func start(t testing.TB, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	startTold(t, cmd)
	return cmd
}

// startTold starts a child that takes commands, and returns where to write them.
func startTold(t testing.TB, cmd *exec.Cmd) io.Writer {
	t.Helper()
	// Pdeathsig refers to the thread that starts the process.
	runtime.LockOSThread()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("child said %q, %v, want ready", line, err)
	}
	return stdin
}

func kill(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("child ended before it was killed: %v", err)
	}
	// A soak kills many children and keeps each Cmd until its end: release the buffers.
	*cmd = exec.Cmd{Process: cmd.Process, ProcessState: cmd.ProcessState}
}

func must(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s %v: %v", filepath.Base(cmd.Path), cmd.Args[1:], err)
	}
	return string(out)
}

// A maker prepares a peer of one implementation.
type maker func(f *os.File, role string, args ...any) *exec.Cmd

func makerOfC(program string) maker {
	return func(f *os.File, role string, args ...any) *exec.Cmd {
		return command(program, f, append([]any{role}, args...)...)
	}
}

func makerOfGo(t *testing.T, binary string) maker {
	return func(f *os.File, role string, args ...any) *exec.Cmd { return goPeer(t, binary, f, role, args...) }
}

// TestPeers lets two processes of different implementations exchange messages, and checks
// their lengths and contents.
func TestPeers(t *testing.T) {
	c := compileC(t, "ring")
	makers := map[string]maker{"Go": makerOfGo(t, self(t)), "C": makerOfC(c)}
	if ipctest.Runs32(t) {
		makers["Go on 386"] = makerOfGo(t, build(t, "386"))
	}
	for from, produce := range makers {
		for to, verify := range makers {
			t.Run(from+" to "+to, func(t *testing.T) { testPeers(t, produce, verify) })
		}
	}
	t.Run("made by C", func(t *testing.T) { testMadeByC(t, c) })
	t.Run("check", func(t *testing.T) { testCheck(t, c) })
}

// TestCPlusPlus compiles the header as C++, and pedantically.
func TestCPlusPlus(t *testing.T) {
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("SKIPPED: no g++ to compile the header with")
	}
	testCheck(t, compileWith(t, "ring", "g++", "-x", "c++", "-pedantic"))
}

// TestDocument compiles the program of docs/ring.md.
func TestDocument(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("SKIPPED: no gcc to compile the document's program with")
	}
	page, err := os.ReadFile("../docs/ring.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(page), "```c\n")
	program, _, _ = strings.Cut(program, "```")
	cmd := exec.Command("gcc", "-x", "c", "-fsyntax-only", "-Wall", "-Werror", "-I../include", "-")
	cmd.Stdin = strings.NewReader(program)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s\n%s", err, out, program)
	}
}

// testCheck lets the C program check what the functions of gipc_ring.h return.
func testCheck(t *testing.T, program string) {
	_, f := shared(t, shmring.Size(8192))
	must(t, command(program, f, "check"))
}

// TestPeersInC32 is TestPeers for C programs of 32 bits on a machine of 64.
func TestPeersInC32(t *testing.T) {
	ipctest.Need32(t)
	c := compileC32(t, "ring")
	c32 := makerOfC(c)
	t.Run("to itself", func(t *testing.T) { testPeers(t, c32, c32) })
	for name, other := range map[string]maker{"Go": makerOfGo(t, self(t)), "C": makerOfC(compileC(t, "ring"))} {
		t.Run("to "+name, func(t *testing.T) { testPeers(t, c32, other) })
		t.Run("from "+name, func(t *testing.T) { testPeers(t, other, c32) })
	}
	t.Run("made by it", func(t *testing.T) { testMadeByC(t, c) })
	t.Run("check", func(t *testing.T) { testCheck(t, c) })
}

func testPeers(t *testing.T, produce, verify maker) {
	count := 50_000
	if testing.Short() {
		count /= 10
	}
	exchangeBetween(t, count, produce, verify)
}

// exchangeBetween lets two processes exchange messages through both kinds of ring.
func exchangeBetween(t *testing.T, count int, produce, verify maker) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		_, f := newRing(t, 8192, kind)
		together(
			func() { must(t, produce(f, "produce", count, 0)) },
			func() {
				out := must(t, verify(f, "verify"))
				if got, _, _ := strings.Cut(out, " "); got != fmt.Sprint(count) {
					t.Errorf("%s messages arrived, want %d", got, count)
				}
			})
	})
}

func testMadeByC(t *testing.T, program string) {
	both(t, func(t *testing.T, kind shmring.Producers) {
		mem, f := shared(t, shmring.Size(8192))
		must(t, command(program, f, "create", 8192, int(kind)-1))
		ring, err := shmring.Open(mem)
		if err != nil {
			t.Fatal(err)
		}
		if ring.Producers() != kind {
			t.Errorf("Producers = %d, want %d", ring.Producers(), kind)
		}
		exchange(t, ring, 1000)
	})
}

// build compiles this test for another architecture that this machine can run.
func build(t *testing.T, arch string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shmring-"+arch)
	cmd := exec.Command("go", "test", "-c", "-o", path, ".")
	cmd.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building for %s: %v\n%s", arch, err, out)
	}
	return path
}

func TestFourProducers(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	goes := makerOfGo(t, self(t))
	t.Run("Go", func(t *testing.T) { testFourProducers(t, goes, goes) })
	t.Run("Go and C", func(t *testing.T) { testFourProducers(t, goes, makerOfC(compileC(t, "ring"))) })
}

func testFourProducers(t *testing.T, makers ...maker) {
	// The ring is small and there are more producers than processors, so the kernel stops
	// them at every point, for many laps.
	const producers, count = 4, 100_000
	ring, f := newRing(t, 4096, shmring.Many)
	c := consumer(t, ring)
	work := []func(){func() {
		next := make([]uint64, producers)
		for msg, err := range c.Messages(background(t)) {
			if err != nil {
				t.Error(err)
				return
			}
			checkNext(t, msg, next)
		}
		for id, seq := range next {
			if seq != count {
				t.Errorf("producer %d: %d messages, want %d", id, seq, count)
			}
		}
	}}
	// While this producer is there, the consumer sees no end.
	keeper := producer(t, ring)
	done := make(chan struct{}, producers)
	for id := range producers {
		work = append(work, func() {
			must(t, makers[id%len(makers)](f, "numbers", id, count))
			done <- struct{}{}
		})
	}
	work = append(work, func() {
		for range producers {
			<-done
		}
		keeper.Close()
	})
	together(work...)
}

// TestOvertaken runs more producers than processors. While one of them is not running, the
// others go round the ring. If it then claimed at the tail of the previous lap, it would
// overwrite a message.
func TestOvertaken(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	const producers, each = 4, 500_000
	for range ipctest.Rounds(t, 2, 0) {
		ring, f := newRing(t, 16<<10, shmring.Many)
		keeper := producer(t, ring)
		work := []func(){func() {
			out := must(t, goPeer(t, self(t), f, "consume", producers*each))
			if got, _, _ := strings.Cut(out, " "); got != fmt.Sprint(producers*each) {
				t.Errorf("%s messages arrived, want %d", got, producers*each)
			}
		}}
		for range producers {
			work = append(work, func() { must(t, goPeer(t, self(t), f, "produce", each, 64)) })
		}
		together(work...)
		keeper.Close()
	}
}

// doom starts a child with the ring and a ledger.
func doom(t testing.TB, f, book *os.File, role string, args ...any) *exec.Cmd {
	t.Helper()
	cmd := goPeer(t, self(t), f, role, args...)
	cmd.ExtraFiles = append(cmd.ExtraFiles, book)
	return start(t, cmd)
}

// TestKilledProducers kills producers at random moments. The messages that they committed
// arrive once and in order, and each batch arrives whole or not at all. The other producers
// go on.
func TestKilledProducers(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	both(t, func(t *testing.T, kind shmring.Producers) {
		atOnce := 1
		if kind == shmring.Many {
			atOnce = 3
		}
		ring, f := newRing(t, 16<<10, kind)
		const most = 1 << 20 // producers, which a soak of a day does not exceed
		mem, bookFile := shared(t, most*16)
		book := openLedger(mem)
		all := receiveAll(t, consumer(t, ring), most)

		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 0))
		children := make([]*exec.Cmd, atOnce)
		started := 0
		begin := func(i int) {
			before := all.received.Load()
			children[i] = doom(t, f, bookFile, "doomed", started)
			started++
			if !eventually(func() bool { return all.received.Load() > before }) {
				t.Fatalf("seed %d: nothing arrives any more after %d producers", seed, started)
			}
		}
		for i := range children {
			begin(i)
		}
		for range ipctest.Rounds(t, 60, 1) {
			i := rng.IntN(atOnce)
			time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
			kill(t, children[i])
			begin(i)
		}
		for _, child := range children {
			kill(t, child)
		}
		for id, got := range all.end()[:started] {
			if done, begun := book[2*id].Load(), book[2*id+1].Load(); got != done && got != begun {
				t.Errorf("seed %d: of producer %d %d messages arrived; it had committed %d and was about to make it %d", seed, id, got, done, begun)
			}
		}
		t.Logf("%d messages of %d killed producers", all.received.Load(), started)
	})
}

// A receiver receives the messages of producers that are killed, until its end.
type receiver struct {
	received atomic.Int64
	next     []uint64 // of each producer: how many have arrived
	cancel   context.CancelFunc
	over     chan struct{}
}

// receiveAll starts a receiver for producers with numbers below most.
func receiveAll(t *testing.T, c *shmring.Consumer, most int) *receiver {
	ctx, cancel := context.WithCancel(context.Background())
	r := &receiver{next: make([]uint64, most), cancel: cancel, over: make(chan struct{})}
	go func() {
		defer close(r.over)
		for {
			msg, err := c.Receive(ctx)
			switch {
			case errors.Is(err, context.Canceled):
				return
			case errors.Is(err, shmring.ErrPeerDied):
			case err != nil:
				t.Error(err)
				return
			default:
				checkNext(t, msg, r.next)
				r.received.Add(1)
			}
		}
	}()
	return r
}

// end waits until nothing arrives any more, and returns how many messages of each producer
// have arrived.
func (r *receiver) end() []uint64 {
	eventually(func() bool {
		before := r.received.Load()
		time.Sleep(300 * time.Millisecond)
		return r.received.Load() == before
	})
	r.cancel()
	<-r.over
	return r.next
}

// TestKilledConsumers kills consumers at random moments. Each consumer receives what the
// previous one had not released.
func TestKilledConsumers(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	both(t, func(t *testing.T, kind shmring.Producers) {
		ring, f := newRing(t, 16<<10, kind)
		mem, bookFile := shared(t, 4096)
		book := openLedger(mem)
		p := producer(t, ring)
		ctx, cancel := context.WithCancel(context.Background())
		over := make(chan struct{})
		go func() {
			defer close(over)
			for seq := uint64(0); ctx.Err() == nil; {
				switch err := sendNumbered(ctx, p, 0, seq); {
				case err == nil:
					seq++
				case !errors.Is(err, shmring.ErrPeerDied) && !errors.Is(err, context.Canceled):
					t.Error(err)
					return
				}
			}
		}()
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 0))
		for i := range ipctest.Rounds(t, 60, 1) {
			before := book[0].Load()
			child := doom(t, f, bookFile, "reader")
			if !eventually(func() bool { return book[0].Load() > before }) {
				t.Fatalf("seed %d: consumer %d receives nothing", seed, i)
			}
			time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
			kill(t, child)
		}
		cancel()
		<-over
		t.Logf("%d messages", book[0].Load())
	})
}

// eventually waits until ok returns true, for at most 10 s.
func eventually(ok func() bool) bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		if ok() {
			return true
		}
	}
	return false
}

// learn is how long a side may take to notice that its peer is gone, with some allowance
// for a busy machine.
const learn = 200 * time.Millisecond

// TestPeerDies kills the other side while this one waits for it.
func TestPeerDies(t *testing.T) {
	for _, reap := range []bool{true, false} {
		t.Run(map[bool]string{true: "reaped", false: "zombie"}[reap], func(t *testing.T) {
			both(t, func(t *testing.T, kind shmring.Producers) {
				ctx := background(t)
				for _, tt := range []struct {
					role string
					wait func(r *shmring.Ring) error
				}{
					{"producer", func(r *shmring.Ring) error {
						_, err := consumer(t, r).Receive(ctx)
						return err
					}},
					{"claim", func(r *shmring.Ring) error {
						_, err := consumer(t, r).Receive(ctx)
						return err
					}},
					{"consumer", func(r *shmring.Ring) error {
						p := producer(t, r)
						for {
							if err := p.Send(ctx, make([]byte, 1000)); err != nil {
								return err
							}
						}
					}},
				} {
					ring, f := newRing(t, 4096, kind)
					child := start(t, goPeer(t, self(t), f, "holder", tt.role))
					waiting := make(chan error, 1)
					go func() { waiting <- tt.wait(ring) }()
					select {
					case err := <-waiting:
						t.Fatalf("%s: %v before it died", tt.role, err)
					case <-time.After(350 * time.Millisecond): // it sleeps by now, for more than two ticks
					}
					watch := ipctest.StartWatch(t)
					if reap {
						kill(t, child)
					} else if err := child.Process.Kill(); err != nil {
						t.Fatal(err)
					}
					err := <-waiting
					d, tooLong := watch.Stop(learn)
					if !errors.Is(err, shmring.ErrPeerDied) || tooLong {
						t.Errorf("%s died: %v after %v, want ErrPeerDied within %v", tt.role, err, d, learn)
					}
					t.Logf("%s: %v", tt.role, d)
				}
			})
		})
	}
}

// TestClaimOfDeadProducer checks that messages after a claim whose owner died are received.
func TestClaimOfDeadProducer(t *testing.T) {
	ring, f := newRing(t, 4096, shmring.Many)
	c, ctx := consumer(t, ring), background(t)
	child := start(t, goPeer(t, self(t), f, "holder", "claim"))
	p := producer(t, ring)
	if err := p.Send(ctx, []byte("after")); err != nil {
		t.Fatal(err)
	}
	if msg, ok, err := c.TryReceive(); ok || err != nil {
		t.Fatalf("received past a claim of a living producer: %q, %v", msg, err)
	}
	kill(t, child)
	watch := ipctest.StartWatch(t)
	msg, err := c.Receive(ctx)
	if d, tooLong := watch.Stop(learn); string(msg) != "after" || err != nil || tooLong {
		t.Errorf("Receive = %q, %v after %v, want what was sent after the dead claim within %v", msg, err, d, learn)
	}
	// The same without waiting.
	child = start(t, goPeer(t, self(t), f, "holder", "claim"))
	if err := p.Send(ctx, []byte("again")); err != nil {
		t.Fatal(err)
	}
	kill(t, child)
	c.ReapProducers()
	if msg, ok, err := c.TryReceive(); string(msg) != "again" || !ok || err != nil {
		t.Errorf("TryReceive after ReapProducers = %q, %v, %v", msg, ok, err)
	}
}

// TestTakeOver lets a producer take the slot of a dead producer when none is free, and a
// consumer take the role of a dead consumer.
func TestTakeOver(t *testing.T) {
	ring, f := newRing(t, 4096, shmring.Many)
	child := start(t, goPeer(t, self(t), f, "holder", "claim"))
	var p *shmring.Producer
	for range 63 {
		p = producer(t, ring)
	}
	if _, err := ring.JoinProducer(); !errors.Is(err, shmring.ErrBusy) {
		t.Fatalf("JoinProducer = %v, want ErrBusy", err)
	}
	reader := start(t, goPeer(t, self(t), f, "holder", "consumer"))
	if _, err := ring.JoinConsumer(); !errors.Is(err, shmring.ErrBusy) {
		t.Fatalf("JoinConsumer = %v, want ErrBusy", err)
	}
	if err := p.CheckConsumer(); err != nil {
		t.Errorf("CheckConsumer = %v while it lives", err)
	}
	kill(t, child)
	kill(t, reader)
	if err := p.CheckConsumer(); !errors.Is(err, shmring.ErrPeerDied) {
		t.Errorf("CheckConsumer = %v, want ErrPeerDied", err)
	}
	heir := producer(t, ring)
	if err := heir.Send(background(t), []byte("heir")); err != nil {
		t.Fatal(err)
	}
	c := consumer(t, ring)
	if msg, ok, err := c.TryReceive(); string(msg) != "heir" || !ok || err != nil {
		t.Errorf("TryReceive = %q, %v, %v: the claim that was taken over is in the way", msg, ok, err)
	}
}

// TestLateConsumer lets a consumer join, and die, while a producer waits for one.
func TestLateConsumer(t *testing.T) {
	t.Parallel()
	ring, f := newRing(t, 4096, shmring.One)
	p := producer(t, ring)
	for ok := true; ok; {
		var claim shmring.Claim
		var err error
		if claim, ok, err = p.TryClaim(1000); ok {
			err = claim.Commit()
		}
		mustAll(t, err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- p.Send(background(t), make([]byte, 1000)) }()
	select {
	case err := <-waiting:
		t.Fatalf("%v without a consumer", err)
	case <-time.After(2500 * time.Millisecond): // by now it checks seldom
	}
	child := start(t, goPeer(t, self(t), f, "holder", "consumer"))
	watch := ipctest.StartWatch(t)
	kill(t, child)
	err := <-waiting
	if d, tooLong := watch.Stop(learn); !errors.Is(err, shmring.ErrPeerDied) || tooLong {
		t.Errorf("%v after %v, want ErrPeerDied within %v", err, d, learn)
	}
}

// TestMadPeer lets a process overwrite the words of the ring while this one uses it.
// Nothing may panic or wait beyond its context.
func TestMadPeer(t *testing.T) {
	mem, f := shared(t, shmring.Size(16<<10))
	for trial := range ipctest.Rounds(t, 20, 1) {
		kind := shmring.Producers(1 + trial%2)
		ring, err := shmring.Create(mem, &shmring.Options{Producers: kind})
		if err != nil {
			t.Fatal(err)
		}
		child := goPeer(t, self(t), f, "mad", trial)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		end := time.Now().Add(150 * time.Millisecond)
		together(
			func() { madProducer(t, ring, end) },
			func() { madProducer(t, ring, end) },
			func() { madConsumer(t, ring, end) },
			func() {
				for time.Now().Before(end) {
					_, _ = shmring.Open(mem)
				}
			},
		)
		kill(t, child)
	}
}

// limited calls f with a context of 5 ms and checks that it returns soon.
func limited(t *testing.T, what string, f func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	began := time.Now()
	f(ctx)
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("%s took %v", what, d)
	}
}

func madProducer(t *testing.T, ring *shmring.Ring, end time.Time) {
	for time.Now().Before(end) {
		p, err := ring.JoinProducer()
		if err != nil {
			continue
		}
		for i := 0; i < 200 && time.Now().Before(end); i++ {
			limited(t, "Send", func(ctx context.Context) { err = p.Send(ctx, make([]byte, i*40)) })
			limited(t, "SendBatch", func(ctx context.Context) {
				_, err = p.SendBatch(ctx, [][]byte{{1}, make([]byte, i), nil})
			})
			limited(t, "Claim", func(ctx context.Context) {
				if c, err := p.Claim(ctx, 100+i); err == nil {
					clear(c.Bytes())
					_ = c.CommitN(i / 2)
				}
			})
		}
		p.Close()
	}
}

func madConsumer(t *testing.T, ring *shmring.Ring, end time.Time) {
	msgs := make([][]byte, 10)
	for time.Now().Before(end) {
		c, err := ring.JoinConsumer()
		if err != nil {
			continue
		}
		for i := 0; i < 200 && time.Now().Before(end); i++ {
			limited(t, "Receive", func(ctx context.Context) {
				if msg, err := c.Receive(ctx); err == nil {
					_ = bytes.Clone(msg)
				}
			})
			limited(t, "ReceiveBatch", func(ctx context.Context) {
				n, _ := c.ReceiveBatch(ctx, msgs)
				for _, msg := range msgs[:n] {
					_ = bytes.Clone(msg)
				}
			})
			c.ReapProducers()
		}
		c.Close()
	}
}

// TestIdle has many consumers wait for a process that does nothing.
func TestIdle(t *testing.T) {
	const consumers = 100
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan error, consumers)
	for i := range consumers {
		ring, f := newRing(t, 4096, shmring.Many)
		if i%25 == 0 {
			start(t, goPeer(t, self(t), f, "holder", "producer"))
		}
		producer(t, ring)
		c := consumer(t, ring)
		go func() { _, err := c.Receive(ctx); results <- err }()
	}
	time.Sleep(time.Second) // past the spins and the first ticks
	before, began := cpuTime(t), time.Now()
	time.Sleep(time.Second)
	used, wall := cpuTime(t)-before, time.Since(began)
	if used > wall/50 { // one that spins uses all of it
		t.Errorf("%d waiting consumers used %v of processor in %v", consumers, used, wall)
	}
	t.Logf("%d waiting consumers used %v of processor in %v", consumers, used, wall)
	cancel()
	for range consumers {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("Receive = %v", err)
		}
	}
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
