package sysv_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
	"golang.org/x/sys/unix"
)

const segmentKey sysv.Key = 0x5e6

// noID is an identifier that no object of a test's namespace ever has.
const noID = 1<<30 | 12345

func TestCreateSegmentErrors(t *testing.T) {
	seg := createSegment(t, segmentKey, 4096, 0o600)
	tests := []struct {
		name string
		key  sysv.Key
		size int64
		o    *sysv.SegmentOptions
		want error
	}{
		{"exclusive", segmentKey, 4096, nil, unix.EEXIST},
		{"exclusive", segmentKey, 4096, nil, fs.ErrExist},
		{"larger than the existing", segmentKey, 4097, nil, fs.ErrExist},
		{"size 0", 1, 0, nil, unix.EINVAL},
		{"negative size", 1, -1, nil, unix.EINVAL},
		{"mode with a setuid bit", 1, 1, &sysv.SegmentOptions{Mode: 0o600 | fs.ModeSetuid}, unix.EINVAL},
		{"mode of a directory", 1, 1, &sysv.SegmentOptions{Mode: 0o600 | fs.ModeDir}, unix.EINVAL},
		{"huge pages of no power of two", 1, 1, &sysv.SegmentOptions{HugePages: 3 << 20}, unix.EINVAL},
		{"huge pages of one byte", 1, 1, &sysv.SegmentOptions{HugePages: 1}, unix.EINVAL},
		{"huge pages of negative size", 1, 1, &sysv.SegmentOptions{HugePages: -2}, unix.EINVAL},
		{"huge pages of a size that there is not", 1, 1, &sysv.SegmentOptions{HugePages: 1 << 13}, unix.EINVAL},
	}
	for _, test := range tests {
		s, err := sysv.CreateSegment(test.key, test.size, test.o)
		wantError(t, "CreateSegment, "+test.name, err, test.want)
		if err == nil && s != seg {
			remove(t, s)
		}
	}

	_, err := sysv.OpenSegment(1)
	wantError(t, "OpenSegment of an unknown key", err, unix.ENOENT)
	wantError(t, "OpenSegment of an unknown key", err, fs.ErrNotExist)
}

func TestCreateSegmentWithoutMemory(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("the address space is smaller than the memory may be")
	}
	if policy, err := os.ReadFile("/proc/sys/vm/overcommit_memory"); err != nil || policy[0] == '1' {
		t.Skip("vm.overcommit_memory lets every size pass")
	}
	s, err := sysv.CreateSegment(sysv.Private, 1<<45, nil)
	wantError(t, "CreateSegment of 32 TiB", err, unix.ENOMEM)
	if err == nil {
		remove(t, s)
	}
}

// TestNoReserve makes a segment larger than any machine's memory or, on 32 bits, as large
// as every machine can make.
func TestNoReserve(t *testing.T) {
	size := int64(1) << 30
	if math.MaxInt > math.MaxInt32 {
		size = 1 << 42
	}
	s, err := sysv.CreateSegment(sysv.Private, size, &sysv.SegmentOptions{Mode: 0o600, NoReserve: true})
	check(t, err)
	defer remove(t, s)
	if info, err := s.Stat(); err != nil || info.Size != size {
		t.Errorf("Stat tells size %d, %v, want %d", info.Size, err, size)
	}
}

func TestSizeThatDoesNotFit(t *testing.T) {
	if math.MaxUint32 < uint64(^uintptr(0)) {
		t.Skip("every size fits into 64 bits")
	}
	_, err := sysv.CreateSegment(sysv.Private, 1<<32+1, nil)
	wantError(t, "CreateSegment of 4 GiB and a byte", err, unix.EINVAL)
}

