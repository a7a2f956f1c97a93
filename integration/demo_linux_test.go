package integration_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// TestDemo runs the demo and its halves as a user does. Each case has its own
// namespace, where nothing may be left at the end.
func TestDemo(t *testing.T) {
	t.Parallel()
	gshm := filepath.Join(install(t, "gshm"), "gshm")
	for name, test := range map[string]func(*testing.T, string){
		"shows all":                     testShowsAll,
		"classic shows all":             testClassicShowsAll,
		"is interrupted":                testInterrupted,
		"an actor is killed":            testActorKilled,
		"the demo is killed":            testDemoKilled,
		"its output is closed":          testOutputClosed,
		"the reader's output is closed": testReaderClosed,
		"outsiders":                     testOutsiders,
		"writers at full speed":         testFullSpeed,
		"long lines":                    testLongLines,
		"odd lines":                     testOddLines,
		"end":                           testEnd,
		"writer first":                  testWriterFirst,
		"readers come and go":           testReadersComeAndGo,
		"reader killed":                 testReaderKilled,
		"writer killed":                 testWriterKilled,
		"second reader":                 testSecondReader,
		"foreign objects":               testForeignObjects,
		"foreign users":                 testForeignUsers,
		"nobody reads":                  testNobodyReads,
		"objects are removed":           testObjectsRemoved,
		"many sessions":                 testManySessions,
		"classic: what Go writes C reads": func(t *testing.T, gshm string) {
			testClassicPair(t, []string{gshm, "demo", "writer", "--classic"}, cReader(t, "0"))
		},
		"classic: what C writes Go reads": func(t *testing.T, gshm string) {
			testClassicPair(t, cWriter(t, "0"), []string{gshm, "demo", "reader", "--classic"})
		},
		"classic: what Go writes Go reads": func(t *testing.T, gshm string) {
			testClassicPair(t, []string{gshm, "demo", "writer", "--classic"}, []string{gshm, "demo", "reader", "--classic"})
		},
		"classic: what C writes C reads": func(t *testing.T, _ string) { testClassicPair(t, cWriter(t, "0"), cReader(t, "0")) },
		"classic: Go to C, undo": func(t *testing.T, gshm string) {
			testClassicPair(t, []string{gshm, "demo", "writer", "--classic"}, cReader(t, "SEM_UNDO"))
		},
		"classic: C to Go, undo": func(t *testing.T, gshm string) {
			testClassicPair(t, cWriter(t, "SEM_UNDO"), []string{gshm, "demo", "reader", "--classic"})
		},
		"classic: Go to C as printed": func(t *testing.T, gshm string) {
			testClassicPair(t, []string{gshm, "demo", "writer", "--classic"}, printedReader(t, "0"))
		},
		"classic: C as printed to Go": func(t *testing.T, gshm string) {
			testClassicPair(t, printedWriter(t, "0"), []string{gshm, "demo", "reader", "--classic"})
		},
		"classic: lines that cannot be passed": testClassicRefuses,
		"classic: interrupted":                 testClassicInterrupted,
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			test(t, gshm)
		})
	}
}

// A program is a process under test.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	pipe   *os.File
	stdout *bufio.Reader
	stderr bytes.Buffer
}

// start starts a program in its own process group.
func start(t *testing.T, argv ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(argv[0], argv[1:]...)}
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stderr = &p.stderr
	stdin, err := p.cmd.StdinPipe()
	check(t, err)
	reading, writing, err := os.Pipe()
	check(t, err)
	p.stdin, p.pipe, p.stdout, p.cmd.Stdout = stdin, reading, bufio.NewReader(reading), writing
	check(t, p.cmd.Start())
	writing.Close()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended, unless the test failed
		reading.Close()
	})
	check(t, reading.SetReadDeadline(time.Now().Add(patience)))
	return p
}

