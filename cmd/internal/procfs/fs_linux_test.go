package procfs

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

func TestMain(m *testing.M) { ipctest.Main(m) }

func open(t testing.TB, root string) *FS {
	t.Helper()
	f, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// must returns the value of a call that must not fail.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func mappings(t testing.TB, f *FS, pid int) (list []Mapping) {
	t.Helper()
	if err := f.Mappings(pid, func(m Mapping) { list = append(list, m) }); err != nil {
		t.Fatal(err)
	}
	return list
}

// TestMappings compares both ways of reading mappings with what was attached.
func TestMappings(t *testing.T) {
	seg, err := sysv.CreateSegment(-5, 3*int64(os.Getpagesize()), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer seg.Remove()
	_, writable := attach(t, seg, false)
	_, readOnly := attach(t, seg, true)
	want := append(attachSplit(t, seg), writable, readOnly)
	slices.SortFunc(want, func(a, b Mapping) int { return cmp.Compare(a.Start, b.Start) })
	mapLookalikes(t)
	for _, textOnly := range []bool{false, true} {
		f := open(t, Root)
		f.textOnly = textOnly
		got := mappings(t, f, os.Getpid())
		for i := range got {
			if got[i].Device != f.devices.ordinary {
				t.Errorf("device %v, want %v", got[i].Device, f.devices.ordinary)
			}
			got[i].Device = Device{}
		}
		if !slices.Equal(got, want) {
			t.Errorf("text only %v:\n%+v\nwant\n%+v", textOnly, got, want)
		}
		if !f.textOnly {
			t.Log("PROCMAP_QUERY was used")
		}
	}
}

// attach attaches a segment with key -5 for the time of the test.
func attach(t *testing.T, seg sysv.Segment, readOnly bool) (*sysv.Attachment, Mapping) {
	t.Helper()
	mem, err := seg.Attach(&sysv.AttachOptions{ReadOnly: readOnly})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mem.Detach() })
	start := uint64(mem.Addr())
	return mem, Mapping{Start: start, End: start + uint64(mem.Len()), Writable: !readOnly, ID: int(seg), Key: -5}
}

// attachSplit attaches a segment and makes the second of its three pages read-only, which
// splits the mapping in three.
func attachSplit(t *testing.T, seg sysv.Segment) []Mapping {
	t.Helper()
	mem, one := attach(t, seg, false)
	page := os.Getpagesize()
	if err := unix.Mprotect(mem.Bytes()[page:2*page], unix.PROT_READ); err != nil {
		t.Fatal(err)
	}
	two, three := one, one
	one.End = one.Start + uint64(page)
	two.Start, two.End, two.Offset, two.Writable = one.End, one.End+uint64(page), uint64(page), false
	three.Start, three.Offset = two.End, 2*uint64(page)
	return []Mapping{one, two, three}
}

// mapLookalikes maps files and memory that look like segments in /proc but are not: a file
// with a segment's name, memory on the device of segments with an inode number that could
// be an identifier, and a file whose long name contains a segment's name.
func mapLookalikes(t *testing.T) {
	t.Helper()
	lookalike(t, "/dev/shm")
	page := os.Getpagesize()
	mapPage := func(fd, flags int) {
		mem, err := unix.Mmap(fd, 0, page, unix.PROT_READ, unix.MAP_SHARED|flags)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Munmap(mem) })
	}
	mapPage(-1, unix.MAP_ANONYMOUS)
	long, err := unix.MemfdCreate(strings.Repeat("/SYSV00000001 ", 10), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(long)
	if err := unix.Ftruncate(long, int64(page)); err != nil {
		t.Fatal(err)
	}
	mapPage(long, 0)
}

// lookalike maps a deleted file that has a segment's name.
func lookalike(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "SYSV00000001")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Skip(err)
	}
	defer file.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	mem, err := unix.Mmap(int(file.Fd()), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(mem) })
}

