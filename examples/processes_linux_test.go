package examples_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// limited starts n limiters. Their commands print their process ids, which lines returns,
// and then wait for the end of their input.
func limited(t *testing.T, bin programs, n int) (all map[string]*exec.Cmd, lines *bufio.Scanner) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	all = make(map[string]*exec.Cmd)
	for range n {
		cmd := exec.Command(bin.path("limiter"), "sh", "-c", "echo $$; read line")
		cmd.Stdout, cmd.Stderr = w, os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _, _ = in.Close(), cmd.Process.Kill(), cmd.Wait() })
		all[strconv.Itoa(cmd.Process.Pid)] = cmd
	}
	w.Close()
	return all, bufio.NewScanner(r)
}

// testLimiter checks that three of 20 limiters run at a time, and that each gets its turn
// although all are killed while they run.
func testLimiter(t *testing.T, bin programs) {
	const total, places = 20, 3
	refuses(t, "usage: limiter COMMAND", bin.path("limiter"))
	refuses(t, "no such file", bin.path("limiter"), "/no/such/command")
	all, lines := limited(t, bin, total)
	var running []*exec.Cmd
	var set sysv.Set
	for turn := range total {
		if turn >= places { // one place becomes free
			first := running[0]
			running = running[1:]
			if err := first.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if !lines.Scan() || all[lines.Text()] == nil {
			t.Fatalf("turn %d: process %q, of no limiter", turn, lines.Text())
		}
		running = append(running, all[lines.Text()])
		delete(all, lines.Text())
		if turn == 0 {
			var err error
			if set, err = sysv.OpenSet(0x6c696d74); err != nil {
				t.Fatal(err)
			}
		}
		if turn >= places-1 { // the other limiters wait
			wantWaiting(t, set, total-turn-1)
		}
	}
	for _, last := range running {
		_ = last.Process.Kill()
	}
	waitUntil(t, "all places to be free", func() bool { n, err := set.Value(0); return err == nil && n == places })
	if err := set.Remove(); err != nil {
		t.Error(err)
	}
}

// wantWaiting waits until n limiters wait for a place.
func wantWaiting(t *testing.T, set sysv.Set, n int) {
	t.Helper()
	waitUntil(t, fmt.Sprintf("%d to wait", n), func() bool { got, err := set.NCount(0); return err == nil && got == n })
}

func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(timeout); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// testMeet kills both sides of the ring in turn.
func testMeet(t *testing.T, bin programs) {
	refuses(t, "usage: meet send", bin.path("meet"))
	// The second receiver gets more lines than the ring and a pipe can hold.
	long := strings.Repeat("x", 60_000)
	sender, receiver := ipctest.Run(t, bin.path("meet"), "send"), ipctest.Run(t, bin.path("meet"), "receive")
	sender.Tell("first")
	wantLine(t, receiver, "first")
	receiver.Kill()
	told := make(chan struct{})
	go func() {
		defer close(told)
		for i := range 40 {
			sender.Tell(strconv.Itoa(i) + long)
		}
	}()
	ring, err := shmring.Await(t.Context(), "/gipc-example-meet", nil)
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the ring to be full", func() bool {
		at, err := ring.Positions()
		return err == nil && int(at.Tail-at.Head) > ring.Capacity()-len(long)-100
	})
	receiver = ipctest.Run(t, bin.path("meet"), "receive")
	line := receiver.Line()
	if line == "first" { // the dead receiver had not released it
		line = receiver.Line()
	}
	for i := range 40 {
		if want := strconv.Itoa(i) + long; line != want {
			t.Fatalf("line %d is %.50q, want %.50q", i, line, want)
		}
		if i < 39 {
			line = receiver.Line()
		}
	}
	<-told
	sender.Kill()
	sender = ipctest.Run(t, bin.path("meet"), "send")
	sender.Tell("last")
	wantLine(t, receiver, "last")
	interrupt(t, receiver)
	sender.End() // the sender ends with its input
	if err := ring.Close(); err != nil {
		t.Error(err)
	}
	run(t, "", bin.path("meet"), "remove")
	wantNothingLeft(t)
}

