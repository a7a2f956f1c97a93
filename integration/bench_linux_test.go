package integration_test

import (
	"context"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
	"golang.org/x/sys/unix"
)

// BenchmarkPeers compares calls that do not block with the same calls in C. Pairs
// alternate, so that load on the machine affects both. It compares processor times, since
// such calls never sleep. It reports the median, least and largest ratio of Go's time to
// C's, and the ratio of the best times, which noise affects least.
//
//	go test -run '^$' -bench Peers ./integration
func BenchmarkPeers(b *testing.B) {
	program := ipctest.Compile(b, "peers/bench.c")
	for _, test := range []struct {
		name string
		n    int // calls in a turn of about 6 ms
		run  func(b *testing.B, n int) time.Duration
	}{
		{"attach", 1200, timeAttach},
		{"semop", 8000, timeSemop},
		{"stat", 16000, timeStat},
		{"message", 4000, timeMessage},
	} {
		b.Run(test.name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			const pairs = 101
			var ratios, mine, theirs []float64
			for pair := range pairs {
				var inGo, inC float64
				for turn := range 2 { // each goes first in every other pair
					if (pair+turn)%2 == 0 {
						inGo = float64(test.run(b, test.n).Nanoseconds())
					} else {
						inC = timePeer(b, program, test.name, test.n)
					}
				}
				ratios = append(ratios, inGo/inC)
				mine, theirs = append(mine, inGo), append(theirs, inC)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(mine)/float64(test.n), "ours-ns")
			b.ReportMetric(median(theirs)/float64(test.n), "theirs-ns")
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(slices.Min(mine)/slices.Min(theirs), "ratio-best")
			b.ReportMetric(slices.Min(ratios), "ratio-min")
			b.ReportMetric(slices.Max(ratios), "ratio-max")
		})
	}
}

func median(all []float64) float64 {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// timePeer returns the nanoseconds that the C program takes for n operations.
func timePeer(b *testing.B, program, operation string, n int) float64 {
	b.Helper()
	out, err := exec.Command(program, operation, strconv.Itoa(n)).Output()
	if err != nil {
		b.Fatal(err)
	}
	took, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		b.Fatal(err)
	}
	return took
}

func timeAttach(b *testing.B, n int) time.Duration {
	seg := newSegment(b)
	start := cpuTime(b)
	for range n {
		mem, err := seg.Attach(nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := mem.Detach(); err != nil {
			b.Fatal(err)
		}
	}
	return ended(b, start, seg)
}

func timeStat(b *testing.B, n int) time.Duration {
	seg := newSegment(b)
	start := cpuTime(b)
	for range n {
		if _, err := seg.Stat(); err != nil {
			b.Fatal(err)
		}
	}
	return ended(b, start, seg)
}

func newSegment(b *testing.B) sysv.Segment {
	seg, err := sysv.CreateSegment(sysv.Private, 4096, nil)
	if err != nil {
		b.Fatal(err)
	}
	return seg
}

func timeSemop(b *testing.B, n int) time.Duration {
	set, err := sysv.CreateSet(sysv.Private, 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := set.SetValue(0, 1); err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	start := cpuTime(b)
	for range n {
		if err := set.Do(ctx, sysv.Op{Add: -1}); err != nil {
			b.Fatal(err)
		}
		if err := set.Do(ctx, sysv.Op{Add: 1}); err != nil {
			b.Fatal(err)
		}
	}
	return ended(b, start, set)
}

func timeMessage(b *testing.B, n int) time.Duration {
	queue, err := sysv.CreateQueue(sysv.Private, nil)
	if err != nil {
		b.Fatal(err)
	}
	ctx, text := context.Background(), make([]byte, 64)
	start := cpuTime(b)
	for range n {
		if err := queue.Send(ctx, 1, text); err != nil {
			b.Fatal(err)
		}
		if _, _, err := queue.Receive(ctx, text, sysv.ReceiveOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	return ended(b, start, queue)
}

// cpuTime returns the processor time of this process.
func cpuTime(b *testing.B) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// ended removes the object, and returns the processor time used between start and the
// removal.
func ended(b *testing.B, start time.Duration, object interface{ Remove() error }) time.Duration {
	took := cpuTime(b) - start
	if err := object.Remove(); err != nil {
		b.Fatal(err)
	}
	return took
}