func TestDevices(t *testing.T) {
	d := devices{known: true, ordinary: Device{0, 1}, huge: []Device{{0, 15}, {0, 16}}}
	for _, tt := range []struct {
		device   Device
		ok, huge bool
	}{{Device{0, 1}, true, false}, {Device{0, 15}, true, true}, {Device{0, 16}, true, true}, {Device{0, 2}, false, false}, {Device{8, 1}, false, false}} {
		if ok, huge := d.holds(tt.device); ok != tt.ok || huge != tt.huge {
			t.Errorf("%v: %v, %v", tt.device, ok, huge)
		}
	}
	if ok, _ := (devices{}).holds(Device{8, 1}); !ok {
		t.Error("a directory tree has segment devices")
	}
}

// TestHugePages inspects a segment of huge pages, if the pool has one.
func TestHugePages(t *testing.T) {
	seg, err := sysv.CreateSegment(sysv.Private, 2<<20, &sysv.SegmentOptions{Mode: 0o600, HugePages: sysv.DefaultHugePages, NoReserve: true})
	if err != nil {
		t.Skip(err)
	}
	defer seg.Remove()
	mem, err := seg.Attach(nil)
	if err != nil {
		t.Skip(err)
	}
	defer mem.Detach()
	for _, textOnly := range []bool{false, true} {
		f := open(t, Root)
		f.textOnly = textOnly
		if got := mappings(t, f, os.Getpid()); len(got) != 1 || !got[0].HugePages || got[0].ID != int(seg) {
			t.Errorf("text only %v: %+v", textOnly, got)
		}
	}
}

func TestProcess(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	cmd.Env = []string{"A=1", "B=two words"}
	cmd.Dir = t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	f := open(t, Root)
	wantLiving(t, f, cmd)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	wantZombie(t, f, cmd.Process.Pid)
	cmd.Wait()
	wantNobody(t, f, cmd.Process.Pid)
}

// wantLiving compares what f reads about a child with what the test knows about it.
func wantLiving(t *testing.T, f *FS, cmd *exec.Cmd) {
	t.Helper()
	pid, before := cmd.Process.Pid, time.Now()
	stat := must[Stat](t)(f.Stat(pid))
	if stat.PID != pid || stat.Comm != "sleep" || stat.PPID != os.Getpid() || stat.KernelThread || stat.Exiting {
		t.Errorf("%+v", stat)
	}
	boot := must[time.Time](t)(f.BootTime())
	if start := boot.Add(stat.Start); before.Sub(start).Abs() > 5*time.Second {
		t.Errorf("started %v according to the boot time, but it is %v", start, before)
	}
	status := must[Status](t)(f.Status(pid))
	if uid := must[uint32](t)(f.UID(pid)); uid != status.EUID() {
		t.Errorf("user %d, but %+v", uid, status)
	}
	if got := must[string](t)(f.Comm(pid)); got != "sleep" {
		t.Errorf("name %q", got)
	}
	if status.EUID() != uint32(os.Geteuid()) || len(status.NSPIDs) == 0 || status.NSPIDs[0] != pid {
		t.Errorf("%+v", status)
	}
	if got := must[[]string](t)(f.Cmdline(pid)); !slices.Equal(got, cmd.Args) {
		t.Errorf("command line %q", got)
	}
	if got := must[[]string](t)(f.Environ(pid)); !slices.Equal(got, cmd.Env) {
		t.Errorf("environment %q", got)
	}
	if got := must[string](t)(f.CWD(pid)); got != cmd.Dir {
		t.Errorf("working directory %q", got)
	}
	if got := must[uint64](t)(f.IPCNamespace(pid)); got != must[uint64](t)(f.OwnIPCNamespace()) {
		t.Errorf("namespace %d", got)
	}
	if got := must[[]int](t)(f.Threads(pid, nil)); !slices.Equal(got, []int{pid}) {
		t.Errorf("threads %v", got)
	}
	if got := must[[]int](t)(f.PIDs()); !slices.Contains(got, pid) || !slices.IsSorted(got) {
		t.Errorf("processes %v", got)
	}
	if got := must[bool](t)(f.HasMemory(pid)); !got {
		t.Error("it has memory")
	}
	if got := must[int](t)(f.Bits(pid)); got != strconv.IntSize && strconv.IntSize == 64 {
		t.Errorf("%d bits", got)
	}
	if got := must[int](t)(f.Reach(stat)); got != pid || !f.Exists(pid) {
		t.Errorf("reached by %d", got)
	}
	if _, err := f.Container(pid); err != nil {
		t.Error(err)
	}
}

