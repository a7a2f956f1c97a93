package semops_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

func BenchmarkPV(b *testing.B) {
	w := newWorld(b, []uint16{1})
	s, ctx := newSemaphore(b, w.set, 0), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if s.Acquire(ctx, 1) != nil || s.Release(1) != nil {
			b.Fatal("failed")
		}
	}
}

func BenchmarkMutex(b *testing.B) {
	w := newWorld(b, semops.MutexValues())
	mu, ctx := newMutex(b, w.set), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if lock(mu, ctx) != nil || mu.Unlock() != nil {
			b.Fatal("failed")
		}
	}
}

func BenchmarkPingPongGoroutines(b *testing.B) {
	w := newWorld(b, []uint16{0, 0})
	ctx := context.Background()
	ping, pong := newSemaphore(b, w.set, 0), newSemaphore(b, w.set, 1)
	done := run(func() error {
		for {
			if err := ping.Acquire(ctx, 1); err != nil {
				return err
			}
			if err := pong.Release(1); err != nil {
				return err
			}
		}
	})
	for b.Loop() {
		if ping.Release(1) != nil || pong.Acquire(ctx, 1) != nil {
			b.Fatal("failed")
		}
	}
	must(b, w.set.Remove())
	if err := result(b, done); err == nil {
		b.Error("the set is removed, and P succeeded")
	}
}

// bufferSems is how many semaphores a Buffer takes.
const bufferSems = 6

// BenchmarkPeer runs the same work alternately in Go and in C, and reports the ratio of
// the times: the median, minimum and maximum of the pairs. The ratio is Go / C, or C / Go
// if faster is set.
func BenchmarkPeer(b *testing.B) {
	peer := compilePeer(b)
	tests := []struct {
		name   string
		rounds int
		cpus   [2]int // on which C runs
		helper string
		ourCPU int // on which both of our processes run; -1 means any
		faster bool
	}{
		{"pv", 300000, [2]int{0, 0}, "pv", -1, false},
		{"pingpong/cross", 30000, [2]int{0, 1}, "ping", -1, true},
		{"pingpong/same", 30000, [2]int{0, 0}, "ping", 0, false},
		{"buffer/cross", 30000, [2]int{0, 1}, "fill", -1, true},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			if tt.cpus[1] >= runtime.NumCPU() {
				b.Skip("only one CPU")
			}
			what, _, _ := strings.Cut(tt.name, "/")
			const pairs = 9
			var ratios, ours, theirs []float64
			for pair := range pairs {
				var c, g float64
				for turn := range 2 { // each goes first in every other pair
					if (pair+turn)%2 == 0 {
						c = runPeer(b, peer, what, tt.rounds, tt.cpus)
					} else {
						g = runOurs(b, tt.helper, tt.rounds, tt.ourCPU)
					}
				}
				ratio := g / c
				if tt.faster {
					ratio = c / g
				}
				ratios, ours, theirs = append(ratios, ratio), append(ours, g), append(theirs, c)
			}
			slices.Sort(ratios)
			slices.Sort(ours)
			slices.Sort(theirs)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(ours[pairs/2], "ours-ns")
			b.ReportMetric(theirs[pairs/2], "theirs-ns")
			b.ReportMetric(ratios[pairs/2], "ratio")
			b.ReportMetric(ratios[0], "ratio-min")
			b.ReportMetric(ratios[pairs-1], "ratio-max")
		})
	}
}

func compilePeer(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "peer")
	out, err := exec.Command("gcc", "-O2", "-o", bin, "testdata/peer.c").CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no gcc")
	}
	if err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return bin
}

func runPeer(t testing.TB, bin, what string, rounds int, cpus [2]int) float64 {
	t.Helper()
	cmd := exec.Command(bin, what, strconv.Itoa(rounds), strconv.Itoa(cpus[0]), strconv.Itoa(cpus[1]))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	return nanoseconds(t, string(out))
}

func nanoseconds(t testing.TB, s string) float64 {
	t.Helper()
	ns, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	must(t, err)
	return ns
}

// runOurs runs a helper that prints how long a round takes.
func runOurs(t testing.TB, helper string, rounds, cpu int) float64 {
	t.Helper()
	if cpu >= 0 {
		defer pinned(t, cpu)()
	}
	values := make([]uint16, bufferSems+1)
	if helper == "fill" {
		copy(values, semops.BufferValues(bufferSlots))
	}
	w := newWorld(t, values)
	w.page.a.Store(int64(rounds))
	c := w.start(helper)
	ns := nanoseconds(t, c.line(t))
	must(t, c.wait())
	return ns
}

