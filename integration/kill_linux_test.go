package integration_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// TestDemoKilled repeatedly kills one half of the demo at random moments, while the
// other half lives on.
func TestDemoKilled(t *testing.T) {
	gshm := filepath.Join(install(t, "gshm"), "gshm")
	t.Run("writer", func(t *testing.T) { testWritersKilled(t, gshm) })
	t.Run("reader", func(t *testing.T) { testReadersKilled(t, gshm) })
}

// numbered writes numbered lines, from 0 on, until nobody reads them.
func numbered(w io.Writer, prefix string) {
	for n := 0; ; n++ {
		if _, err := fmt.Fprintf(w, "%s%d\n", prefix, n); err != nil {
			return
		}
	}
}

// number returns the number of a line of numbered, as printed by the reader.
func number(t *testing.T, line, prefix string) int {
	t.Helper()
	text, ok := strings.CutPrefix(line, "You wrote: "+prefix)
	n, err := strconv.Atoi(text)
	if !ok || err != nil {
		t.Fatalf("%q is not a line that was written", line)
	}
	return n
}

// testWritersKilled: the lines of each writer come complete, from the first on, without
// a gap. A dead writer may leave one line in the segment.
func testWritersKilled(t *testing.T, gshm string) {
	inNamespace(t)
	reader := start(t, gshm, "demo", "reader")
	var before string
	last := 0
	for round := range ipctest.Rounds(t, 20, 1, reader.cmd.Process.Pid) {
		check(t, reader.pipe.SetReadDeadline(time.Now().Add(patience)))
		prefix := fmt.Sprintf("%d:", round)
		writer := mortal(t, gshm, "writer")
		stdin, err := writer.StdinPipe()
		check(t, err)
		check(t, writer.Start())
		go numbered(stdin, prefix)
		next := 0
		for next < 3 {
			line := reader.line()
			if before != "" && strings.HasPrefix(line, "You wrote: "+before) {
				want(t, "line of the one before", number(t, line, before), last)
				last++
				continue
			}
			want(t, "line", number(t, line, prefix), next)
			next++
		}
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
		kill(t, writer)
		before, last = prefix, next
	}
	reader.signal(unix.SIGINT)
	for line := range strings.Lines(reader.ends(0)) {
		want(t, "line at the end", number(t, strings.TrimSuffix(line, "\n"), before), last)
		last++
	}
	reader.says("")
}

// testReadersKilled: the lines come in order, and none is lost. The next reader begins with
// the line that the previous one had not finished, even if that one had printed it.
func testReadersKilled(t *testing.T, gshm string) {
	inNamespace(t)
	writer := start(t, gshm, "demo", "writer")
	go numbered(writer.stdin, "")
	next, twice := 0, 0
	expect := func(line string, first bool) {
		t.Helper()
		n := number(t, line, "")
		if first && n == next-1 {
			twice++
			return
		}
		want(t, "line", n, next)
		next++
	}
	for range ipctest.Rounds(t, 20, 1, writer.cmd.Process.Pid) {
		reader := mortal(t, gshm, "reader")
		stdout, err := reader.StdoutPipe()
		check(t, err)
		check(t, reader.Start())
		began, printed := "", bufio.NewReader(stdout)
		if rand.IntN(4) > 0 {
			stuck := time.AfterFunc(patience, func() { _ = reader.Process.Kill() })
			began, err = printed.ReadString('\n')
			stuck.Stop()
			if err != nil {
				t.Fatalf("a reader printed %q in %v: %v", began, patience, err)
			}
		}
		time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond) // perhaps before it has printed anything
		check(t, reader.Process.Kill())
		rest, err := io.ReadAll(printed)
		check(t, err)
		_ = reader.Wait() // it was killed
		first := true
		for line := range strings.Lines(began + string(rest)) { // none is printed in part
			expect(strings.TrimSuffix(line, "\n"), first)
			first = false
		}
	}
	t.Logf("%d lines, %d came twice", next, twice)
	writer.signal(unix.SIGTERM)
	_ = writer.cmd.Wait() // its status depends on whether a line is waiting in the segment
	// If nobody took the last line, both objects stay for the next process.
	last := start(t, gshm, "demo", "reader")
	awaitSet(t)
	waiters(t, theSet(t), 1)
	last.signal(unix.SIGTERM)
	last.ends(0)
}

// mortal prepares half of a demo, which is killed at the latest when this thread ends.
func mortal(t *testing.T, gshm, half string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(gshm, "demo", half)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	return cmd
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	check(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
}