// wantZombie waits until a child has ended, and leaves it unreaped.
func wantZombie(t *testing.T, f *FS, pid int) {
	t.Helper()
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	stat := must[Stat](t)(f.Stat(pid))
	if _, err := f.Reach(stat); !errors.Is(err, fs.ErrNotExist) || stat.State != 'Z' {
		t.Errorf("a zombie: %+v, %v", stat, err)
	}
}

// wantNobody checks that every call reports that there is no such process.
func wantNobody(t *testing.T, f *FS, pid int) {
	t.Helper()
	for name, call := range map[string]func() error{
		"Stat":         func() error { _, err := f.Stat(pid); return err },
		"Comm":         func() error { _, err := f.Comm(pid); return err },
		"UID":          func() error { _, err := f.UID(pid); return err },
		"Status":       func() error { _, err := f.Status(pid); return err },
		"Container":    func() error { _, err := f.Container(pid); return err },
		"Mappings":     func() error { return f.Mappings(pid, func(Mapping) {}) },
		"Threads":      func() error { _, err := f.Threads(pid, nil); return err },
		"Call":         func() error { _, err := f.Call(pid, pid); return err },
		"IPCNamespace": func() error { _, err := f.IPCNamespace(pid); return err },
		"ReadMemory":   func() error { return f.ReadMemory(pid, 4096, make([]byte, 1)) },
	} {
		if err := call(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of nobody: %v", name, err)
		}
	}
	if f.Exists(pid) {
		t.Error("nobody exists")
	}
}

// TestNoMemory: a kernel thread and a zombie have no memory.
func TestNoMemory(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer cmd.Wait()
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	const kthreadd = 2
	pids := []int{cmd.Process.Pid}
	if stat, err := open(t, Root).Stat(kthreadd); err == nil && stat.KernelThread {
		pids = append(pids, kthreadd)
	}
	for _, pid := range pids {
		for _, textOnly := range []bool{false, true} {
			f := open(t, Root)
			f.textOnly = textOnly
			err := f.Mappings(pid, func(m Mapping) { t.Errorf("%+v", m) })
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("process %d, text only %v: %v", pid, textOnly, err)
			}
		}
	}
}