// stopReading closes the pipe that the program writes to, for all processes.
func (p *program) stopReading() {
	p.t.Helper()
	writing, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", p.pipe.Fd()), os.O_WRONLY, 0)
	check(p.t, err)
	check(p.t, p.pipe.Close())
	ipctest.AwaitNoReader(p.t, writing)
	check(p.t, writing.Close())
}

// tell writes a line to the program.
func (p *program) tell(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// feed writes text to the program in the background, and closes its input.
func (p *program) feed(text string) {
	go func() {
		_, _ = io.WriteString(p.stdin, text) // the program may end first
		_ = p.stdin.Close()
	}()
}

// line returns the next line that the program prints.
func (p *program) line() string {
	p.t.Helper()
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.t.Fatalf("%v after %q; stderr: %s", err, line, &p.stderr)
	}
	return strings.TrimSuffix(line, "\n")
}

// hear waits for a line that matches pattern.
func (p *program) hear(pattern string) []string {
	p.t.Helper()
	for re := regexp.MustCompile(pattern); ; {
		if found := re.FindStringSubmatch(p.line()); found != nil {
			return found
		}
	}
}

func (p *program) signal(s syscall.Signal) {
	p.t.Helper()
	check(p.t, p.cmd.Process.Signal(s))
}

// ends waits for the end of the program and returns the rest of its output.
func (p *program) ends(status int) string {
	p.t.Helper()
	rest, err := io.ReadAll(p.stdout)
	if err != nil {
		_ = p.cmd.Process.Kill()
	}
	_ = p.cmd.Wait() // its status is checked below
	if err != nil {
		p.t.Fatalf("%v; it printed %q", err, rest)
	}
	if got := exitCode(p.cmd.ProcessState); got != status {
		p.t.Errorf("%s: exit status %d, want %d; stderr: %s", strings.Join(p.cmd.Args[1:], " "), got, status, &p.stderr)
	}
	return string(rest)
}

// exitCode returns a shell's exit code: 128 plus the signal for a killed process.
func exitCode(s *os.ProcessState) int {
	if ws := s.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.ExitCode()
}

// says checks the program's standard error.
func (p *program) says(pattern string) {
	p.t.Helper()
	if !regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString(p.stderr.String()) {
		p.t.Errorf("%s: stderr %q, want %s", strings.Join(p.cmd.Args[1:], " "), &p.stderr, pattern)
	}
}

func killed(s syscall.Signal) int { return 128 + int(s) }

// wrote returns what a reader prints for lines.
func wrote(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString("You wrote: " + line + "\n")
	}
	return b.String()
}

// theSet and theSegment return the only set and segment in the namespace.
func theSet(t *testing.T) sysv.Set {
	t.Helper()
	return sysv.Set(only(t, collect(t, sysv.Sets())).ID)
}

func theSegment(t *testing.T) sysv.Segment {
	t.Helper()
	return sysv.Segment(only(t, collect(t, sysv.Segments())).ID)
}

// awaitSet and awaitSegment wait until the namespace has a set or a segment.
func awaitSet(t *testing.T) {
	t.Helper()
	if err := eventually(func() bool { return len(collect(t, sysv.Sets())) == 1 }); err != nil {
		t.Fatal("no semaphore set: ", err)
	}
}

func awaitSegment(t *testing.T) {
	t.Helper()
	if err := eventually(func() bool { return len(collect(t, sysv.Segments())) == 1 }); err != nil {
		t.Fatal("no segment: ", err)
	}
}

// waiters waits until n processes wait for an increase of the set's semaphores.
func waiters(t *testing.T, set sysv.Set, n int) {
	t.Helper()
	info, err := set.Stat()
	check(t, err)
	err = eventually(func() bool {
		sum := 0
		for num := range info.NSems {
			count, err := set.NCount(num)
			check(t, err)
			sum += count
		}
		return sum == n
	})
	if err != nil {
		t.Fatalf("want %d waiters: %v", n, err)
	}
}