// TestUnknownSegment makes every call on an identifier that no object has.
func TestUnknownSegment(t *testing.T) {
	zero := createSegment(t, sysv.Private, 1, 0o600) // the object that a truncated number would name
	removed := createSegment(t, sysv.Private, 1, 0o600)
	check(t, removed.Remove())
	ids := []sysv.Segment{noID, removed, -1, math.MinInt32, sysv.Segment(beyond32(int(zero)))}
	for _, s := range ids {
		_, stat := s.Stat()
		_, attach := s.Attach(nil)
		calls := map[string]error{
			"Stat": stat, "Remove": s.Remove(), "Lock": s.Lock(), "Unlock": s.Unlock(),
			"Attach": attach, "Set": s.SetOwnership(sysv.Ownership{}),
		}
		for call, err := range calls {
			wantError(t, call, err, unix.EINVAL)
			wantError(t, call, err, fs.ErrNotExist)
		}
	}
	if _, err := zero.Stat(); err != nil {
		t.Errorf("the segment that nobody named: %v", err)
	}
}

func TestSegmentStat(t *testing.T) {
	ipctest.SkipWithoutMode(t)
	before := kernelSecond(t)
	seg := createSegment(t, segmentKey, 5000, 0o642)
	info, err := seg.Stat()
	check(t, err)
	want := sysv.SegmentInfo{
		ID: int(seg),
		Perm: sysv.Perm{
			Key: segmentKey, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), CUID: uint32(os.Geteuid()), CGID: uint32(os.Getegid()),
			Mode: 0o642, Seq: info.Seq,
		},
		Size: 5000, CPID: os.Getpid(), CTime: info.CTime,
	}
	if info != want {
		t.Errorf("Stat\n got %+v\nwant %+v", info, want)
	}
	wantRecent(t, "CTime", info.CTime, before)
}

// kernelSecond returns the current second of the clock that the kernel uses for IPC times.
// That clock advances with the ticks, some milliseconds behind time.Now.
func kernelSecond(t testing.TB) time.Time {
	t.Helper()
	var now unix.Timespec
	check(t, unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now))
	return time.Unix(int64(now.Sec), 0)
}

func wantRecent(t testing.TB, what string, got, before time.Time) {
	t.Helper()
	if got.Before(before) || got.After(time.Now()) {
		t.Errorf("%s is %v, want between %v and now", what, got, before)
	}
}

// TestSegmentTimesAndPIDs follows ATime, DTime, LPID and NAttch.
func TestSegmentTimesAndPIDs(t *testing.T) {
	before := kernelSecond(t)
	seg := createSegment(t, sysv.Private, 1, 0o600)
	mem := attach(t, seg, nil)
	info, err := seg.Stat()
	check(t, err)
	wantRecent(t, "ATime after attach", info.ATime, before)
	if !info.DTime.IsZero() || info.LPID != os.Getpid() || info.NAttch != 1 {
		t.Errorf("after attach: DTime %v, LPID %d, NAttch %d, want never, %d, 1", info.DTime, info.LPID, info.NAttch, os.Getpid())
	}

	p := ipctest.Start(t, "attach", nil, strconv.Itoa(int(seg)))
	p.Line()
	info, err = seg.Stat()
	check(t, err)
	if info.LPID != p.PID() || info.NAttch != 2 || info.CPID != os.Getpid() {
		t.Errorf("attached by process %d: LPID %d, NAttch %d, CPID %d, want %d, 2, %d", p.PID(), info.LPID, info.NAttch, info.CPID, p.PID(), os.Getpid())
	}

	check(t, mem.Detach())
	info, err = seg.Stat()
	check(t, err)
	wantRecent(t, "DTime after detach", info.DTime, before)
	if info.LPID != os.Getpid() || info.NAttch != 1 {
		t.Errorf("after detach: LPID %d, NAttch %d, want %d, 1", info.LPID, info.NAttch, os.Getpid())
	}

	pid := p.PID()
	p.Kill()
	info, err = seg.Stat()
	check(t, err)
	if info.LPID != pid || info.NAttch != 0 {
		t.Errorf("after SIGKILL of process %d: LPID %d, NAttch %d, want %d, 0", pid, info.LPID, info.NAttch, pid)
	}
}

