package main

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkSemop compares the time of a semop without contention under gshm-trace and under
// strace, run alternately. The ratio is the median of those of the pairs; below 1, gshm-trace
// is faster. On a busy machine short runs measure how each of them starts.
func BenchmarkSemop(b *testing.B) { compare(b, "loop", "15000") }

// BenchmarkOther does so for calls that are not shown.
func BenchmarkOther(b *testing.B) { compare(b, "other", "100000") }

func compare(b *testing.B, act, n string) {
	if _, err := exec.LookPath("strace"); err != nil {
		b.Skip("strace is not installed: install strace")
	}
	strace := []string{"strace", "--seccomp-bpf", "-f", "-e", "trace=ipc", "-o", "/dev/null"}
	lines, sums := []string{build(b), "-o", "/dev/null", "--"}, []string{build(b), "-c", "-o", "/dev/null", "--"}
	program := acts(b)
	measure := func(before ...string) float64 {
		argv := append(slices.Clone(before), program, act, n)
		r := finish(b, exec.Command(argv[0], argv[1:]...))
		ns, err := strconv.ParseFloat(strings.TrimSpace(r.stdout), 64)
		if err != nil {
			b.Fatalf("%q, %q", r.stdout, r.stderr)
		}
		return ns
	}
	var plain, theirs, ours, linesRatio, sumsRatio []float64
	for b.Loop() {
		plain = append(plain, measure())
		theirs = append(theirs, measure(strace...))
		ours = append(ours, measure(lines...))
		last := len(ours) - 1
		linesRatio = append(linesRatio, ours[last]/theirs[last])
		sumsRatio = append(sumsRatio, measure(sums...)/theirs[last])
	}
	b.ReportMetric(median(plain), "plain-ns/call")
	b.ReportMetric(median(theirs), "strace-ns/call")
	b.ReportMetric(median(ours), "trace-ns/call")
	b.ReportMetric(median(linesRatio), "trace/strace")
	b.ReportMetric(median(sumsRatio), "trace-c/strace")
	b.ReportMetric(0, "ns/op") // the sum of all means nothing
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