func testShowsAll(t *testing.T, gshm string) {
	p := start(t, gshm, "demo", "--pause", "0s")
	got := p.ends(0)
	p.says("")
	want := `^demo +segment (\d+) with key (0x[0-9a-f]{8}) and semaphore set (\d+) with key 0x[0-9a-f]{8}
(writer \d+) +hello from one process to another
(reader \d+) +You wrote: hello from one process to another
listing +key +shmid +owner +perms +bytes +nattch +status
listing +0x[0-9a-f]{8} +\d+ +` + strconv.Itoa(os.Getuid()) + ` +600 +4096 +3 +
attached +writer \d+ at [0-9a-f]+-[0-9a-f]+ rw-s
attached +reader \d+ at [0-9a-f]+-[0-9a-f]+ rw-s
attached +demo \d+ at [0-9a-f]+-[0-9a-f]+ rw-s
(?:writer \d+ +(?:\S.*)
reader \d+ +You wrote: (?:\S.*)
){3}writer \d+ +end
reader \d+ +You wrote: end
demo +segment \d+ and semaphore set \d+ are removed; nothing is left behind
$`
	if !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("it printed\n%s\nwant\n%s", got, want)
	}
}

func testClassicShowsAll(t *testing.T, gshm string) {
	p := start(t, gshm, "demo", "--classic", "--pause", "0s")
	p.hear(`with key 0x000004d2 and .* with key 0x00001a0a$`)
	p.hear(`^reader \d+ +Memory attached at 0x`)
	p.hear(`^writer \d+ +Memory attached at 0x`)
	for _, line := range []string{`hello .*`, `nothing .*`, `this .*`, `a semaphore .*`, `end`} {
		p.hear(`^writer \d+ +` + line + `$`)
		p.hear(`^reader \d+ +You wrote: ` + line + `$`)
	}
	p.hear("nothing is left behind$")
	p.ends(0)
	p.says("")
}

// startDemo starts an endless demo and returns its reader and writer.
func startDemo(t *testing.T, gshm string, args ...string) (p *program, reader, writer int) {
	t.Helper()
	p = start(t, append([]string{gshm, "demo", "--pause", "1h"}, args...)...)
	writer, _ = strconv.Atoi(p.hear(`^attached +writer (\d+) at`)[1])
	reader, _ = strconv.Atoi(p.hear(`^attached +reader (\d+) at`)[1])
	p.hear(`^attached +demo`)
	return p, reader, writer
}

func testInterrupted(t *testing.T, gshm string) {
	for _, args := range [][]string{nil, {"--classic"}} {
		for _, s := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
			p, reader, writer := startDemo(t, gshm, args...)
			p.signal(s)
			p.ends(0)
			p.says("")
			wantGone(t, reader, writer)
		}
		// Ctrl-C signals the whole process group.
		p, reader, writer := startDemo(t, gshm, args...)
		check(t, unix.Kill(-p.cmd.Process.Pid, unix.SIGINT))
		p.ends(0)
		p.says("")
		wantGone(t, reader, writer)
		if left := objects(t.Fatal); left != nil {
			t.Errorf("left by %q: %s", args, left)
		}
	}
}

// wantGone checks that processes have ended and were reaped.
func wantGone(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := unix.Kill(pid, 0); err != unix.ESRCH {
			t.Errorf("process %d is still there: %v", pid, err)
		}
	}
}

func testActorKilled(t *testing.T, gshm string) {
	for _, args := range [][]string{nil, {"--classic"}} {
		p, reader, writer := startDemo(t, gshm, args...)
		check(t, unix.Kill(writer, unix.SIGKILL))
		p.ends(1)
		p.says(`gshm: the demo ended too early; writer \d+: signal: killed\n`)
		wantGone(t, reader, writer)

		p, reader, writer = startDemo(t, gshm, args...)
		check(t, unix.Kill(reader, unix.SIGKILL))
		p.ends(1)
		// If the reader was killed before it was done with the line it printed, the
		// writer reports that the line waits.
		p.says(`(?:\(.*\)\n)*gshm: the demo ended too early; reader \d+: signal: killed\n`)
		wantGone(t, reader, writer)
		if left := objects(t.Fatal); left != nil {
			t.Errorf("left by %q: %s", args, left)
		}
	}
}

