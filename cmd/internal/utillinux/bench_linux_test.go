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

	"github.com/sysvipc/gipc/cmd/internal/utillinux"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// The benchmarks run gipcs under all its names alternately with util-linux's programs
// or a C program, as whole processes. They print the ratio of the times, and the
// difference in memory:
//
//	go test -run '^$' -bench 'Listing|RemoveAll' -benchtime 1x ./cmd/internal/utillinux

func BenchmarkListing10(b *testing.B)    { benchmarkListing(b, 10, 101) }
func BenchmarkListing32000(b *testing.B) { benchmarkListing(b, 32000, 9) }

// A comparison is our command line and theirs; theirs is "" if it is the same.
type comparison struct{ ours, theirs string }

func benchmarkListing(b *testing.B, objects, pairs int) {
	dir := build(b)
	peak := ipctest.Compile(b, "testdata/peak.c")
	isolateBenchmark(b, objects)
	fill(b, objects)
	for range b.N {
		for _, c := range []comparison{
			{"ipcs -m", ""},
			{"ipcs -q", ""},
			{"ipcs -s", ""},
			{"ipcs", ""},
			{"ipcs -m -t", ""},
			{"ipcs -m -c", ""},
			{"lsipc -m", ""},
			{"lsipc -q", ""},
			{"lsipc -s", ""},
			{"lsipc -m -J", ""},
			{"gipcs ls -m --format plain", "lsipc -m"},
			{"gipcs ls -q --format plain", "lsipc -q"},
			{"gipcs ls -s --format plain", "lsipc -s"},
		} {
			if c.theirs == "" {
				c.theirs = c.ours
			}
			ours, theirs := strings.Fields(c.ours), strings.Fields(c.theirs)
			peer(b, theirs[0])
			var p pairing
			for range pairs {
				p.add(timed(b, filepath.Join(dir, ours[0]), ours[1:]...), timed(b, theirs[0], theirs[1:]...))
			}
			memory := memoryOf(b, peak, filepath.Join(dir, ours[0]), ours[1:]...) - memoryOf(b, peak, theirs[0], theirs[1:]...)
			p.report(objects, c, fmt.Sprintf("  memory %+.1f MB", memory))
		}
	}
	b.ReportMetric(0, "ns/op")
}

func BenchmarkRemoveAll(b *testing.B) {
	dir := build(b)
	remove := ipctest.Compile(b, "testdata/remove.c")
	const objects, pairs = 32000, 7
	isolateBenchmark(b, objects)
	peer(b, "ipcrm")
	for range b.N {
		for _, kind := range []string{"shm", "msg", "sem"} {
			all := func(program string, args ...string) func() time.Duration {
				return func() time.Duration {
					fill(b, objects)
					return timed(b, program, args...)
				}
			}
			each := func(program, prefix string, args ...string) func() time.Duration {
				return func() time.Duration {
					fill(b, objects)
					return timed(b, program, append(args, identifiers(b, kind, prefix)...)...)
				}
			}
			ours, gipcs := filepath.Join(dir, "ipcrm"), filepath.Join(dir, "gipcs")
			for _, c := range []struct {
				comparison
				mine, other func() time.Duration
			}{
				{comparison{"ipcrm --all=" + kind, "ipcrm"}, all(ours, "--all="+kind), all("ipcrm", "--all="+kind)},
				{comparison{"ipcrm --all=" + kind, "C"}, all(ours, "--all="+kind), all(remove, kind)},
				{comparison{"ipcrm " + kind + " ID...", "C"}, each(ours, "", kind), each(remove, "", kind)},
				{comparison{"gipcs rm " + kind + ":ID...", "C"}, each(gipcs, kind+":id:", "rm"), each(remove, "", kind)},
			} {
				var p pairing
				for range pairs {
					p.add(c.mine(), c.other())
				}
				p.report(objects, c.comparison, "")
			}
		}
	}
	b.ReportMetric(0, "ns/op")
}

// identifiers returns the identifiers of all objects of a kind.
func identifiers(b *testing.B, kind, prefix string) (all []string) {
	b.Helper()
	add := func(id int, err error) {
		must(b, err)
		all = append(all, prefix+strconv.Itoa(id))
	}
	switch kind {
	case "shm":
		for s, err := range sysv.Segments() {
			add(s.ID, err)
		}
	case "msg":
		for q, err := range sysv.Queues() {
			add(q.ID, err)
		}
	default:
		for s, err := range sysv.Sets() {
			add(s.ID, err)
		}
	}
	return all
}

// build compiles gipcs as for an installation, links it to the names of the four
// programs, and returns the directory.
func build(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	program := filepath.Join(dir, "gipcs")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "urfave_cli_no_docs", "-ldflags", "-s -w", "-o", program, "../../cmd/gipcs")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Skipf("cannot build: %v\n%s", err, out)
	}
	for _, name := range utillinux.Names() {
		must(b, os.Link(program, filepath.Join(dir, name)))
	}
	return dir
}

// isolateBenchmark is isolate with limits for many objects.
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

// fill makes objects until there are n of each kind.
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

// A pairing holds the times of pairs of runs.
type pairing struct{ ours, theirs []time.Duration }

func (p *pairing) add(ours, theirs time.Duration) {
	p.ours, p.theirs = append(p.ours, ours), append(p.theirs, theirs)
}

// report prints the ratios of the pairs, and the ratio of the best times, which noise
// affects least. It does not use the benchmark's log, which is cut after ten lines.
func (p *pairing) report(objects int, c comparison, more string) {
	what := c.ours
	if c.theirs != c.ours {
		what += " / " + c.theirs
	}
	ratios := make([]float64, len(p.ours))
	for i := range ratios {
		ratios[i] = p.ours[i].Seconds() / p.theirs[i].Seconds()
	}
	slices.Sort(ratios)
	best := slices.Min(p.ours).Seconds() / slices.Min(p.theirs).Seconds()
	fmt.Printf("%6d objects  %-38s  median %.3f  min %.3f  max %.3f%s  best %.3f\n", objects, what,
		ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1], more, best)
}

func timed(b *testing.B, program string, args ...string) time.Duration {
	b.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = []string{"LC_ALL=C"}
	start := time.Now()
	must(b, cmd.Run())
	return time.Since(start)
}

// memoryOf returns a program's peak memory in MB.
func memoryOf(b *testing.B, peak, program string, args ...string) float64 {
	b.Helper()
	out, err := exec.Command(peak, append([]string{program}, args...)...).Output()
	must(b, err)
	kilobytes, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	must(b, err)
	return kilobytes / 1024
}
