package shmsync_test

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmsync"
)

// playCount counts under the lock until it is told to stop.
func playCount(args []string) error {
	mem, p, err := open(args[0])
	if err != nil {
		return err
	}
	mu, err := shmsync.NewMutex(mem, 0)
	if err != nil {
		return err
	}
	i, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	ctx := context.Background()
	p.ready.Add(1)
	for p.start.Load() == 0 {
		time.Sleep(100 * time.Microsecond)
	}
	n := uint64(0)
	for p.stop.Load() == 0 {
		if _, err := mu.Lock(ctx); err != nil {
			return err
		}
		p.plain++
		if err := mu.Unlock(); err != nil {
			return err
		}
		n++
	}
	p.count[i].n.Store(n)
	return mu.Close()
}

// counted lets n processes count for a second. It returns their counts per second, and the
// lowest count of a process divided by the highest.
func (w *world) counted(n int, begin func(i int) (wait func())) (rate, fair float64) {
	w.t.Helper()
	p := w.page
	p.start.Store(0)
	p.stop.Store(0)
	p.ready.Store(0)
	p.plain = 0
	var waits []func()
	for i := range n {
		waits = append(waits, begin(i))
	}
	eventually(w.t, "processes are ready", func() bool { return int(p.ready.Load()) == n })
	time.Sleep(5 * time.Millisecond) // so that all wait for start
	began := time.Now()
	p.start.Store(1)
	time.Sleep(time.Second)
	p.stop.Store(1)
	took := time.Since(began)
	for _, wait := range waits {
		wait()
	}
	sum, least, most := uint64(0), ^uint64(0), uint64(1)
	for i := range n {
		c := p.count[i].n.Load()
		sum, least, most = sum+c, min(least, c), max(most, c)
	}
	if sum != p.plain {
		w.t.Errorf("%d counts under the lock, %d outside", p.plain, sum)
	}
	return float64(sum) / took.Seconds(), float64(least) / float64(most)
}

// BenchmarkPeer lets processes count under a Mutex and, alternately, under a robust
// pthread mutex in C. ratio is our rate divided by that of C, the median of the pairs;
// fair is the lowest count of a process divided by the highest.
func BenchmarkPeer(b *testing.B) {
	program := ipctest.Compile(b, "testdata/robust.c", "-pthread")
	for _, n := range []int{1, 2, 4, 16} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			ours := newWorld(b)
			theirs := newWorldNamed(b, "/robust")
			path := "/dev/shm/robust"
			if out, err := exec.Command(program, path).CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
			const pairs = 5
			var ratio, rates, cRates, fair, cFair []float64
			for range pairs {
				r, f := ours.counted(n, func(i int) func() {
					return ours.start(nil, "count", i).wait
				})
				cr, cf := theirs.counted(n, func(i int) func() {
					return ipctestRun(b, program, path, strconv.Itoa(i))
				})
				ratio, rates, cRates = append(ratio, r/cr), append(rates, r), append(cRates, cr)
				fair, cFair = append(fair, f), append(cFair, cf)
			}
			for _, s := range [][]float64{ratio, rates, cRates, fair, cFair} {
				slices.Sort(s)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(1e9/rates[pairs/2], "ours-ns")
			b.ReportMetric(1e9/cRates[pairs/2], "theirs-ns")
			b.ReportMetric(ratio[pairs/2], "ratio")
			b.ReportMetric(ratio[0], "ratio-min")
			b.ReportMetric(ratio[pairs-1], "ratio-max")
			b.ReportMetric(fair[pairs/2], "fair")
			b.ReportMetric(fair[0], "fair-min")
			b.ReportMetric(cFair[pairs/2], "theirs-fair")
		})
	}
}

func ipctestRun(b *testing.B, program string, args ...string) (wait func()) {
	p := ipctest.Run(b, program, args...)
	return func() { p.Wait() }
}

func BenchmarkUncontended(b *testing.B) {
	mu, ctx := newWorld(b).mutex(), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mu.Lock(ctx); err != nil {
			b.Fatal(err)
		}
		if err := mu.Unlock(); err != nil {
			b.Fatal(err)
		}
	}
}