// playAttach attaches the segment args[0], and detaches it when told.
func playAttach(args []string) error {
	id, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	mem, err := sysv.Segment(id).Attach(nil)
	if err != nil {
		return err
	}
	println := os.Stdout.WriteString
	_, _ = println("attached\n")
	ipctest.Told()
	if err := mem.Detach(); err != nil {
		return err
	}
	_, _ = println("detached\n")
	ipctest.Told()
	return nil
}

// TestChangeTimes waits for the next second, because the kernel's times have no fractions,
// and checks which calls change them.
func TestChangeTimes(t *testing.T) {
	t.Parallel()
	seg, set, queue := createSegment(t, sysv.Private, 1, 0o600), createSet(t, sysv.Private, 2, 0o600), createQueue(t, sysv.Private, 0o600)
	touched, all := createSet(t, sysv.Private, 1, 0o600), createSet(t, sysv.Private, 1, 0o600)
	made := kernelSecond(t)
	eventually(t, "a second has passed", func() bool { return time.Since(made) > 1100*time.Millisecond })

	check(t, seg.SetOwnership(sysv.Ownership{Mode: 0o640}))
	check(t, set.SetOwnership(sysv.Ownership{Mode: 0o640}))
	check(t, queue.SetOwnership(sysv.Ownership{Mode: 0o640}, 100))
	check(t, touched.SetValue(0, 1))
	check(t, all.SetValues([]uint16{1}))

	segInfo, err := seg.Stat()
	check(t, err)
	setInfo, err := set.Stat()
	check(t, err)
	queueInfo, err := queue.Stat()
	check(t, err)
	touchedInfo, err := touched.Stat()
	check(t, err)
	allInfo, err := all.Stat()
	check(t, err)
	for call, ctime := range map[string]time.Time{
		"Segment.Set": segInfo.CTime, "Set.Set": setInfo.CTime, "Queue.Set": queueInfo.CTime,
		"SetValue": touchedInfo.CTime, "SetValues": allInfo.CTime,
	} {
		if !ctime.After(made) {
			t.Errorf("%s: CTime is still %v", call, ctime)
		}
	}
	for what, never := range map[string]time.Time{
		"ATime": segInfo.ATime, "DTime": segInfo.DTime, "OTime": setInfo.OTime, "OTime after SetValue": touchedInfo.OTime,
		"OTime after SetValues": allInfo.OTime, "STime": queueInfo.STime, "RTime": queueInfo.RTime,
	} {
		if !never.IsZero() {
			t.Errorf("%s is %v, want never", what, never)
		}
	}
}

func TestSegmentSet(t *testing.T) {
	ipctest.SkipWithoutMode(t)
	seg := createSegment(t, sysv.Private, 1, 0o600)
	if err := seg.SetOwnership(sysv.Ownership{UID: 1000, GID: 2000, Mode: 0o751}); errors.Is(err, unix.EINVAL) {
		t.Skip("the user namespace knows one user only")
	} else if err != nil {
		t.Fatal(err)
	}
	info, err := seg.Stat()
	check(t, err)
	want := sysv.Perm{UID: 1000, GID: 2000, CUID: uint32(os.Geteuid()), CGID: uint32(os.Getegid()), Mode: 0o751, Seq: info.Seq}
	if info.Perm != want {
		t.Errorf("Perm %+v, want %+v", info.Perm, want)
	}
	if got, want := info.Ownership(), (sysv.Ownership{UID: 1000, GID: 2000, Mode: 0o751}); got != want {
		t.Errorf("Ownership %+v, want %+v", got, want)
	}
	for name, o := range map[string]sysv.Ownership{
		"mode with a sticky bit": {Mode: 0o600 | fs.ModeSticky},
		"uid -1":                 {UID: math.MaxUint32},
		"gid -1":                 {GID: math.MaxUint32},
	} {
		wantError(t, "Set, "+name, seg.SetOwnership(o), unix.EINVAL)
	}
	if again, err := seg.Stat(); err != nil || again.Perm != want {
		t.Errorf("after refused Sets: %+v, %v, want %+v", again.Perm, err, want)
	}
}

