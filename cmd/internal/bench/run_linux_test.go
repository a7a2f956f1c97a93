package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
)

// peerName in the environment makes the test binary a peer.
const peerName = "GIPC_BENCH_PEER"

func TestMain(m *testing.M) {
	switch os.Getenv(peerName) {
	case "":
		ipctest.MainPOSIX(m)
	case "fails":
		fmt.Fprintln(os.Stderr, "peer: it is a bad day")
		os.Exit(1)
	case "hangs":
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // no peer outlives the test
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := Peer(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// config returns the shortest measurement, with the given peer.
func config(t *testing.T, peer string, ways ...Way) Config {
	return Config{
		Ways: ways, Sizes: []int{1000}, Duration: time.Millisecond,
		Peer: func(ctx context.Context, args ...string) *exec.Cmd {
			cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
			cmd.Env = append(os.Environ(), peerName+"="+peer, "GORACE=atexit_sleep_ms=0")
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { stdin.Close() })
			return cmd
		},
	}
}

// detachAll detaches what both sides attached in this process. In a peer, the end of
// the process does that.
func detachAll(t *testing.T) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.Contains(line, "/SYSV") {
			continue
		}
		start, _, _ := strings.Cut(line, "-")
		addr, err := strconv.ParseUint(start, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, errno := unix.Syscall(unix.SYS_SHMDT, uintptr(addr), 0, 0); errno != 0 {
			t.Error(errno)
		}
	}
}

// noQueues fails the test if POSIX queues are left. The end of the whole run checks for
// other objects.
func noQueues(t *testing.T) {
	t.Helper()
	for q, err := range posix.Queues() {
		t.Errorf("left behind: %s %v", q.Name, err)
	}
}

func TestRun(t *testing.T) {
	c := config(t, "peer", Ways()...)
	cpus, err := chooseCPUs()
	if err != nil {
		t.Fatal(err)
	}
	want := c.results(cpus.places())
	var begun []Result
	c.Begin = func(r Result) { begun = append(begun, r) }
	var got []Result
	for r, err := range Run(t.Context(), c) {
		if err != nil {
			t.Error(err)
		}
		if r.RoundTrip <= 0 || r.P99 < r.RoundTrip || r.RoundTrip > time.Second || r.Rate <= 0 {
			t.Errorf("%+v can't be", r)
		}
		got = append(got, Result{Way: r.Way, Cores: r.Cores, Size: r.Size})
	}
	if !slices.Equal(got, want) {
		t.Errorf("results of %v\nwant %v", got, want)
	}
	if !slices.Equal(begun, want) {
		t.Errorf("begun %v\nwant %v", begun, want)
	}
	noQueues(t)
}

func TestResultsOrder(t *testing.T) {
	c := Config{Ways: []Way{Ring, Memcpy}, Sizes: []int{1, 2}}
	got := c.results([]Cores{Same, Cross, Alone})
	want := []Result{
		{Way: Ring, Cores: Same, Size: 1},
		{Way: Ring, Cores: Same, Size: 2},
		{Way: Ring, Cores: Cross, Size: 1},
		{Way: Ring, Cores: Cross, Size: 2},
		{Way: Memcpy, Size: 1},
		{Way: Memcpy, Size: 2},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestRunTooLarge(t *testing.T) {
	c := config(t, "peer", SysVQueue, POSIXQueue)
	c.Sizes = []int{MaxSize}
	n := 0
	for r, err := range Run(t.Context(), c) {
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: error %v, want %v", r.Way, err, ErrTooLarge)
		}
		n++
	}
	if n == 0 {
		t.Error("no results")
	}
}

// TestRunFailingPeer: if a peer fails, Run ends the other one, returns the failed peer's
// message as the error, and still runs the next measurement.
func TestRunFailingPeer(t *testing.T) {
	c := config(t, "fails", Ring, SysVQueue)
	n := 0
	for r, err := range Run(t.Context(), c) {
		if want := "it is a bad day"; err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", r.Way, err, want)
		}
		n++
	}
	if cpus, _ := chooseCPUs(); n != len(c.results(cpus.places())) {
		t.Errorf("%d results", n)
	}
}

func TestRunCancelled(t *testing.T) {
	c := config(t, "hangs", SysVSemaphores, SysVQueue, POSIXQueue)
	ctx, cancel := context.WithCancel(t.Context())
	c.Begin = func(Result) { time.AfterFunc(time.Millisecond, cancel) }
	for r, err := range Run(ctx, c) {
		t.Errorf("%+v, %v after it was cancelled", r, err)
	}
	noQueues(t)
}

// TestPeerOrphaned: a peer whose parent is gone removes what the parent made.
func TestPeerOrphaned(t *testing.T) {
	for _, way := range []Way{SysVSemaphores, SysVQueue, POSIXQueue} {
		shared, err := kindOf(way).create(100)
		if err != nil {
			t.Fatal(err)
		}
		for side := range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			args := append([]string{string(way), string(latency), fmt.Sprint(side), "100", "1h", "0"}, shared.names...)
			if err := Peer(ctx, append(args, "1000"), io.Discard); err == nil {
				t.Errorf("%s: no error", way)
			}
		}
	}
	detachAll(t)
	noQueues(t)
}