func wantLine(t *testing.T, p *ipctest.Process, want string) {
	t.Helper()
	if got := p.Line(); got != want {
		t.Fatalf("%s says %.50q, want %.50q", p.Name, got, want)
	}
}

// testPrices asks a server from several processes, kills it, and asks the next one.
func testPrices(t *testing.T, bin programs) {
	refuses(t, "usage: prices serve", bin.path("prices"))
	const want = "tea: 340\noil: prices: there is no oil\nsalt: 90\n"
	early := ipctest.Run(t, bin.path("prices"), "ask", "tea") // waits until a server starts
	for range 2 {
		server := ipctest.Run(t, bin.path("prices"), "serve")
		wantLine(t, server, "serving")
		refuses(t, "in use: there is a server already", bin.path("prices"), "serve")
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if r := try("", bin.path("prices"), "ask", "tea", "oil", "salt"); r.stdout != want {
					t.Errorf("got %q, want %q; %v %s", r.stdout, want, r.err, r.stderr)
				}
			})
		}
		all.Wait()
		server.Kill()
	}
	early.Wait()
	wantOutput(t, run(t, "", bin.path("prices"), "ask", "tea"), "tea: shmring: no process serves: context deadline exceeded\n")
	server := ipctest.Run(t, bin.path("prices"), "serve")
	wantLine(t, server, "serving")
	interrupt(t, server)
	run(t, "", bin.path("prices"), "remove")
	wantNothingLeft(t)
}

// testJobs runs workers in C and in Python, and kills the first one in C.
func testJobs(t *testing.T, bin programs) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIPPED: no python3 to run the worker with")
	}
	script := filepath.Join("jobs", "workers", "worker.py")
	inC := ipctest.Compile(t, filepath.Join("jobs", "workers", "worker.c"), "-I../include", "-lrt")
	refuses(t, "start the server first", python, script)
	refuses(t, "start the server first", inC)
	server := ipctest.Run(t, bin.path("jobs"))
	wantLine(t, server, "waiting for workers")
	refuses(t, "file exists", bin.path("jobs"))

	slow := ipctest.Run(t, inC, "100")
	wantLine(t, server, "0 0 C")
	refuses(t, "another worker in C", inC)
	slow.Kill() // most likely while it works on a job
	workers := []*ipctest.Process{ipctest.Run(t, inC), ipctest.Run(t, python, script)}
	seen := map[int]bool{0: true}
	for len(seen) < 100 {
		var job, square int
		var by string
		line := server.Line()
		if _, err := fmt.Sscan(line, &job, &square, &by); err != nil || square != job*job || (by == "C") != (job%2 == 0) || seen[job] {
			t.Fatalf("the server says %q (%v)", line, err)
		}
		seen[job] = true
	}
	server.Wait()
	for _, w := range workers {
		w.Wait()
	}
	wantNothingLeft(t)
	testJobsInterrupted(t, bin)
}

// testJobsInterrupted checks that a server without workers leaves nothing behind after
// Ctrl-C.
func testJobsInterrupted(t *testing.T, bin programs) {
	server := exec.Command(bin.path("jobs"))
	var said strings.Builder
	server.Stderr = &said
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Errorf("the server says %q: %v", line, err)
	}
	_ = server.Process.Signal(syscall.SIGINT)
	if err := server.Wait(); err == nil || !strings.HasPrefix(said.String(), "jobs: ") || strings.Count(said.String(), "\n") != 1 {
		t.Errorf("the interrupted server says %q (%v)", said.String(), err)
	}
	if _, err := sysv.OpenQueue(0x6a6f6273); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("the queue of jobs: %v", err)
	}
	wantNothingLeft(t)
}