func testDemoKilled(t *testing.T, gshm string) {
	for range 5 {
		p, _, _ := startDemo(t, gshm)
		p.signal(unix.SIGKILL)
		p.ends(killed(unix.SIGKILL))
		// The halves notice, and the last one to leave removes the objects.
		if err := eventually(func() bool { return objects(t.Fatal) == nil }); err != nil {
			t.Fatalf("left behind: %v", objects(t.Fatal))
		}
		p.says("")
	}
}

func testOutputClosed(t *testing.T, gshm string) {
	p := start(t, gshm, "demo", "--pause", "10ms")
	p.line()
	p.stopReading()
	_ = p.cmd.Wait() // its status is checked below
	if got := exitCode(p.cmd.ProcessState); got != killed(unix.SIGPIPE) {
		t.Errorf("exit status %d, want the status for a broken pipe", got)
	}
	p.says("")
	if err := eventually(func() bool { return objects(t.Fatal) == nil }); err != nil {
		t.Fatalf("left behind: %v", objects(t.Fatal))
	}
}

// testReaderClosed closes the reader's output: the reader leaves, and the next one gets
// the line. Such a reader may also be the last to leave.
func testReaderClosed(t *testing.T, gshm string) {
	writer := start(t, gshm, "demo", "writer")
	deaf := start(t, gshm, "demo", "reader")
	writer.tell("one")
	deaf.line()
	deaf.stopReading()
	writer.tell("two")
	_ = deaf.cmd.Wait() // its status is checked below
	want(t, "status", exitCode(deaf.cmd.ProcessState), killed(unix.SIGPIPE))
	deaf.says("")
	reader := start(t, gshm, "demo", "reader")
	want(t, "line", reader.line()+"\n", wrote("two"))
	writer.signal(unix.SIGTERM)
	writer.ends(0)
	waiters(t, theSet(t), 1)
	reader.signal(unix.SIGTERM)
	reader.ends(0)

	writer = start(t, gshm, "demo", "writer")
	deaf = start(t, gshm, "demo", "reader")
	deaf.stopReading()
	writer.feed("one\n")
	_ = deaf.cmd.Wait() // its status is checked below
	want(t, "status", exitCode(deaf.cmd.ProcessState), killed(unix.SIGPIPE))
	writer.signal(unix.SIGTERM)
	writer.ends(0)
}

// testOutsiders lets another writer write more than the demo expects.
func testOutsiders(t *testing.T, gshm string) {
	p, _, _ := startDemo(t, gshm, "--key", "5", "--sem-key", "6")
	outsider := start(t, gshm, "demo", "writer", "--key", "5", "--sem-key", "6")
	outsider.feed(strings.Repeat("a word from outside\n", 20))
	outsider.ends(0)
	p.signal(unix.SIGINT)
	p.ends(0)
}

