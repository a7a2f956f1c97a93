package main

import (
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"syscall"
	"testing"
)

// BenchmarkScrape measures a scrape that scans, with verdicts, in processor time.
func BenchmarkScrape(b *testing.B) {
	const most = "32768" // the kernel's largest SHMMNI
	if err := os.WriteFile("/proc/sys/kernel/shmmni", []byte(most), 0); err != nil {
		b.Skipf("no limit can be set here: %v", err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	for _, n := range []int{1000, 32000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			segments(b, n)
			h := handler(b, "kind,verdict,owner", 0)
			if w := get(h, "/metrics"); w.Code != http.StatusOK {
				b.Fatal(w.Body)
			}
			before := processorTime(b)
			for b.Loop() {
				get(h, "/metrics")
			}
			b.ReportMetric(float64(processorTime(b)-before)/1e6/float64(b.N), "cpu-ms/op")
		})
	}
}

// processorTime returns the nanoseconds of processor time that this process has used.
func processorTime(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u.Utime.Nano() + u.Stime.Nano()
}
