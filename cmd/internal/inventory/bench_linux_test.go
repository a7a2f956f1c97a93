package inventory

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
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
	inv, err := Collect(Options{Kinds: []ref.Kind{ref.Shm}, Want: WantAttached})
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
// a process of its own, alternately, and reports how many times longer lsof takes.
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
	ours := func() *exec.Cmd {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "GIPC_TEST_ROLE=attached")
		return cmd
	}
	// These flags cost lsof least: it looks up no names of hosts, ports and users, and
	// lists nothing but deleted files that are mapped.
	theirs := func() *exec.Cmd { return exec.Command(lsof, "-n", "-P", "-l", "-w", "-d", "DEL") }
	want := manyProcesses * manyEach
	run := func(cmd *exec.Cmd) (rows int, wall, cpu time.Duration) {
		in, err := cmd.StdinPipe() // the role ends when it is closed
		if err != nil {
			b.Fatal(err)
		}
		defer in.Close()
		start := time.Now()
		out, _ := cmd.Output() // lsof may fail because of other processes
		return bytes.Count(out, []byte{'\n'}), time.Since(start), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	if rows, _, _ := run(ours()); rows != want {
		b.Fatalf("%d attachments, want %d", rows, want)
	}
	if rows, _, _ := run(theirs()); rows < want {
		b.Fatalf("lsof shows %d rows, want %d", rows, want)
	}
	var walls, cpus []float64
	for b.Loop() {
		_, ourWall, ourCPU := run(ours())
		_, theirWall, theirCPU := run(theirs())
		walls = append(walls, float64(theirWall)/float64(ourWall))
		cpus = append(cpus, float64(theirCPU)/float64(ourCPU))
	}
	slices.Sort(walls)
	slices.Sort(cpus)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(walls[0], "x-wall-min")
	b.ReportMetric(walls[len(walls)/2], "x-wall-median")
	b.ReportMetric(walls[len(walls)-1], "x-wall-max")
	b.ReportMetric(cpus[len(cpus)/2], "x-cpu-median")
}

// BenchmarkCollect measures the cost of each Want.
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