// TestSizeIsFixed maps a segment whose size is not a multiple of the page size.
func TestSizeIsFixed(t *testing.T) {
	seg := createSegment(t, segmentKey, 5000, 0o600)
	info, err := seg.Stat()
	if err != nil || info.Size != 5000 {
		t.Errorf("size %d, %v, want 5000", info.Size, err)
	}
	mem := attach(t, seg, nil)
	if mem.Len() != 5000 || !bytes.Equal(mem.Bytes(), make([]byte, 5000)) {
		t.Errorf("attached %d bytes, want 5000 zeros", mem.Len())
	}
}

func TestPrivateSegments(t *testing.T) {
	a, b := createSegment(t, sysv.Private, 1, 0o600), createSegment(t, sysv.Private, 1, 0o600)
	if a == b {
		t.Errorf("two private segments have the same identifier %d", a)
	}
}

// TestRemovedSegmentStays removes a segment that is in use.
func TestRemovedSegmentStays(t *testing.T) {
	ipctest.SkipWithoutMode(t)
	seg := createSegment(t, segmentKey, 100, 0o600)
	mem := attach(t, seg, nil)
	check(t, seg.Remove())

	_, err := sysv.OpenSegment(segmentKey)
	wantError(t, "OpenSegment of a removed segment's key", err, fs.ErrNotExist)
	if _, err := mem.WriteAt([]byte("still here"), 0); err != nil {
		t.Error(err)
	}
	info, err := seg.Stat()
	if err != nil || !info.Dest || info.Key != sysv.Private || info.NAttch != 1 {
		t.Errorf("Stat tells %+v, %v, want Dest, key 0, one attachment", info, err)
	}
	if !ipctest.UnderQEMU() && !slices.Contains(destined(t), int(seg)) {
		t.Error("Segments leaves it out")
	}
	wantError(t, "a second Remove", seg.Remove(), nil)

	second := attach(t, seg, nil) // the identifier still works
	buf := make([]byte, 10)
	if _, err := second.ReadAt(buf, 0); err != nil || string(buf) != "still here" {
		t.Errorf("read %q, %v through a new attachment", buf, err)
	}

	successor := createSegment(t, segmentKey, 200, 0o600)
	if successor == seg {
		t.Errorf("a new segment has the old identifier %d", seg)
	}

	check(t, mem.Detach())
	if _, err := seg.Stat(); err != nil {
		t.Errorf("with one attachment left: %v", err)
	}
	check(t, second.Detach())
	_, err = seg.Stat()
	wantError(t, "Stat after the last Detach", err, fs.ErrNotExist)
}

// destined returns the segments that are listed as marked for removal.
func destined(t *testing.T) (ids []int) {
	for info, err := range sysv.Segments() {
		check(t, err)
		if info.Dest {
			ids = append(ids, info.ID)
		}
	}
	return ids
}

// TestNAttchOverForkExecExit watches a C program fork, exec and exit.
func TestNAttchOverForkExecExit(t *testing.T) {
	program := ipctest.Compile(t, "../integration/peers/forker.c")
	seg := createSegment(t, sysv.Private, 1, 0o600)
	attach(t, seg, nil)
	want := func(what string, n uint64) {
		t.Helper()
		if info, err := seg.Stat(); err != nil || info.NAttch != n {
			t.Errorf("%s: NAttch %d, %v, want %d", what, info.NAttch, err, n)
		}
	}

	p := ipctest.Run(t, program, strconv.Itoa(int(seg)))
	for _, step := range []struct {
		line string
		n    uint64
	}{{"attached", 2}, {"forked", 3}, {"executed", 2}, {"waited", 2}} {
		if line := p.Line(); line != step.line {
			t.Fatalf("forker says %q, want %q", line, step.line)
		}
		want(step.line, step.n)
		p.Tell("")
	}
	p.Wait()
	want("exited", 1)
}

