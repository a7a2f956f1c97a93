package examples_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sysvipc/gipc/examples/internal/spool"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) { ipctest.MainPOSIX(m) }

// timeout is how long a program may take.
const timeout = time.Minute

// TestExamples runs every program as its comment describes. It builds all of them once.
func TestExamples(t *testing.T) {
	bin := build(t)
	t.Run("logger", func(t *testing.T) { testLogger(t, bin) })
	t.Run("strategies", func(t *testing.T) { testStrategies(t, bin) })
	t.Run("anonymous", func(t *testing.T) { testAnonymous(t, bin) })
	t.Run("mapfile", func(t *testing.T) { testMapfile(t, bin) })
	t.Run("memmap", func(t *testing.T) { testMemmap(t, bin) })
	t.Run("sysv", func(t *testing.T) { testSysv(t, bin) })
	t.Run("parentchild", func(t *testing.T) { testParentChild(t, bin) })
	t.Run("handover", func(t *testing.T) { testHandover(t, bin) })
	t.Run("race", func(t *testing.T) { testRace(t, bin) })
	t.Run("limiter", func(t *testing.T) { testLimiter(t, bin) })
	t.Run("meet", func(t *testing.T) { testMeet(t, bin) })
	t.Run("prices", func(t *testing.T) { testPrices(t, bin) })
	t.Run("frames", func(t *testing.T) { testFrames(t, bin) })
	t.Run("settings", func(t *testing.T) { testSettings(t, bin) })
	t.Run("monitor", func(t *testing.T) { testMonitor(t, bin) })
	t.Run("sensors", func(t *testing.T) { testSensors(t, bin) })
	t.Run("languages", func(t *testing.T) { testLanguages(t, bin) })
	t.Run("jobs", func(t *testing.T) { testJobs(t, bin) })
}

// programs is the directory of the built examples.
type programs string

func (p programs) path(name string) string { return filepath.Join(string(p), name) }

func build(t *testing.T) programs {
	t.Helper()
	ipctest.SkipUnderQEMU(t, "the go command makes programs of this machine")
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+"/", "./...").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return programs(dir)
}

// A result is the outcome of a program.
type result struct {
	stdout, stderr string
	pid            int
	err            error
}

func try(stdin, program string, args ...string) result {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	r := result{stdout: stdout.String(), stderr: stderr.String(), err: err}
	if cmd.Process != nil {
		r.pid = cmd.Process.Pid
	}
	return r
}

// run runs a program that must succeed.
func run(t *testing.T, stdin, program string, args ...string) result {
	t.Helper()
	r := try(stdin, program, args...)
	if r.err != nil {
		t.Fatalf("%s %q: %v; standard error: %s", filepath.Base(program), args, r.err, r.stderr)
	}
	return r
}

// refuses checks that a program fails and that its message contains why.
func refuses(t *testing.T, why, program string, args ...string) {
	t.Helper()
	if r := try("", program, args...); r.err == nil || !strings.Contains(r.stderr, why) {
		t.Errorf("%s %q: got error %v and %q, want one that says %q", filepath.Base(program), args, r.err, r.stderr, why)
	}
}

func wantOutput(t *testing.T, r result, want string) {
	t.Helper()
	if r.stdout != want {
		t.Errorf("got %q, want %q", r.stdout, want)
	}
}

