package integration_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// BenchmarkScale runs gipcs and the program that answers the same question alternately,
// among many segments and processes, and reports how many times longer gipcs takes.
func BenchmarkScale(b *testing.B) {
	gipcs := filepath.Join(install(b, "gipcs"), "gipcs")
	for _, crowd := range []struct{ segments, processes, each int }{
		{1000, 2000, 4}, {32000, 2000, 4}, {32000, 50, 640},
	} {
		b.Run(fmt.Sprintf("%d segments, %d processes", crowd.segments, crowd.processes), func(b *testing.B) {
			attached, idle := makeCrowd(b, crowd.segments, crowd.processes, crowd.each)
			pairs := []struct {
				name         string
				ours, theirs []string
			}{
				{"show-attached", []string{"show", attached}, []string{"ipcs", "-m", "-i", attached[len("shm:"):]}},
				{"show-idle", []string{"show", idle}, []string{"ipcs", "-m", "-i", idle[len("shm:"):]}},
				{"who-is-attached", []string{"ls", "-m", "-o", "+attached"}, []string{"lsof", "-n", "-P", "-l", "-w", "-d", "DEL"}},
				{"limits", []string{"limits"}, []string{"ipcs", "-l"}},
				{"orphans", []string{"rm", "--orphans", "--dry-run"}, []string{gipcs, "ls", "-m"}},
			}
			// Everything runs in this goroutine, since only its thread is in the namespace.
			ratios := make(map[string][]float64)
			for b.Loop() {
				for _, p := range pairs {
					if _, err := exec.LookPath(p.theirs[0]); err != nil {
						b.Skip(err)
					}
					ours := wall(b, append([]string{gipcs}, p.ours...))
					ratios[p.name] = append(ratios[p.name], float64(ours)/float64(wall(b, p.theirs)))
				}
			}
			b.ReportMetric(0, "ns/op")
			for name, list := range ratios {
				slices.Sort(list)
				b.ReportMetric(list[0], name+"-min")
				b.ReportMetric(list[len(list)/2], name)
				b.ReportMetric(list[len(list)-1], name+"-max")
			}
		})
	}
}

// wall returns how long a command takes. It ignores the status of lsof, which fails because
// of processes that the test did not ask for.
func wall(b *testing.B, command []string) time.Duration {
	b.Helper()
	begun := time.Now()
	if err := exec.Command(command[0], command[1:]...).Run(); err != nil && command[0] != "lsof" {
		b.Fatal(command, err)
	}
	return time.Since(begun)
}

// makeCrowd makes segments, and processes that attach the next ones in turn, each process
// as many as each says. It also makes a segment that nobody attaches, whose maker lives. It
// returns an attached segment and that one.
func makeCrowd(b *testing.B, segments, processes, each int) (attached, idle string) {
	b.Helper()
	if err := enterNamespace(); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile("/proc/sys/kernel/shmmni", []byte("32768"), 0); err != nil {
		b.Skip(err)
	}
	args := []string{fmt.Sprint(processes), fmt.Sprint(each)}
	for range segments {
		args = append(args, fmt.Sprint(int(newSegment(b))))
	}
	p := ipctest.Run(b, ipctest.Compile(b, "../cmd/internal/inventory/testdata/many.c"), args...)
	p.Line()
	return "shm:" + args[2], fmt.Sprintf("shm:%d", int(newSegment(b)))
}