// pinned pins this thread, and what it starts, to a CPU until the function that it
// returns is called.
func pinned(t testing.TB, cpu int) func() {
	t.Helper()
	runtime.LockOSThread()
	var before, mask unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &before))
	mask.Set(cpu)
	must(t, unix.SchedSetaffinity(0, &mask))
	return func() {
		must(t, unix.SchedSetaffinity(0, &before))
		runtime.UnlockOSThread()
	}
}

// took prints how long each of p.a rounds took since began.
func (p *page) took(began time.Time) {
	fmt.Printf("%.1f\n", float64(time.Since(began).Nanoseconds())/float64(p.a.Load()))
}

func benchPV(set sysv.Set, p *page) {
	s, err := semops.NewSemaphore(set, 0, nil)
	check(err)
	began := time.Now()
	check(s.Release(1))
	for range p.a.Load() {
		check(s.Acquire(forEver, 1))
		check(s.Release(1))
	}
	p.took(began)
}

// benchPing exchanges tokens with another process, which it starts.
func benchPing(set sysv.Set, p *page) {
	other, stop := startOther("pong")
	ping, err := semops.NewSemaphore(set, 0, nil)
	check(err)
	pong, err := semops.NewSemaphore(set, 1, nil)
	check(err)
	check(pong.Acquire(forEver, 1)) // it is ready
	began := time.Now()
	for range p.a.Load() {
		check(ping.Release(1))
		check(pong.Acquire(forEver, 1))
	}
	p.took(began)
	stop()
	_ = other.Wait()
}

func benchPong(set sysv.Set, p *page) {
	ping, err := semops.NewSemaphore(set, 0, nil)
	check(err)
	pong, err := semops.NewSemaphore(set, 1, nil)
	check(err)
	check(pong.Release(1))
	for range p.a.Load() {
		check(ping.Acquire(forEver, 1))
		check(pong.Release(1))
	}
	select {}
}

// benchFill sends messages of 256 bytes through a buffer of ten slots to another
// process, which it starts.
func benchFill(set sysv.Set, p *page) {
	other, stop := startOther("empty")
	ready, err := semops.NewSemaphore(set, bufferSems, nil)
	check(err)
	check(ready.Acquire(forEver, 1))
	b, err := semops.NewBuffer(set, 0, bufferSlots)
	check(err)
	var message [256]byte
	began := time.Now()
	for i := range p.a.Load() {
		for j := range message {
			message[j] = byte(i)
		}
		check(b.Put(forEver, func(slot int) error {
			p.message[slot] = message
			return nil
		}))
	}
	check(ready.Acquire(forEver, 1))
	p.took(began)
	stop()
	_ = other.Wait()
}

func benchEmpty(set sysv.Set, p *page) {
	ready, err := semops.NewSemaphore(set, bufferSems, nil)
	check(err)
	check(ready.Release(1))
	b, err := semops.NewBuffer(set, 0, bufferSlots)
	check(err)
	var message [256]byte
	for i := range p.a.Load() {
		check(b.Take(forEver, func(slot int) error {
			message = p.message[slot]
			return nil
		}))
		if message[0] != byte(i) || message[255] != byte(i) {
			check(fmt.Errorf("message %d is wrong", i))
		}
	}
	check(ready.Release(1))
	select {}
}

// startOther starts another helper on the same objects.
func startOther(name string) (cmd *exec.Cmd, stop func()) {
	cmd = exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), helperName+"="+name)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	check(err)
	check(cmd.Start())
	return cmd, func() { check(stdin.Close()) }
}

// BenchmarkOwnerDied measures the time from kill -9 of a holder until the next holder has
// the lock and is told.
func BenchmarkOwnerDied(b *testing.B) {
	w := newWorld(b, semops.MutexValues())
	mu, ctx := newMutex(b, w.set), context.Background()
	var took []time.Duration
	for b.Loop() {
		c := w.start("hold")
		c.line(b)
		waiting := run(func() error { return lock(mu, ctx) })
		w.asleep(0, 1)
		began := time.Now()
		must(b, c.cmd.Process.Kill())
		err := <-waiting
		took = append(took, time.Since(began))
		mustBe(b, err, errOwnerDied)
		must(b, errors.Join(mu.MarkConsistent(), mu.Unlock()))
		c.kill()
	}
	reportTimes(b, took)
}

func reportTimes(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(us(took[len(took)/2]), "us-p50")
	b.ReportMetric(us(took[len(took)*99/100]), "us-p99")
	b.ReportMetric(us(took[len(took)-1]), "us-max")
}