// TestUIDOfNobodysBusiness: the files of a process that may not be traced belong to
// root, but its directory does not.
func TestUIDOfNobodysBusiness(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	cmd := exec.Command(ipctest.Compile(t, "testdata/undumpable.c"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if _, err := out.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	f := open(t, Root)
	uid, err := f.UID(cmd.Process.Pid)
	status := must[Status](t)(f.Status(cmd.Process.Pid))
	if err != nil || uid != 65534 || status.EUID() != 65534 || status.RUID() != 65533 {
		t.Errorf("%d, %v, %+v", uid, err, status)
	}
}

func TestSelf(t *testing.T) {
	f := open(t, Root)
	if !f.Real() || f.Foreign() || f.Root() != Root || f.Path(7, "cwd") != "/proc/7/cwd" {
		t.Errorf("%+v", f)
	}
	secret := []byte("in the memory of this process")
	got := make([]byte, len(secret))
	if err := f.ReadMemory(os.Getpid(), address(secret), got); err != nil || string(got) != string(secret) {
		t.Errorf("%q, %v", got, err)
	}
	for _, addr := range []uint64{0, 1<<64 - 1} {
		if err := f.ReadMemory(os.Getpid(), addr, got); err == nil {
			t.Errorf("read %d bytes at %#x", len(got), addr)
		}
	}
	// The reading thread is running, and so is its clock.
	call := must[Call](t)(f.Call(os.Getpid(), unix.Gettid()))
	if !call.Running && call.Number < 0 {
		t.Errorf("%+v", call)
	}
	if at, err := f.OwnExecStart(); err != nil {
		t.Logf("no scheduler clock: %v", err)
	} else if at <= 0 {
		t.Errorf("it is %v", at)
	}
	if forced := must[bool](t)(f.DestroysDetached()); forced {
		t.Log("kernel.shm_rmid_forced is set")
	}
	if _, err := f.NamespaceMounts(); err != nil {
		t.Error(err)
	}
	seg, err := sysv.CreateSegment(sysv.Private, 12345, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer seg.Remove()
	var rows []SegmentMemory
	if err := f.SegmentMemory(func(m SegmentMemory) bool { rows = append(rows, m); return true }); err != nil || !slices.Equal(rows, []SegmentMemory{{ID: uint64(seg), Size: 12345}}) {
		t.Errorf("%+v, %v", rows, err)
	}
	// Make more rows than a read returns or the buffer holds.
	for range 1000 {
		seg, err := sysv.CreateSegment(sysv.Private, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer seg.Remove()
	}
	rows = nil
	if err := f.SegmentMemory(func(m SegmentMemory) bool { rows = append(rows, m); return true }); err != nil || len(rows) != 1001 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// TestTree reads a directory tree that imitates /proc.
func TestTree(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"7/stat": "7 (a\nb)" + statTail, "x7/stat": "", "9999999999/stat": "", "stat": "btime 5\n",
		"7/maps": mapsText, "7/comm": "a\nb\n", "7/task/7/syscall": "running\n", "7/auxv": "#!/bin/sh\n", "8/auxv": vector(32, 33, 0xf7fc1000, 6, 4096, 25, 7, 0, 0),
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/bin/sh", filepath.Join(root, "7/exe")); err != nil {
		t.Fatal(err)
	}
	f := open(t, root)
	if f.Real() || f.Foreign() || f.SeesAllProcesses() {
		t.Error("a directory tree passes for a proc file system")
	}
	if got := must[[]int](t)(f.PIDs()); !slices.Equal(got, []int{7, 8}) {
		t.Errorf("processes %v", got)
	}
	if got := must[Stat](t)(f.Stat(7)); got.Comm != "a\nb" {
		t.Errorf("%+v", got)
	}
	if got := must[string](t)(f.Comm(7)); got != "a\nb" {
		t.Errorf("%q", got)
	}
	if got := mappings(t, f, 7); len(got) != 3 {
		t.Errorf("%+v", got)
	}
	if got, err := f.Bits(7); !errors.Is(err, ErrFormat) {
		t.Errorf("a script has %d bits, %v", got, err)
	}
	if got := must[int](t)(f.Bits(8)); got != 32 {
		t.Errorf("%d bits", got)
	}
	if f.Exists(os.Getpid()) || !f.Exists(7) {
		t.Error("Exists sees processes outside the tree, or misses one in it")
	}
	if _, err := f.IPCNamespace(7); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), root+"/7/ns/ipc") {
		t.Error(err)
	}
	if _, err := Open(filepath.Join(root, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func BenchmarkMappings(b *testing.B) {
	for _, textOnly := range []bool{false, true} {
		b.Run(fmt.Sprintf("text=%v", textOnly), func(b *testing.B) {
			f := open(b, Root)
			f.textOnly = textOnly
			b.ReportAllocs()
			for b.Loop() {
				if err := f.Mappings(os.Getpid(), func(Mapping) {}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
