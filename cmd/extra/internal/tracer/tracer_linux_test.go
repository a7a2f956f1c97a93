package tracer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/extra/internal/ipccall"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) {
	Child()
	ipctest.MainPOSIX(m)
}

// A record is a Sink that keeps what it gets.
type record struct {
	calls   []*ipccall.Call
	exited  []int
	process func() // called for each new process, unless nil
}

func (*record) Begin(*ipccall.Call) {}

func (r *record) End(c *ipccall.Call) { r.calls = append(r.calls, c) }

func (r *record) Process(int, int, string) {
	if r.process != nil {
		r.process()
	}
}

func (*record) ThreadExited(int) {}

func (r *record) Exited(pid int) { r.exited = append(r.exited, pid) }

// TestCancelled kills a program that waits for a semaphore, when the context is done.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := &record{process: cancel}
	status, err := Run(ctx, &Command{Path: ipctest.Compile(t, "testdata/sleeper.c"), Argv: []string{"sleeper"}, Text: true}, r)
	if err != nil || !status.Signaled() || status.Signal() != unix.SIGKILL {
		t.Errorf("status %#x, %v", status, err)
	}
	if n := len(r.calls); n == 0 || len(r.exited) != 1 || r.calls[n-1].Done && r.calls[n-1].Name != "semget" {
		t.Errorf("%+v", r)
	}
	if _, err := Run(ctx, &Command{Path: "/bin/true", Argv: []string{"true"}}, r); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is done: %v", err)
	}
	for info, err := range sysv.Sets() {
		check(t, err)
		check(t, sysv.Set(info.ID).Remove())
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestMappings finds mappings by the call of Linux 6.11 and, as on older kernels, by reading
// lines.
func TestMappings(t *testing.T) {
	page := os.Getpagesize()
	file, err := os.Create(filepath.Join(t.TempDir(), "a name with blanks"))
	check(t, err)
	defer file.Close()
	check(t, file.Truncate(int64(2*page)))
	shared, err := unix.Mmap(int(file.Fd()), int64(page), page, unix.PROT_READ, unix.MAP_SHARED)
	check(t, err)
	defer func() { check(t, unix.Munmap(shared)) }()
	anonymous, err := unix.Mmap(-1, 0, page, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	check(t, err)
	defer func() { check(t, unix.Munmap(anonymous)) }()
	seg, err := sysv.CreateSegment(sysv.Private, int64(page), nil)
	check(t, err)
	defer func() { check(t, seg.Remove()) }()
	mem, err := seg.Attach(nil)
	check(t, err)
	defer func() { check(t, mem.Detach()) }()

	address := func(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }
	for addr, want := range map[uint64]string{
		address(shared): file.Name(), address(shared) + uint64(page) - 1: file.Name(), uint64(mem.Addr()): "/SYSV00000000 (deleted)",
		address(anonymous): "", 0: "", 1 << 62: "",
	} {
		for name, find := range map[string]func(*os.File, uint64) (ipccall.Mapping, error){
			"query": queryMaps,
			"scan":  func(f *os.File, addr uint64) (ipccall.Mapping, error) { return scanMaps(f, addr) },
		} {
			maps, err := os.Open("/proc/self/maps")
			check(t, err)
			m, err := find(maps, addr)
			maps.Close()
			switch {
			case name == "query" && errors.Is(err, unix.ENOTTY):
			case m.Path != want || (err == nil) != (want != ""):
				t.Errorf("%s %#x: %+v, %v, want %s", name, addr, m, err, want)
			case want == file.Name() && (m.Start != address(shared) || m.Offset != uint64(page) || !m.Shared):
				t.Errorf("%s %#x: %+v", name, addr, m)
			case strings.HasPrefix(want, "/SYSV") && (m.Inode != uint64(seg) || !m.Shared):
				t.Errorf("%s %#x: %+v, want segment %d", name, addr, m, seg)
			}
		}
	}
}

// FuzzScanMaps reads lines that no kernel writes.
func FuzzScanMaps(f *testing.F) {
	f.Add("7f4bfe23c000-7f4bfe23e000 rw-s 00000000 00:1a 5        /dev/shm/name\n", uint64(0x7f4bfe23c000))
	f.Add("0-ffffffffffffffff rw-s 0 0 5 \n\n-\n", uint64(1))
	f.Fuzz(func(t *testing.T, lines string, addr uint64) {
		if m, err := scanMaps(strings.NewReader(lines), addr); err == nil && (m.Start > addr || m.Path == "") {
			t.Errorf("%+v", m)
		}
	})
}

func TestFailure(t *testing.T) {
	for message, want := range map[string]string{
		"exec 2":     "run /x: no such file or directory",
		"seccomp 22": "the kernel refuses a seccomp filter (invalid argument): a container needs a profile that allows seccomp(2) and prctl(2)",
		"":           "run /x: the process ended before it could start the program",
	} {
		if got := failure("/x", message); got.Error() != want {
			t.Errorf("%q: %v, want %s", message, got, want)
		}
	}
}

func TestExplained(t *testing.T) {
	const untraced, traced = "State:\tS\nTracerPid:\t0\nUid:\t0\n", "State:\tS\nTracerPid:\t17\nUid:\t0\n"
	for _, tt := range []struct {
		err           error
		scope, status string
		want          string
	}{
		{unix.EPERM, "3", untraced, "until the next boot (kernel.yama.ptrace_scope is 3)"},
		{unix.EPERM, "2", untraced, "run gshm trace as root, or set it to 1"},
		{unix.EPERM, "3", traced, "another program"},
		{unix.EPERM, "1", untraced, "a container needs a seccomp profile that allows ptrace(2)"},
		{unix.ENOSYS, "", "", "a container needs a seccomp profile that allows ptrace(2)"},
		{unix.ESRCH, "3", untraced, "ptrace: no such process"},
	} {
		if got := explained(tt.err, tt.scope, tt.status); !strings.Contains(got.Error(), tt.want) {
			t.Errorf("%v, %q, %q: %v, want %s", tt.err, tt.scope, tt.status, got, tt.want)
		}
	}
}