// TestNAttchCountsMappings splits a mapping in three.
func TestNAttchCountsMappings(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it protects memory without telling the kernel")
	page := os.Getpagesize()
	seg := createSegment(t, sysv.Private, int64(3*page), 0o600)
	mem := attach(t, seg, nil)
	check(t, unix.Mprotect(mem.Bytes()[page:2*page], unix.PROT_READ))
	if info, err := seg.Stat(); err != nil || info.NAttch != 3 {
		t.Errorf("NAttch %d, %v, want 3", info.NAttch, err)
	}
	check(t, mem.Detach())
	if info, err := seg.Stat(); err != nil || info.NAttch != 0 {
		t.Errorf("after Detach: NAttch %d, %v, want 0", info.NAttch, err)
	}
}

func TestSegmentLock(t *testing.T) {
	ipctest.SkipWithoutMode(t)
	seg := createSegment(t, sysv.Private, 1, 0o600)
	for _, step := range []struct {
		call   string
		err    error
		locked bool
	}{
		{"Lock", seg.Lock(), true}, {"second Lock", seg.Lock(), true},
	} {
		wantError(t, step.call, step.err, nil)
		if info, err := seg.Stat(); err != nil || info.Locked != step.locked || info.Mode != 0o600 {
			t.Errorf("%s: Locked %v, Mode %v, %v", step.call, info.Locked, info.Mode, err)
		}
	}
	check(t, seg.Unlock())
	if info, err := seg.Stat(); err != nil || info.Locked {
		t.Errorf("Unlock: Locked %v, %v", info.Locked, err)
	}
}

// TestLimitedProcess makes calls that fail in a process whose limits on memory are low.
func TestLimitedProcess(t *testing.T) {
	requireUsers(t)
	seg := createSegment(t, sysv.Private, 1<<30, 0o666)
	check(t, seg.SetOwnership(sysv.Ownership{UID: nobody.Uid, GID: nobody.Gid, Mode: 0o600}))
	for _, test := range []struct {
		what string
		want error
	}{
		{"huge pages, not allowed", unix.EPERM},
		{"lock, nothing allowed", unix.EPERM},
		{"lock, little allowed", unix.ENOMEM},
		{"attach, little address space", unix.ENOMEM},
	} {
		got := strings.TrimSpace(ipctest.Start(t, "limited", nobody, test.what, strconv.Itoa(int(seg))).Wait())
		if got != test.want.Error() {
			t.Errorf("%s: %q, want %q", test.what, got, test.want)
		}
	}
}

// playLimited lowers a limit, makes the call that args[0] names, and prints the error.
func playLimited(args []string) error {
	id, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	limit := func(resource int, bytes uint64) error {
		return unix.Setrlimit(resource, &unix.Rlimit{Cur: bytes, Max: bytes})
	}
	var got error
	switch args[0] {
	case "huge pages, not allowed":
		err = limit(unix.RLIMIT_MEMLOCK, 0)
		_, got = sysv.CreateSegment(sysv.Private, 1, &sysv.SegmentOptions{Mode: 0o600, HugePages: sysv.DefaultHugePages})
	case "lock, nothing allowed":
		err = limit(unix.RLIMIT_MEMLOCK, 0)
		got = sysv.Segment(id).Lock()
	case "lock, little allowed":
		err = limit(unix.RLIMIT_MEMLOCK, 4096)
		got = sysv.Segment(id).Lock()
	case "attach, little address space":
		err = limit(unix.RLIMIT_AS, mapped()+512<<20)
		_, got = sysv.Segment(id).Attach(nil)
	}
	var failed *sysv.Error
	if errors.As(got, &failed) {
		_, _ = os.Stdout.WriteString(failed.Err.Error() + "\n")
	}
	return err
}

// mapped returns the size of this process's address space in bytes.
func mapped() uint64 {
	var pages uint64
	text, _ := os.ReadFile("/proc/self/statm")
	_, _ = fmt.Sscan(string(text), &pages)
	return pages * uint64(os.Getpagesize())
}

// requireUsers skips a test that needs processes of several users.
func requireUsers(t *testing.T) {
	t.Helper()
	const capSetUID = 7
	if !capable(t, capSetUID) {
		t.Skip("needs root, to start processes of other users")
	}
}

