package utillinux_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/utillinux"
	"github.com/sysvipc/gipc/sysv"
)

// The benchmarks run our programs and those of util-linux in turn, as whole
// processes, and print how long ours take in relation to theirs:
//
//	go test -run '^$' -bench . ./internal/utillinux

func BenchmarkListing10(b *testing.B)    { benchmarkListing(b, 10, 101) }
func BenchmarkListing32000(b *testing.B) { benchmarkListing(b, 32000, 9) }

func benchmarkListing(b *testing.B, objects, pairs int) {
	dir := build(b)
	isolateBenchmark(b, objects)
	fill(b, objects)
	for range b.N {
		for _, command := range []string{
			"ipcs -m", "ipcs -q", "ipcs -s", "ipcs", "ipcs -m -t", "ipcs -m -c", "lsipc -m", "lsipc -q", "lsipc -s", "lsipc -m -J",
		} {
			words := strings.Fields(command)
			peer(b, words[0])
			report(objects, command, compare(b, pairs, filepath.Join(dir, words[0]), words[0], words[1:]))
		}
	}
	b.ReportMetric(0, "ns/op")
}

func BenchmarkRemoveAll(b *testing.B) {
	dir := build(b)
	const objects, pairs = 32000, 7
	isolateBenchmark(b, objects)
	peer(b, "ipcrm")
	for range b.N {
		for _, kind := range []string{"shm", "msg", "sem"} {
			var ratios []float64
			for range pairs {
				fill(b, objects)
				ours := timed(b, filepath.Join(dir, "ipcrm"), "--all="+kind)
				fill(b, objects)
				ratios = append(ratios, ours.Seconds()/timed(b, "ipcrm", "--all="+kind).Seconds())
			}
			report(objects, "ipcrm --all="+kind, ratios)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// build compiles the four programs as one and returns where they are.
func build(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	program := filepath.Join(dir, "multicall")
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/multicall").CombinedOutput(); err != nil {
		b.Skipf("can not build: %v\n%s", err, out)
	}
	for _, name := range utillinux.Names() {
		must(b, os.Link(program, filepath.Join(dir, name)))
	}
	return dir
}

// isolateBenchmark is isolate with room for many objects.
func isolateBenchmark(b *testing.B, objects int) {
	b.Helper()
	isolate(b)
	limit := strconv.Itoa(objects + 1)
	for file, text := range map[string]string{
		"shmmni": limit, "msgmni": limit, "sem": "250 " + strconv.Itoa(objects*250) + " 32 " + limit,
	} {
		must(b, os.WriteFile("/proc/sys/kernel/"+file, []byte(text), 0))
	}
}

// fill brings the number of objects of each kind to n.
func fill(b *testing.B, n int) {
	b.Helper()
	segments, err := sysv.ShmUsage()
	must(b, err)
	queues, err := sysv.MsgUsage()
	must(b, err)
	sets, err := sysv.SemUsage()
	must(b, err)
	var p population
	for range n - segments.Segments {
		p.segment(b, sysv.Private, 4096, 0o600)
	}
	for range n - queues.Queues {
		p.queue(b, sysv.Private, 0o600)
	}
	for range n - sets.Sets {
		p.set(b, sysv.Private, 0o600, 1)
	}
}

// report prints ratios. The log of a benchmark is cut after ten lines.
func report(objects int, command string, ratios []float64) {
	slices.Sort(ratios)
	fmt.Printf("%6d objects  %-16s  median %.3f  min %.3f  max %.3f\n", objects, command,
		ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1])
}

// compare returns the ratios of pairs of runs.
func compare(b *testing.B, pairs int, ours, theirs string, args []string) []float64 {
	b.Helper()
	var ratios []float64
	for range pairs {
		mine := timed(b, ours, args...)
		ratios = append(ratios, mine.Seconds()/timed(b, theirs, args...).Seconds())
	}
	return ratios
}

func timed(b *testing.B, program string, args ...string) time.Duration {
	b.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = []string{"LC_ALL=C"}
	start := time.Now()
	must(b, cmd.Run())
	return time.Since(start)
}