func TestParseRole(t *testing.T) {
	good := []string{"ring", "latency", "1", "64", "100ms", "0", "name", "4"}
	want := role{way: Ring, test: latency, side: 1, size: 64, duration: 100 * time.Millisecond, names: []string{"name"}, fd: 4}
	if r, err := parseRole(good); err != nil || !reflect.DeepEqual(r, want) {
		t.Errorf("got %v, %v, want %v", r, err, want)
	}
	for i, bad := range []string{"ringg", "", "x", "0", "100", "", "", "x"} {
		if bad == "" {
			continue
		}
		args := slices.Clone(good)
		args[i] = bad
		if r, err := parseRole(args); err == nil {
			t.Errorf("%q gives %v", args, r)
		}
	}
	if _, err := parseRole(good[:6]); err == nil {
		t.Error("a role without a file was accepted")
	}
}

// TestLinks runs both sides of each way in this process: messages arrive complete and
// in order.
func TestLinks(t *testing.T) {
	for _, way := range Ways() {
		for _, size := range []int{1, 63, 64, 65, 8192, 100_000} {
			t.Run(fmt.Sprintf("%s/%d", way, size), func(t *testing.T) { exchange(t, way, size) })
		}
	}
}

func exchange(t *testing.T, way Way, size int) {
	k := kindOf(way)
	shared, err := k.create(size)
	if errors.Is(err, ErrTooLarge) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := shared.remove(); err != nil {
			t.Error(err)
		}
		detachAll(t)
	}()
	a := opened(t, k, shared, 0, way, size)
	if way == Memcpy {
		pass(t, a, a, size, 1)
		return
	}
	b := opened(t, k, shared, 1, way, size)
	pass(t, a, b, size, 1)
	pass(t, b, a, size, 2)
}

// opened opens a side with duplicated files, as another process would have them.
func opened(t *testing.T, k kind, shared *objects, side int, way Way, size int) link {
	t.Helper()
	r := role{way: way, side: side, size: size, names: shared.names}
	for i, f := range shared.files {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 100+side*10+i)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			r.fd = fd
		}
		t.Cleanup(func() { unix.Close(fd) })
	}
	l, err := k.open(r)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// pass sends more messages than there are slots.
func pass(t *testing.T, from, to link, size int, salt byte) {
	t.Helper()
	const messages = 40
	text := func(i int) []byte {
		return bytes.Repeat([]byte{byte(i)*3 + salt, salt}, size/2+1)[:size]
	}
	sent := make(chan error, 1)
	go func() {
		for i := range messages {
			if err := from.send(text(i)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	if _, ok := from.(*copies); ok { // has nothing to receive
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		return
	}
	got := make([]byte, size)
	for i := range messages {
		if err := to.receive(got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, text(i)) {
			t.Fatalf("message %d is wrong", i)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestParseWays(t *testing.T) {
	ways, err := ParseWays("ring,memcpy")
	if err != nil || !slices.Equal(ways, []Way{Ring, Memcpy}) {
		t.Errorf("got %v, %v", ways, err)
	}
	for _, bad := range []string{"", "rings", "ring,", "ring, memcpy"} {
		if _, err := ParseWays(bad); err == nil || !strings.Contains(err.Error(), "the ways are sysv-sem posix-sem ring") {
			t.Errorf("ParseWays(%q): %v", bad, err)
		}
	}
}

func TestPlacement(t *testing.T) {
	c := cpuChoice{first: 3, second: 5}
	for _, tt := range []struct {
		cores Cores
		side  int
		spins bool
		want  string
	}{
		{Same, 0, true, "3 [3]"},
		{Same, 1, true, "3 [3]"},
		{Same, 1, false, "3 [3]"},
		{Alone, 0, false, "3 [3]"},
		{Cross, 0, false, "3 [3]"},
		{Cross, 1, false, "5 [5]"},
		{Cross, 0, true, "3 [3 5]"},
		{Cross, 1, true, "5 [3 5]"},
	} {
		cpu, may := c.of(tt.cores, tt.side, tt.spins)
		if got := fmt.Sprint(cpu, may); got != tt.want {
			t.Errorf("%s, side %d, spins %v: %s, want %s", tt.cores, tt.side, tt.spins, got, tt.want)
		}
	}
	if got := (cpuChoice{first: 3, second: none}).places(); !slices.Equal(got, []Cores{Same, Alone}) {
		t.Errorf("places on one processor: %v", got)
	}
}

// TestStay: a thread on the wrong processor is moved, and keeps its affinity mask.
func TestStay(t *testing.T) {
	cpus, err := chooseCPUs()
	if err != nil {
		t.Fatal(err)
	}
	if cpus.second == none {
		t.Skip("SKIPPED: one processor alone")
	}
	for _, cpu := range []int{cpus.first, cpus.second, cpus.first} {
		role{cpu: cpu}.stayer()()
		// The kernel may move it away again, but not always.
		if !eventually(func() bool { role{cpu: cpu}.stayer()(); return currentCPU() == cpu }) {
			t.Errorf("it does not run on processor %d", cpu)
		}
	}
	var mask unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mask); err != nil || mask.Count() < 2 {
		t.Errorf("it may use %d processors, %v", mask.Count(), err)
	}
}

func eventually(condition func() bool) bool {
	for range 1000 {
		if condition() {
			return true
		}
	}
	return false
}
