package inventory

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

const (
	manySegments  = 1000
	manyProcesses = 500
	manyEach      = 4 // segments that a process attaches
)

// crowd makes many segments and many processes that are attached to them.
func crowd(t testing.TB) {
	t.Helper()
	program := ipctest.Compile(t, "testdata/many.c")
	args := words([]any{manyProcesses, manyEach})
	for range manySegments {
		args = append(args, fmt.Sprint(int(createSegment(t, sysv.Private, 4096, 0o600))))
	}
	p := ipctest.Run(t, program, args...)
	p.Line()
}

// playAttached prints a row for each attachment.
func playAttached([]string) error {
	inv, err := Collect(Options{Kinds: []sysv.Kind{sysv.Shm}, Want: WantAttached})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for i := range inv.Objects {
		o := &inv.Objects[i]
		for _, a := range o.Use.Attached {
			fmt.Fprintf(&b, "%d %s %d %d %v %d\n", a.PID, a.Comm, a.UID, o.ID(), a.ReadOnly, a.Mappings)
		}
	}
	_, err = os.Stdout.Write(b.Bytes())
	return err
}

// BenchmarkAttachedBesideLsof asks this package and lsof the same question, each in
// a process of its own, by turns, and reports how many times longer lsof takes.
func BenchmarkAttachedBesideLsof(b *testing.B) {
	lsof, err := exec.LookPath("lsof")
	if err != nil {
		b.Skip("no lsof: install lsof")
	}
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	crowd(b)
	ours := func() string {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "GIPC_TEST_ROLE=attached")
		in, err := cmd.StdinPipe() // the role ends when it is closed
		if err != nil {
			b.Fatal(err)
		}
		defer in.Close()
		out, err := cmd.Output()
		if err != nil {
			b.Fatal(err)
		}
		return string(out)
	}
	// The way of asking that costs lsof least: no names of hosts, ports and users,
	// and nothing but deleted files that are mapped.
	theirs := func() string {
		out, _ := exec.Command(lsof, "-n", "-P", "-l", "-w", "-d", "DEL").Output() // its status tells of other processes
		return string(out)
	}
	want := manyProcesses * manyEach
	if got := strings.Count(ours(), "\n"); got != want {
		b.Fatalf("%d attachments, want %d", got, want)
	}
	if got := strings.Count(theirs(), "/SYSV"); got < want {
		b.Fatalf("lsof shows %d attachments, want %d", got, want)
	}
	var ratios []float64
	var total [2]time.Duration
	for b.Loop() {
		took := func(f func() string) time.Duration {
			start := time.Now()
			f()
			return time.Since(start)
		}
		us, them := took(ours), took(theirs)
		total[0], total[1] = total[0]+us, total[1]+them
		ratios = append(ratios, float64(them)/float64(us))
	}
	slices.Sort(ratios)
	n := time.Duration(len(ratios))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64((total[0]/n).Microseconds())/1000, "ms/ours")
	b.ReportMetric(float64((total[1]/n).Microseconds())/1000, "ms/lsof")
	b.ReportMetric(ratios[0], "times-min")
	b.ReportMetric(ratios[len(ratios)/2], "times-median")
	b.ReportMetric(ratios[len(ratios)-1], "times-max")
}

// BenchmarkCollect measures what each thing that can be wanted costs.
func BenchmarkCollect(b *testing.B) {
	crowd(b)
	for _, bb := range []struct {
		name string
		want Want
	}{
		{"list", 0},
		{"attached", WantAttached},
		{"waiting", WantWaiting},
		{"verdict", WantVerdict},
		{"everything", everything},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				collectAll(b, Options{Want: bb.want})
			}
		})
	}
}