// testFullSpeed has several writers that write as fast as they can.
func testFullSpeed(t *testing.T, gshm string) {
	const writers, lines = 4, 3000
	reader := start(t, gshm, "demo", "reader")
	var all []*program
	for w := range writers {
		var text strings.Builder
		for n := range lines {
			fmt.Fprintf(&text, "writer %d line %d\n", w, n)
		}
		p := start(t, gshm, "demo", "writer")
		p.feed(text.String())
		all = append(all, p)
	}
	var next [writers]int
	for range writers * lines {
		var w, n int
		line := reader.line()
		if _, err := fmt.Sscanf(line, "You wrote: writer %d line %d", &w, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if n != next[w] {
			t.Fatalf("line %d of writer %d, want line %d", n, w, next[w])
		}
		next[w]++
	}
	for _, p := range all {
		p.ends(0)
	}
	last := start(t, gshm, "demo", "writer")
	last.tell("end")
	last.ends(0)
	want(t, "the rest", reader.ends(0), wrote("end"))
	reader.says("")
}

// testLongLines passes lines much longer than the segment.
func testLongLines(t *testing.T, gshm string) {
	const writers, lines = 3, 3
	long := func(w, n int) string { return strings.Repeat(string(rune('a'+w*lines+n)), 1<<20) }
	reader := start(t, gshm, "demo", "reader")
	var all []*program
	for w := range writers {
		var text strings.Builder
		for n := range lines {
			text.WriteString(long(w, n) + "\n")
		}
		p := start(t, gshm, "demo", "writer")
		p.feed(text.String())
		all = append(all, p)
	}
	var got, expected []string
	for i := range writers * lines {
		got = append(got, strings.TrimPrefix(reader.line(), "You wrote: "))
		expected = append(expected, long(i/lines, i%lines))
	}
	for _, p := range all {
		p.ends(0)
	}
	reader.signal(unix.SIGINT)
	reader.ends(0)
	slices.Sort(got)
	if !slices.Equal(got, expected) {
		t.Error("lines came mixed or incomplete")
	}

	// A segment with room for one byte.
	reader = start(t, gshm, "demo", "reader", "--size", "65")
	text := strings.Repeat("one byte at a time ", 30)
	writer := start(t, gshm, "demo", "writer", "--size", "65")
	writer.feed(text + "\nend\n")
	writer.ends(0)
	want(t, "byte by byte", reader.ends(0), wrote(text, "end"))
}

// testOddLines passes empty lines, control characters and a last line without newline.
func testOddLines(t *testing.T, gshm string) {
	reader := start(t, gshm, "demo", "reader")
	writer := start(t, gshm, "demo", "writer")
	full := strings.Repeat("x", 4096-64)
	writer.feed("\n" + full + "\n" + full + "y\n\x1b[31m\a\x00\xff\tb\\n\nendless\nthe end\n end\nlast")
	writer.ends(0)
	reader.signal(unix.SIGINT)
	want(t, "lines", reader.ends(0), wrote("", full, full+"y", `\x1b[31m\x07\x00\xff\tb\n`, "endless", "the end", " end", "last"))
	reader.says("")
}

// testEnd feeds "end" to a writer. The writer ends, and the reader ends after it has
// printed all lines before.
func testEnd(t *testing.T, gshm string) {
	reader := start(t, gshm, "demo", "reader")
	writer := start(t, gshm, "demo", "writer")
	writer.tell("first")
	want(t, "line", reader.line()+"\n", wrote("first"))
	other := start(t, gshm, "demo", "writer")
	other.tell("second")
	want(t, "line", reader.line()+"\n", wrote("second"))
	writer.feed("third\nend\nnever\n")
	writer.ends(0)
	want(t, "the rest", reader.ends(0), wrote("third", "end"))
	other.stdin.Close() // it was idle; now it is the last to leave
	other.ends(0)
}

// testWriterFirst: writers wait for a reader, which then gets everything.
func testWriterFirst(t *testing.T, gshm string) {
	writer := start(t, gshm, "demo", "writer")
	writer.tell("one")
	writer.tell("two") // waits for room, holding the writer semaphore
	awaitSet(t)
	waiters(t, theSet(t), 1)
	long := start(t, gshm, "demo", "writer")
	long.feed(strings.Repeat("x", 10000) + "\n")
	waiters(t, theSet(t), 2)
	reader := start(t, gshm, "demo", "reader")
	want(t, "line", reader.line()+"\n", wrote("one"))
	want(t, "line", reader.line()+"\n", wrote("two"))
	want(t, "line", reader.line()+"\n", wrote(strings.Repeat("x", 10000)))
	long.ends(0)
	writer.tell("end")
	writer.ends(0)
	reader.ends(0)
	writer.says(`\(no reader yet; the line waits for one\)\n`)
}

// testReadersComeAndGo interrupts the reader repeatedly, also within long lines, and
// starts another.
func testReadersComeAndGo(t *testing.T, gshm string) {
	comeAndGo(t, gshm, 20000, 100, "")
	comeAndGo(t, gshm, 200, 3, strings.Repeat(".", 50000))
}

// comeAndGo lets eight readers print at least each lines, and the last one the rest.
// Each line comes once, in order.
func comeAndGo(t *testing.T, gshm string, lines, each int, tail string) {
	t.Helper()
	writer := start(t, gshm, "demo", "writer")
	var text strings.Builder
	for n := range lines {
		fmt.Fprintf(&text, "%d%s\n", n, tail)
	}
	writer.feed(text.String())
	next := 0
	expect := func(line string) {
		t.Helper()
		if line != wrote(strconv.Itoa(next)+tail) {
			t.Fatalf("%.40q..., want line %d", line, next)
		}
		next++
	}
	const readers = 8
	for range readers - 1 {
		reader := start(t, gshm, "demo", "reader")
		for range each {
			expect(reader.line() + "\n")
		}
		reader.signal(unix.SIGINT)
		for line := range strings.Lines(reader.ends(0)) {
			expect(line)
		}
	}
	reader := start(t, gshm, "demo", "reader")
	for next < lines {
		expect(reader.line() + "\n")
	}
	writer.ends(0)
	reader.signal(unix.SIGINT)
	want(t, "the rest", reader.ends(0), "")
}

// testReaderKilled kills the reader: the next one gets everything that it had not
// finished, with at most one line twice.
func testReaderKilled(t *testing.T, gshm string) {
	const lines, readers = 3000, 6
	writer := start(t, gshm, "demo", "writer")
	var printed strings.Builder
	for i := range readers {
		var text strings.Builder
		for n := range lines / readers {
			fmt.Fprintln(&text, i*lines/readers+n)
		}
		if i == readers-1 { // until then, no reader ends by itself
			text.WriteString("end\n")
		}
		_, err := io.WriteString(writer.stdin, text.String())
		check(t, err)
		reader := start(t, gshm, "demo", "reader")
		for range 50 {
			printed.WriteString(reader.line() + "\n")
		}
		if i < readers-1 {
			reader.signal(unix.SIGKILL)
			printed.WriteString(reader.ends(killed(unix.SIGKILL)))
		} else {
			printed.WriteString(reader.ends(0))
		}
	}
	writer.ends(0)

	next, twice := 0, 0
	for line := range strings.Lines(printed.String()) {
		text := strings.TrimSuffix(strings.TrimPrefix(line, "You wrote: "), "\n")
		n, err := strconv.Atoi(text)
		switch {
		case text == "end":
			n = lines
		case err != nil:
			t.Fatalf("%q: %v", line, err)
		}
		if n == next-1 {
			twice++
			continue
		}
		want(t, "line", n, next)
		next++
	}
	want(t, "lines", next, lines+1)
	if twice > readers-1 {
		t.Errorf("%d lines came twice, but only %d readers were killed", twice, readers-1)
	}
}

// testWriterKilled kills writers in the middle of a line, while they wait, and with a
// line in the segment.
func testWriterKilled(t *testing.T, gshm string) {
	start := func(half string) *program { return start(t, gshm, "demo", half) }
	keeper := start("writer") // keeps the session alive
	keeper.tell("kept")
	if err := eventually(func() bool {
		sets := collect(t, sysv.Sets())
		if len(sets) != 1 {
			return false
		}
		full, err := sysv.Set(sets[0].ID).Value(1)
		return err == nil && full == 1
	}); err != nil {
		t.Fatal(err)
	}
	waiting := start("writer")
	waiting.tell("never written")
	waiters(t, theSet(t), 1)
	waiting.signal(unix.SIGKILL)
	waiting.ends(killed(unix.SIGKILL))

	reader := start("reader")
	want(t, "line", reader.line()+"\n", wrote("kept"))
	waiters(t, theSet(t), 1)
	reader.signal(unix.SIGINT)
	reader.ends(0)

	cut := start("writer") // reaches its second chunk
	cut.tell(strings.Repeat("x", 10000))
	waiters(t, theSet(t), 1)
	cut.signal(unix.SIGKILL)
	cut.ends(killed(unix.SIGKILL))

	keeper.tell("whole")
	reader = start("reader")
	want(t, "line", reader.line()+"\n", wrote("whole"))
	keeper.tell("end")
	keeper.ends(0)
	want(t, "the rest", reader.ends(0), wrote("end"))
}

func testSecondReader(t *testing.T, gshm string) {
	first := start(t, gshm, "demo", "reader")
	writer := start(t, gshm, "demo", "writer")
	writer.tell("hello")
	first.line()
	second := start(t, gshm, "demo", "reader")
	want(t, "output", second.ends(1), "")
	second.says(fmt.Sprintf(`gshm: this session already has a reader \(pid %d\)\n`, first.cmd.Process.Pid))
	writer.tell("end")
	writer.ends(0)
	want(t, "the rest", first.ends(0), wrote("end"))
}

// testForeignObjects puts foreign objects under the demo's keys. They must be rejected and
// stay unchanged.
func testForeignObjects(t *testing.T, gshm string) {
	const key, semKey = 0x4753484d, 0x4753454d
	segment := func(size int64, contents string) func() {
		return func() {
			s, err := sysv.CreateSegment(key, size, nil)
			check(t, err)
			mem, err := s.Attach(nil)
			check(t, err)
			_, err = mem.WriteAt([]byte(contents), 0)
			check(t, err)
			check(t, mem.Detach())
		}
	}
	set := func(values ...uint16) func() {
		return func() {
			_, err := sysv.CreateSetWith(semKey, values, nil)
			check(t, err)
		}
	}
	tests := []struct {
		name   string
		create func()
		says   string
	}{
		{"empty segment", segment(4096, ""), `gshm: the segment with key 0x4753484d is not one of the demo; choose another key with --key\n`},
		{"small segment", segment(1, "x"), `gshm: the segment with key 0x4753484d is not one of the demo; choose another key with --key\n`},
		{"segment in use by somebody else", segment(4096, "data"), `gshm: the segment with key 0x4753484d is not one of the demo; choose another key with --key\n`},
		{"segment that looks like one of the demo", segment(4096, "gsdemo01"), `gshm: the segment with key 0x4753484d is not one of the demo; choose another key with --key\n`},
		{"set of one", set(1), `gshm: semaphore set with key 0x4753454d \(id \d+\) has 1 semaphores, not the 7 asked for\n`},
		{"set of eight", set(1, 2, 3, 4, 5, 6, 7, 8), `gshm: semaphore set with key 0x4753454d \(id \d+\) has 8 semaphores, not the 7 asked for\n`},
		{"set of as many", set(1, 0, 1, 1, 1, 0, 0), `gshm: the semaphore set with key 0x4753454d is not one of the demo; choose another key with --sem-key\n`},
	}
	for _, test := range tests {
		test.create()
		before := objects(t.Fatal)
		for _, half := range []string{"reader", "writer"} {
			p := start(t, gshm, "demo", half)
			want(t, test.name, p.ends(1), "")
			p.says(test.says)
		}
		if after := objects(t.Fatal); !slices.Equal(before, after) {
			t.Errorf("%s: before\n%s\nafter\n%s", test.name, before, after)
		}
		removeAll(t)
	}
}

// removeAll removes all objects of the namespace.
func removeAll(t *testing.T) {
	t.Helper()
	removeSystemV(t)
	for _, i := range collect(t, posix.Objects()) {
		check(t, posix.UnlinkObject(i.Name))
	}
}

// testForeignUsers tries to join another user's session, which is refused even to root.
func testForeignUsers(t *testing.T, gshm string) {
	if !severalUsers() {
		t.Skip("takes two users")
	}
	asNobody := []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--", gshm, "demo"}
	other := start(t, append(asNobody, "writer")...)
	other.tell("hello")
	awaitSegment(t)
	reader := start(t, gshm, "demo", "reader")
	reader.ends(1)
	reader.says(`gshm: the semaphore set with key 0x4753454d was made by uid 65534, you are uid 0; choose another key with --sem-key\n`)
	other.signal(unix.SIGINT)
	other.ends(0)
	other.says(`\(no reader yet; the line waits for one\)\n\(interrupted; the last line was not read\)\n`)

	own := start(t, gshm, "demo", "reader")
	awaitSegment(t)
	other = start(t, append(asNobody, "writer")...)
	other.ends(1)
	other.says(`gshm: permission denied: semaphore set \d+ belongs to uid 0, its mode is 0600, you are uid 65534\n`)
	own.signal(unix.SIGTERM)
	own.ends(0)
}

// testNobodyReads interrupts a writer whose lines wait for a reader, at each place
// where it can wait.
func testNobodyReads(t *testing.T, gshm string) {
	for name, text := range map[string]string{"between two lines": "a\nb\n", "in a line": strings.Repeat("x", 10000) + "\n", "at the end": "a\nend\n"} {
		writer := start(t, gshm, "demo", "writer")
		if _, err := io.WriteString(writer.stdin, text); err != nil {
			t.Fatal(err)
		}
		awaitSet(t)
		waiters(t, theSet(t), 1)
		writer.signal(unix.SIGINT)
		writer.ends(0)
		if !strings.HasSuffix(writer.stderr.String(), "(interrupted; the last line was not read)\n") {
			t.Errorf("%s: it says %q", name, &writer.stderr)
		}
		if left := objects(t.Fatal); left != nil {
			t.Errorf("%s: left behind: %s", name, left)
		}
	}
}

// testObjectsRemoved removes the objects while the halves use them.
func testObjectsRemoved(t *testing.T, gshm string) {
	// When the set is removed, processes that wait on it end, and the last one removes the
	// segment.
	reader := start(t, gshm, "demo", "reader")
	awaitSet(t)
	waiters(t, theSet(t), 1)
	writer := start(t, gshm, "demo", "writer")
	writer.tell("hello")
	reader.line()
	waiters(t, theSet(t), 1)
	const semWriter = 2 // 1 again when the writer is done with its line
	if err := eventually(func() bool { v, err := theSet(t).Value(semWriter); return err == nil && v == 1 }); err != nil {
		t.Fatal(err)
	}
	check(t, theSet(t).Remove())
	reader.ends(1)
	reader.says(`gshm: semaphore set \d+ was removed meanwhile\n`)
	writer.tell("to whom?")
	writer.ends(1)
	writer.says(`gshm: there is no semaphore set \d+\n`)
	if left := objects(t.Fatal); left != nil {
		t.Fatalf("left behind: %s", left)
	}

	// When the segment is removed, its users continue, and a new process reports it.
	reader = start(t, gshm, "demo", "reader")
	writer = start(t, gshm, "demo", "writer")
	writer.tell("hello")
	reader.line()
	check(t, theSegment(t).Remove())
	late := start(t, gshm, "demo", "writer")
	late.ends(1)
	late.says(`gshm: the segment with key 0x4753484d was removed, but the semaphore set with key 0x4753454d was not; remove it too\n`)
	writer.tell("end")
	writer.ends(0)
	want(t, "the rest", reader.ends(0), wrote("end"))
}

// testManySessions: writers and readers come and go at the same time under the same
// keys. None may hang, fail or leave anything behind.
func testManySessions(t *testing.T, gshm string) {
	const rounds = 25
	for range rounds {
		var all []*program
		for range 3 {
			p := start(t, gshm, "demo", "writer")
			p.stdin.Close() // it enters and leaves
			all = append(all, p)
		}
		for _, p := range all {
			p.ends(0)
			p.says("")
		}
		if left := objects(t.Fatal); left != nil {
			t.Fatalf("left behind: %s", left)
		}
	}
}