// interrupt sends Ctrl-C and checks that the program ends without an error.
func interrupt(t *testing.T, p *ipctest.Process) {
	t.Helper()
	if err := syscall.Kill(p.PID(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	p.Wait()
}

// wantNothingLeft checks that /dev/shm is empty.
func wantNothingLeft(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir("/dev/shm")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Errorf("left behind: %s", entry.Name())
		os.Remove(filepath.Join("/dev/shm", entry.Name()))
	}
}

// peers are the C programs for the other side, from testdata or from the text of the
// documents.
type peers struct{ printed bool }

// withPeers runs a test with both sets of peers.
func withPeers(t *testing.T, test func(*testing.T, peers)) {
	t.Run("ours", func(t *testing.T) { test(t, peers{}) })
	t.Run("as printed", func(t *testing.T) { test(t, peers{printed: true}) })
}

// compile compiles a program. The definitions (name, value, ...) replace macros of the
// program.
func (p peers) compile(t *testing.T, name string, definitions ...string) string {
	t.Helper()
	if p.printed {
		return compilePrinted(t, name, definitions)
	}
	flags := []string{"-pthread", "-lrt"}
	for i := 0; i < len(definitions); i += 2 {
		flags = append(flags, fmt.Sprintf("-D%s=%q", definitions[i], definitions[i+1]))
	}
	return ipctest.Compile(t, filepath.Join("testdata", name+".c"), flags...)
}

// A printing specifies where a document contains a program, and what must be added to
// compile it.
type printing struct {
	before            string
	first, mark, last string
	replace           []string // old, new, ...; @NAME@ stands for a macro of our programs
}

func printings() map[string]printing {
	const includes = `#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
using namespace std;
`
	const number = "#define PATH_NAME \"@NUMBER@\"\n"
	const names = "#define SHM_NAME \"/memmap\"\n#define SHM_NAME_SEM \"/memmap_sem\"\n"
	return map[string]printing{
		"client":          {first: "/*", mark: "client.c: Write strings", last: "```"},
		"logger":          {first: "/*", mark: "logger.c: Write strings", last: "```", replace: []string{"/tmp/example.log", "@LOG@"}},
		"anonymous":       {before: includes, first: "int main", mark: "MAP_ANON, 0, 0", last: "}"},
		"mapfile_send":    {before: includes + number, first: "int main", mark: `" send:"<<*memPtr`, last: "}"},
		"mapfile_receive": {before: includes + number, first: "int main", mark: `" receive:"<<*memPtr`, last: "}"},
		"memmap_send":     {before: includes, first: "#define SHM_NAME ", mark: `" send:"<<memPtr`, last: "}"},
		"memmap_recv":     {before: includes + names, first: "int main", mark: `" recv:"<<memPtr`, last: "}"},
		"race_sender":     {first: "#include <stdio.h>", mark: `printf("input: ")`, last: "}"},
		// Without a flush, the receiver's output would stay in its buffer.
		"race_receiver": {first: "#include <stdio.h>", mark: `printf("%s ", p)`, last: "}", replace: []string{"sleep(1)", "fflush(stdout); sleep(1)"}},
	}
}

func compilePrinted(t *testing.T, name string, definitions []string) string {
	t.Helper()
	p := printings()[name]
	text := p.before + ipctest.Document(t, p.first, p.mark, p.last)
	text = strings.NewReplacer(p.replace...).Replace(text)
	for i := 0; i < len(definitions); i += 2 {
		text = strings.ReplaceAll(text, "@"+definitions[i]+"@", definitions[i+1])
	}
	language := ".c"
	if p.before != "" {
		language = ".cc"
	}
	source := filepath.Join(t.TempDir(), name+language)
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// The documents' programs cause warnings.
	return ipctest.Compile(t, source, "-w", "-pthread", "-lrt", "-lstdc++")
}

func testLogger(t *testing.T, bin programs) {
	t.Run("Go client", func(t *testing.T) { testLoggerServes(t, bin, bin.path("client")) })
	withPeers(t, func(t *testing.T, c peers) {
		t.Run("C client", func(t *testing.T) { testLoggerServes(t, bin, c.compile(t, "client")) })
		t.Run("C logger", func(t *testing.T) { testClientFeedsC(t, bin, c) })
	})
	t.Run("many clients", func(t *testing.T) { testManyClients(t, bin) })
	t.Run("refusals", func(t *testing.T) { testLoggerRefuses(t, bin) })
	t.Run("client interrupted", func(t *testing.T) { testClientInterrupted(t, bin) })
	t.Run("damage", func(t *testing.T) { testDamage(t, bin) })
}

// startLogger starts the Go logger and waits until it is ready.
func startLogger(t *testing.T, bin programs, log string) *ipctest.Process {
	t.Helper()
	p := ipctest.Run(t, bin.path("logger"), "-log", log)
	if got, want := p.Line(), "logging to "+log; got != want {
		t.Fatalf("the logger says %q, want %q", got, want)
	}
	return p
}

// messages returns more messages than there are slots, the last one of maximum length.
func messages() []string {
	var m []string
	for i := range 2*spool.Slots + 5 {
		m = append(m, fmt.Sprintf("message %d", i))
	}
	return append(m, "", strings.Repeat("x", 196))
}

func testLoggerServes(t *testing.T, bin programs, client string) {
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("what was there\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	logger := startLogger(t, bin, log)
	sent := messages()
	r := run(t, strings.Join(sent, "\n")+"\n", client)
	if got, want := strings.Count(r.stdout, "Please type a message: "), len(sent)+1; got != want {
		t.Errorf("the client asked %d times, want %d", got, want)
	}
	interrupt(t, logger) // it first writes the messages that wait
	wantNothingLeft(t)

	lines := logLines(t, log)
	if lines[0] != "what was there" {
		t.Errorf("the log begins with %q: not appended", lines[0])
	}
	wantMessages(t, lines[1:], r.pid, sent)
}

// testClientFeedsC checks that a C logger writes the messages of a Go client.
func testClientFeedsC(t *testing.T, bin programs, c peers) {
	log := filepath.Join(t.TempDir(), "log")
	logger := ipctest.Run(t, c.compile(t, "logger", "LOG", log))
	defer removeLogger(t)
	waitForC(t)
	sent := messages()
	r := run(t, strings.Join(sent, "\n")+"\n", bin.path("client"))
	deadline := time.Now().Add(timeout)
	for countLines(t, log) < len(sent) { // the C logger cannot confirm its writes
		if time.Now().After(deadline) {
			t.Fatalf("the C logger wrote %d lines, want %d", countLines(t, log), len(sent))
		}
		time.Sleep(time.Millisecond)
	}
	logger.Kill()
	wantMessages(t, logLines(t, log), r.pid, sent)
}

// waitForC waits until a C logger is ready: it then sets the mutex to 1.
func waitForC(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	mutex, err := posix.OpenSemaphore(spool.Mutex)
	for ; errors.Is(err, fs.ErrNotExist); mutex, err = posix.OpenSemaphore(spool.Mutex) {
		if time.Now().After(deadline) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer mutex.Close()
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	if err := errors.Join(mutex.Acquire(ctx, 1), mutex.Release(1)); err != nil {
		t.Fatal(err)
	}
}

// removeLogger removes the objects that a C logger leaves behind.
func removeLogger(t *testing.T) {
	t.Helper()
	err := posix.UnlinkObject(spool.Memory)
	for _, name := range []string{spool.Mutex, spool.Free, spool.Waiting} {
		err = errors.Join(err, posix.UnlinkSemaphore(name))
	}
	if err != nil {
		t.Error(err)
	}
}

// testManyClients checks that every line is in the log once and complete, and that each
// client's lines are in order. GIPC_TEST_MESSAGES is the number of messages per client.
func testManyClients(t *testing.T, bin programs) {
	const clients = 8
	count := 10_000
	if s := os.Getenv("GIPC_TEST_MESSAGES"); s != "" {
		var err error
		if count, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	// The log is in memory, because with O_SYNC the disk would set the pace.
	log := "/dev/shm/log"
	defer os.Remove(log)
	logger := startLogger(t, bin, log)

	var results [clients]result
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			results[c] = try(strings.Join(numbered(c, count), "\n")+"\n", bin.path("client"))
		})
	}
	wg.Wait()
	interrupt(t, logger)
	byPID := make(map[string][]string)
	for _, line := range logLines(t, log) {
		pid, _, _ := strings.Cut(line, ":")
		byPID[pid] = append(byPID[pid], line)
	}
	for c, r := range results {
		if r.err != nil {
			t.Errorf("client %d: %v: %s", c, r.err, r.stderr)
		}
		pid := strconv.Itoa(r.pid)
		wantMessages(t, byPID[pid], r.pid, numbered(c, count))
		delete(byPID, pid)
	}
	for pid, lines := range byPID {
		t.Errorf("%d lines have an unknown sender (%s), such as %q", len(lines), pid, lines[0])
	}
}

// numbered returns messages of varying length, so that a mixture of two is noticed.
func numbered(client, count int) []string {
	m := make([]string, count)
	for i := range m {
		m[i] = fmt.Sprintf("client %d message %d %s", client, i, strings.Repeat(string(rune('a'+client)), i%120))
	}
	return m
}

func testLoggerRefuses(t *testing.T, bin programs) {
	refuses(t, "is the logger running?", bin.path("client"))
	log := filepath.Join(t.TempDir(), "log")
	logger := startLogger(t, bin, log)
	refuses(t, "another logger runs", bin.path("logger"), "-log", log)
	// The refused logger must not have removed anything.
	r := run(t, "still there\n", bin.path("client"))
	interrupt(t, logger)
	wantMessages(t, logLines(t, log), r.pid, []string{"still there"})

	// The semaphore of another program stays, and nothing else is left.
	stranger, err := posix.CreateSemaphore(spool.Waiting, 7, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	refuses(t, spool.Waiting, bin.path("logger"), "-log", log)
	if err := posix.UnlinkSemaphore(spool.Waiting); err != nil {
		t.Errorf("the stranger's semaphore: %v", err)
	}
	wantNothingLeft(t)
}

// testClientInterrupted checks that Ctrl-C ends a client that waits for a slot, and leaves
// the mutex free for other clients.
func testClientInterrupted(t *testing.T, bin programs) {
	startLogger(t, bin, filepath.Join(t.TempDir(), "log")).Kill()
	defer removeLogger(t)
	free, err := posix.OpenSemaphore(spool.Free)
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	client := ipctest.Run(t, bin.path("client"))
	for range spool.Slots + 1 {
		client.Tell("hello")
	}
	for deadline := time.Now().Add(timeout); ; time.Sleep(time.Millisecond) {
		waiters, err := free.Waiters()
		if err != nil {
			t.Fatal(err)
		}
		if waiters == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the client does not wait for a slot")
		}
	}
	interrupt(t, client)
	for name, want := range map[string]int{spool.Mutex: 1, spool.Free: 0, spool.Waiting: spool.Slots} {
		sem, err := posix.OpenSemaphore(name)
		if err != nil {
			t.Fatal(err)
		}
		defer sem.Close()
		if got, err := sem.Value(); err != nil || got != want {
			t.Errorf("%s is %d, want %d (%v)", name, got, want, err)
		}
	}
}

// testDamage checks that the logger reports an index that a client has damaged, instead of
// crashing.
func testDamage(t *testing.T, bin programs) {
	startLogger(t, bin, filepath.Join(t.TempDir(), "log")).Kill()
	defer removeLogger(t)
	obj, err := posix.OpenObject(spool.Memory, posix.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Close()
	mem, err := obj.Map(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Unmap()
	shared, err := posix.View[spool.Shared](mem, 0)
	if err != nil {
		t.Fatal(err)
	}
	shared.Fill = spool.Slots
	r := try("hello\n", bin.path("client"))
	if r.err == nil || !strings.Contains(r.stderr, "is damaged") {
		t.Errorf("got error %v and %q, want one that says that the memory is damaged", r.err, r.stderr)
	}
}

var lineFormat = regexp.MustCompile(`^(\d+): ([A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}) (.*)$`)

// wantMessages compares lines of the log with the messages that process pid has sent.
func wantMessages(t *testing.T, lines []string, pid int, want []string) {
	t.Helper()
	if len(lines) != len(want) {
		t.Errorf("process %d: %d lines in the log, want %d", pid, len(lines), len(want))
	}
	for i := range min(len(lines), len(want)) {
		m := lineFormat.FindStringSubmatch(lines[i])
		if m == nil || m[1] != strconv.Itoa(pid) || m[3] != want[i] {
			t.Fatalf("line %d of process %d: got %q, want %q", i, pid, lines[i], want[i])
		}
		at, err := time.ParseInLocation(time.ANSIC, m[2], time.Local)
		if err != nil || time.Since(at) > time.Hour || time.Since(at) < -time.Minute {
			t.Fatalf("line %d of process %d: the date of %q is not now (%v)", i, pid, lines[i], err)
		}
	}
}

func logLines(t *testing.T, log string) []string {
	t.Helper()
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(data, []byte("\n")) {
		t.Errorf("the log does not end with a line: %q", data)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

func countLines(t *testing.T, log string) int {
	t.Helper()
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(data, []byte("\n"))
}

func testStrategies(t *testing.T, bin programs) {
	wantOutput(t, run(t, "", bin.path("strategies")),
		"semaphore: 2 processes added 50000 each: 100000\n"+
			"atomics: 2 processes added 50000 each: 100000\n"+
			"message: 16 bytes through the queue for 1048576 in memory: the text is whole\n")
}

func testAnonymous(t *testing.T, bin programs) {
	const want = "child:set memory 1\nparent:memory value 1\n"
	wantOutput(t, run(t, "", bin.path("anonymous")), want)
	withPeers(t, func(t *testing.T, c peers) { wantOutput(t, run(t, "", c.compile(t, "anonymous")), want) })
}

func testHandover(t *testing.T, bin programs) {
	const want = "received: hello\n"
	wantOutput(t, run(t, "", bin.path("handover")), want)
	socket := filepath.Join(t.TempDir(), "socket")
	giver := exec.Command(bin.path("handover"), "give", socket)
	giver.Stderr = os.Stderr
	if err := giver.Start(); err != nil {
		t.Fatal(err)
	}
	defer giver.Wait()
	defer giver.Process.Kill()
	for end := time.Now().Add(timeout); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	taken := try("", bin.path("handover"), "take", socket)
	for end := time.Now().Add(timeout); strings.Contains(taken.stderr, "refused") && time.Now().Before(end); {
		taken = try("", bin.path("handover"), "take", socket) // bound, but not listening yet
	}
	wantOutput(t, taken, want)
	refuses(t, "usage", bin.path("handover"), "give")
}

func testMapfile(t *testing.T, bin programs) {
	path := filepath.Join(t.TempDir(), "number")
	withPeers(t, func(t *testing.T, c peers) { testMapfilePairs(t, bin, c, path) })

	refuses(t, "no such file", bin.path("mapfile"), "receive", path)
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, "file exists", bin.path("mapfile"), "send", path)
	refuses(t, "beyond the end", bin.path("mapfile"), "receive", path)
	if got, err := os.ReadFile(path); err != nil || string(got) != "abc" {
		t.Errorf("the existing file now holds %q (%v)", got, err)
	}
}

func testMapfilePairs(t *testing.T, bin programs, c peers, path string) {
	sendC := c.compile(t, "mapfile_send", "NUMBER", path)
	receiveC := c.compile(t, "mapfile_receive", "NUMBER", path)
	send := func() result { return run(t, "", bin.path("mapfile"), "send", path) }
	receive := func() result { return run(t, "", bin.path("mapfile"), "receive", path) }
	for _, test := range []struct {
		name          string
		send, receive func() result
	}{
		{"Go to Go", send, receive},
		{"C to Go", func() result { return run(t, "", sendC) }, receive},
		{"Go to C", send, func() result { return run(t, "", receiveC) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := test.send()
			wantOutput(t, r, fmt.Sprintf("process:%d send:111\n", r.pid))
			r = test.receive()
			wantOutput(t, r, fmt.Sprintf("process:%d receive:111\n", r.pid))
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func testMemmap(t *testing.T, bin programs) {
	withPeers(t, func(t *testing.T, c peers) { testMemmapPairs(t, bin, c) })
	t.Run("interrupt", func(t *testing.T) {
		p := ipctest.Run(t, bin.path("memmap"), "send")
		p.Line()
		interrupt(t, p)
		wantNothingLeft(t)
	})
	refuses(t, "start the sender first", bin.path("memmap"), "recv")
}

func testMemmapPairs(t *testing.T, bin programs, c peers) {
	const object, semaphore = "/memmap", "/memmap_sem"
	recvC := c.compile(t, "memmap_recv")
	sendC := c.compile(t, "memmap_send")
	wantRecv := func(t *testing.T, r result) {
		t.Helper()
		wantOutput(t, r, fmt.Sprintf("process:%d recv:yuki...\n", r.pid))
	}
	for name, recv := range map[string]func() result{
		"Go to Go": func() result { return run(t, "", bin.path("memmap"), "recv") },
		"Go to C":  func() result { return run(t, "", recvC) },
	} {
		t.Run(name, func(t *testing.T) {
			p := ipctest.Run(t, bin.path("memmap"), "send")
			if got, want := p.Line(), fmt.Sprintf("process:%d send:yuki...", p.PID()); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			wantRecv(t, recv())
			p.Wait()
			wantNothingLeft(t)
		})
	}
	t.Run("C to Go", func(t *testing.T) {
		r := run(t, "", sendC)
		wantOutput(t, r, fmt.Sprintf("process:%d send:yuki...\n", r.pid))
		refuses(t, "file exists", bin.path("memmap"), "send")
		wantRecv(t, run(t, "", bin.path("memmap"), "recv"))
		// The example did not create them, so they must still exist.
		if err := errors.Join(posix.UnlinkObject(object), posix.UnlinkSemaphore(semaphore)); err != nil {
			t.Error(err)
		}
	})
}

func testSysv(t *testing.T, bin programs) {
	refuses(t, "start the writer first", bin.path("sysv"), "read")
	write := func(text string) *ipctest.Process {
		t.Helper()
		p := ipctest.Run(t, bin.path("sysv"), "write", text)
		if got, want := p.Line(), "waiting for a reader"; got != want {
			t.Errorf("the writer says %q, want %q", got, want)
		}
		return p
	}
	p := write("good morning")
	refuses(t, "file exists", bin.path("sysv"), "write", "good night")
	wantOutput(t, run(t, "", bin.path("sysv"), "read"), "You wrote: good morning\n")
	p.Wait()
	interrupt(t, write("unread")) // TestMain checks that nothing is left
	refuses(t, "beyond the end", bin.path("sysv"), "write", strings.Repeat("x", 4097))
}

func testParentChild(t *testing.T, bin programs) {
	const want = "child wrote 0xdbeebee\n"
	wantOutput(t, run(t, "", bin.path("parentchild")), want)
	wantNothingLeft(t)

	stranger, err := posix.CreateObject("sample", 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	refuses(t, "file exists", bin.path("parentchild"))
	if size, err := stranger.Size(); err != nil || size != 3 {
		t.Errorf("the stranger's object has %d bytes now, want 3 (%v)", size, err)
	}
	if err := posix.UnlinkObject("sample"); err != nil {
		t.Errorf("the stranger's object: %v", err)
	}
}

func testRace(t *testing.T, bin programs) {
	var written, read, torn int
	r := run(t, "", bin.path("race"), "-for", "500ms")
	if _, err := fmt.Sscanf(r.stdout, "as printed: %d texts written, %d read, %d of them torn\n", &written, &read, &torn); err != nil {
		t.Fatalf("got %q: %v", r.stdout, err)
	}
	if torn == 0 {
		t.Errorf("got %q, want torn texts: nothing keeps sender and receiver apart", r.stdout)
	}
	r = run(t, "", bin.path("race"), "-for", "500ms", "-mended")
	if _, err := fmt.Sscanf(r.stdout, "mended: %d texts written, %d read, %d of them torn\n", &written, &read, &torn); err != nil {
		t.Fatalf("got %q: %v", r.stdout, err)
	}
	if written == 0 || read != written || torn != 0 {
		t.Errorf("got %q, want all texts read and none torn", r.stdout)
	}
	withPeers(t, testRaceInC)
	p := ipctest.Run(t, bin.path("race"), "-for", "1h", "-mended")
	waitForAttached(t, p.PID())
	interrupt(t, p) // TestMain checks that nothing is left
}

// testRaceInC checks that the C receiver finds the text that the C sender has written.
func testRaceInC(t *testing.T, c peers) {
	sender := ipctest.Run(t, c.compile(t, "race_sender"))
	receiverC := c.compile(t, "race_receiver")
	sender.Tell("hello")
	seg := waitForText(t, 123, "hello")
	receiver := ipctest.Run(t, receiverC)
	if got := receiver.Line(); got != "hello" {
		t.Errorf("the C receiver prints %q, want %q", got, "hello")
	}
	sender.Tell("end")
	sender.Wait()
	receiver.Wait()
	if err := seg.Remove(); err != nil {
		t.Error(err)
	}
}

// waitForText waits until text is in the segment with key.
func waitForText(t *testing.T, key sysv.Key, text string) sysv.Segment {
	t.Helper()
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		seg, err := sysv.OpenSegment(key)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		mem, err := seg.Attach(&sysv.AttachOptions{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		found := bytes.HasPrefix(mem.Bytes(), []byte(text))
		if err := mem.Detach(); err != nil {
			t.Fatal(err)
		}
		if found {
			return seg
		}
	}
	t.Fatalf("nobody has written %q", text)
	return 0
}

// waitForAttached waits until two processes have attached the segment of the race.
func waitForAttached(t *testing.T, maker int) {
	t.Helper()
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for info, err := range sysv.Segments() {
			if err != nil {
				t.Fatal(err)
			}
			if info.CPID == maker && info.NAttch == 2 {
				return
			}
		}
	}
	t.Fatal("sender and receiver did not meet")
}