// TestHugePages fills the pool of huge pages if it may, and uses it.
func TestHugePages(t *testing.T) {
	const size = 2 << 20
	fillHugePages(t, 4)
	huge := hugePageSize(t)
	if huge != size {
		t.Skipf("huge pages are of %d bytes", huge)
	}
	for _, pages := range []int64{sysv.DefaultHugePages, size} {
		seg, err := sysv.CreateSegment(sysv.Private, 2*size, &sysv.SegmentOptions{Mode: 0o600, HugePages: pages})
		check(t, err)
		mem := attach(t, seg, nil)
		remove(t, seg)
		if mem.Addr()%size != 0 {
			t.Errorf("attached at %#x, which is no multiple of %d", mem.Addr(), size)
		}
		check(t, mem.Prefault())
		if _, err := mem.WriteAt([]byte{1}, 2*size-1); err != nil {
			t.Error(err)
		}
		check(t, mem.Detach())
	}
}

// TestHugePagesWithoutPool shows what a user sees when the pool is too small: an
// error at creation if pages are reserved, otherwise at the access, and no crash.
func TestHugePagesWithoutPool(t *testing.T) {
	huge := hugePageSize(t)
	const capIPCLock = 14
	if !capable(t, capIPCLock) {
		t.Skip("needs CAP_IPC_LOCK, or membership in vm.hugetlb_shm_group")
	}
	tooMuch := min(huge<<20, math.MaxInt/2+1) // two TiB, or one GiB
	_, err := sysv.CreateSegment(sysv.Private, tooMuch, &sysv.SegmentOptions{Mode: 0o600, HugePages: huge})
	wantError(t, "CreateSegment with too many huge pages", err, unix.ENOMEM)

	if free := meminfo(t, "HugePages_Free:"); free != 0 {
		t.Skipf("%d huge pages are free", free)
	}
	seg, err := sysv.CreateSegment(sysv.Private, huge, &sysv.SegmentOptions{Mode: 0o600, HugePages: huge, NoReserve: true})
	check(t, err)
	mem := attach(t, seg, nil)
	remove(t, seg)
	_, err = mem.WriteAt([]byte{1}, 5)
	wantError(t, "WriteAt", err, sysv.ErrFault)
	_, err = mem.ReadAt(make([]byte, 1), 5)
	wantError(t, "ReadAt", err, sysv.ErrFault)
	wantError(t, "Prefault", mem.Prefault(), sysv.ErrFault)
}

const hugePool = "/proc/sys/vm/nr_hugepages"

// fillHugePages keeps n huge pages free until the end of the test.
func fillHugePages(t *testing.T, n int) {
	t.Helper()
	old, err := os.ReadFile(hugePool)
	if err != nil {
		t.Skipf("no huge pages: %v", err)
	}
	had, err := strconv.Atoi(strings.TrimSpace(string(old)))
	check(t, err)
	if err := os.WriteFile(hugePool, []byte(strconv.Itoa(had+n)), 0); err != nil {
		t.Skipf("the pool of huge pages cannot be filled: %v", err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(hugePool, old, 0); err != nil {
			t.Error(err)
		}
	})
	if free := meminfo(t, "HugePages_Free:"); free < int64(n) {
		t.Skipf("the kernel made %d huge pages of %d", free, n)
	}
}

func hugePageSize(t *testing.T) int64 {
	t.Helper()
	kib := meminfo(t, "Hugepagesize:")
	if kib == 0 || runtime.GOARCH != "amd64" && ipctest.UnderQEMU() {
		t.Skip("no huge pages")
	}
	return kib << 10
}

// meminfo returns a field of /proc/meminfo, or 0 if there is none.
func meminfo(t *testing.T, field string) int64 {
	t.Helper()
	all, err := os.ReadFile("/proc/meminfo")
	check(t, err)
	for line := range strings.Lines(string(all)) {
		if f := strings.Fields(line); f[0] == field {
			n, err := strconv.ParseInt(f[1], 10, 64)
			check(t, err)
			return n
		}
	}
	return 0
}
