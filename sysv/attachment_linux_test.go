package sysv_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/bits"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
	"golang.org/x/sys/unix"
)

func TestAttachmentBounds(t *testing.T) {
	const size = 5000
	mem := attach(t, createSegment(t, sysv.Private, size, 0o600), nil)

	writes := []struct {
		off  int64
		n    int
		want error
	}{
		{0, size, nil},
		{0, 0, nil},
		{size, 0, nil},
		{size - 1, 1, nil},
		{0, size + 1, sysv.ErrBounds},
		{size - 1, 2, sysv.ErrBounds},
		{size, 1, sysv.ErrBounds},
		{size + 1, 0, sysv.ErrBounds},
		{-1, 1, sysv.ErrBounds},
		{1 << 62, 1, sysv.ErrBounds},
		{1<<63 - 1, 1, sysv.ErrBounds},
	}
	for i, test := range writes {
		check(t, fill(mem, 0))
		n, err := mem.WriteAt(bytes.Repeat([]byte{byte(i + 1)}, test.n), test.off)
		wantError(t, "WriteAt", err, test.want)
		want := 0
		if test.want == nil {
			want = test.n
		}
		if n != want || bytes.Count(mem.Bytes(), []byte{byte(i + 1)}) != want {
			t.Errorf("WriteAt of %d bytes at %d = %d, %v, and wrote %d bytes", test.n, test.off, n, err, bytes.Count(mem.Bytes(), []byte{byte(i + 1)}))
		}
	}

	check(t, fill(mem, 7))
	reads := []struct {
		off  int64
		n    int
		want int
		err  error
	}{
		{0, size, size, nil},
		{0, 0, 0, nil},
		{size - 2, 2, 2, nil},
		{size - 2, 3, 2, io.EOF},
		{0, size + 1, size, io.EOF},
		{size, 1, 0, io.EOF},
		{1 << 62, 1, 0, io.EOF},
		{-1, 1, 0, sysv.ErrBounds},
	}
	for _, test := range reads {
		buf := make([]byte, test.n)
		n, err := mem.ReadAt(buf, test.off)
		wantError(t, "ReadAt", err, test.err)
		if n != test.want || bytes.Count(buf, []byte{7}) != test.want {
			t.Errorf("ReadAt of %d bytes at %d = %d, %v, want %d", test.n, test.off, n, err, test.want)
		}
	}
	if b := mem.Bytes(); len(b) != size || cap(b) != size {
		t.Errorf("Bytes has length %d and capacity %d, want %d", len(b), cap(b), size)
	}
}

func fill(mem *sysv.Attachment, b byte) error {
	_, err := mem.WriteAt(bytes.Repeat([]byte{b}, mem.Len()), 0)
	return err
}

func TestAttachmentReadOnly(t *testing.T) {
	seg := createSegment(t, sysv.Private, 100, 0o600)
	mem, readOnly := attach(t, seg, nil), attach(t, seg, &sysv.AttachOptions{ReadOnly: true})
	if mem.ReadOnly() || !readOnly.ReadOnly() {
		t.Errorf("ReadOnly tells %v and %v", mem.ReadOnly(), readOnly.ReadOnly())
	}
	if _, err := mem.WriteAt([]byte("shared"), 0); err != nil {
		t.Error(err)
	}
	buf := make([]byte, 6)
	if _, err := readOnly.ReadAt(buf, 0); err != nil || string(buf) != "shared" {
		t.Errorf("read %q, %v", buf, err)
	}
	_, err := readOnly.WriteAt([]byte("x"), 0)
	wantError(t, "WriteAt", err, sysv.ErrReadOnly)
	wantError(t, "Prefault", readOnly.Prefault(), nil)
	if readOnly.Segment() != seg || readOnly.Addr() != uintptr(unsafe.Pointer(&readOnly.Bytes()[0])) {
		t.Errorf("Segment %v, Addr %#x", readOnly.Segment(), readOnly.Addr())
	}
}

func TestDetached(t *testing.T) {
	mem := attach(t, createSegment(t, sysv.Private, 100, 0o600), nil)
	check(t, mem.Detach())
	_, read := mem.ReadAt(make([]byte, 1), 0)
	_, write := mem.WriteAt([]byte("x"), 0)
	_, view := sysv.View[int32](mem, 0)
	_, slice := sysv.ViewSlice[int32](mem, 0, 2)
	for call, err := range map[string]error{
		"ReadAt": read, "WriteAt": write, "View": view, "ViewSlice": slice, "Prefault": mem.Prefault(), "Detach": mem.Detach(),
	} {
		wantError(t, call, err, sysv.ErrDetached)
	}
	if mem.Len() != 0 || mem.Bytes() != nil {
		t.Errorf("Len %d, Bytes %v", mem.Len(), mem.Bytes())
	}
}

// TestDetachWhileInUse detaches while readers and writers work: each sees the memory or
// ErrDetached.
func TestDetachWhileInUse(t *testing.T) {
	seg := createSegment(t, sysv.Private, 1<<16, 0o600)
	for range 20 {
		mem := attach(t, seg, nil)
		var users sync.WaitGroup
		var started atomic.Int32
		for i := range 4 {
			users.Go(func() {
				buf := make([]byte, 1<<16)
				started.Add(1)
				for {
					var err error
					switch i {
					case 0, 1: // each goroutine reads its own half, for the race detector
						_, err = mem.ReadAt(buf[:1<<15], int64(i)<<15)
					case 2:
						err = mem.Prefault()
					case 3:
						mem.Len()
						_, err = mem.WriteAt(nil, 0)
					}
					if errors.Is(err, sysv.ErrDetached) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		eventually(t, "all have begun", func() bool { return started.Load() == 4 })
		check(t, mem.Detach())
		users.Wait()
	}
}

// TestDetachOfWhatIsGone detaches a segment that munmap(2) has already unmapped.
func TestDetachOfWhatIsGone(t *testing.T) {
	seg := createSegment(t, sysv.Private, 100, 0o600)
	mem, err := seg.Attach(nil)
	check(t, err)
	if _, _, e := unix.Syscall(unix.SYS_MUNMAP, mem.Addr(), uintptr(os.Getpagesize()), 0); e != 0 {
		t.Fatal(e)
	}
	wantError(t, "Detach", mem.Detach(), unix.EINVAL)
}

func TestAttachAtAddress(t *testing.T) {
	if bits.UintSize == 32 {
		ipctest.SkipUnderQEMU(t, "it may take an address that was just freed for itself")
	}
	page := uintptr(os.Getpagesize())
	// SHMLBA, to which addresses are rounded, is larger than a page on some architectures.
	// Of four such addresses, at least one is free for the test.
	const space = 4 << 18
	seg := createSegment(t, sysv.Private, 100, 0o600)
	gap, err := unix.Mmap(-1, 0, space, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	check(t, err)
	base := (uintptr(unsafe.Pointer(&gap[0])) + 1<<18) &^ (1<<18 - 1)
	taken := attach(t, seg, nil)

	for _, test := range []struct {
		name string
		o    *sysv.AttachOptions
		want error
	}{
		{"no multiple of the page size", &sysv.AttachOptions{Addr: base + 1}, unix.EINVAL},
		{"in use", &sysv.AttachOptions{Addr: taken.Addr()}, unix.EINVAL},
		{"in use, rounded", &sysv.AttachOptions{Addr: taken.Addr() + 1, Round: true}, unix.EINVAL},
		{"in use by others", &sysv.AttachOptions{Addr: base}, unix.EINVAL},
	} {
		mem, err := seg.Attach(test.o)
		wantError(t, "Attach, "+test.name, err, test.want)
		if err == nil {
			check(t, mem.Detach())
		}
	}

	size := (uintptr(taken.Len()) + page - 1) / page * page
	if _, _, e := unix.Syscall(unix.SYS_MUNMAP, base, size, 0); e != 0 {
		t.Fatal(e)
	}
	exact, err := seg.Attach(&sysv.AttachOptions{Addr: base})
	check(t, err)
	if exact.Addr() != base {
		t.Errorf("attached at %#x, want %#x", exact.Addr(), base)
	}
	check(t, exact.Detach())
	rounded, err := seg.Attach(&sysv.AttachOptions{Addr: base + page/2, Round: true})
	check(t, err)
	if rounded.Addr() != base {
		t.Errorf("SHM_RND attached at %#x, want %#x", rounded.Addr(), base)
	}
	check(t, rounded.Detach())
	check(t, unix.Munmap(gap))
}

// TestAttachLarge attaches more than fits into a slice on 32-bit architectures.
func TestAttachLarge(t *testing.T) {
	const size int64 = 1<<31 + 5
	if math.MaxInt == math.MaxInt32 {
		ipctest.SkipUnderQEMU(t, "it takes 2 GiB for a size below zero")
	}
	seg, err := sysv.CreateSegment(sysv.Private, size, &sysv.SegmentOptions{Mode: 0o600, NoReserve: true})
	check(t, err)
	defer remove(t, seg)
	mem, err := seg.Attach(nil)
	if math.MaxInt == math.MaxInt32 {
		wantError(t, "Attach of 2 GiB", err, unix.ENOMEM)
		if info, err := seg.Stat(); err != nil || info.NAttch != 0 {
			t.Errorf("%d attachments are left, %v", info.NAttch, err)
		}
		return
	}
	check(t, err)
	if int64(mem.Len()) != size {
		t.Errorf("Len = %d, want %d", mem.Len(), size)
	}
	check(t, mem.Detach())
}

// TestAttachExec checks in /proc/self/maps that the memory has the requested access.
func TestAttachExec(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "its maps are not the kernel's")
	seg := createSegment(t, sysv.Private, 100, 0o700)
	for want, o := range map[string]sysv.AttachOptions{
		"rw-s": {},
		"r--s": {ReadOnly: true},
		"rwxs": {Exec: true},
		"r-xs": {Exec: true, ReadOnly: true},
	} {
		mem := attach(t, seg, &o)
		if got := mapsAccess(t, mem.Addr()); got != want {
			t.Errorf("Attach(%+v): %s, want %s", o, got, want)
		}
		check(t, mem.Detach())
	}
}

func mapsAccess(t *testing.T, addr uintptr) string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	check(t, err)
	for line := range strings.Lines(string(maps)) {
		if f := strings.Fields(line); strings.HasPrefix(f[0], strconv.FormatUint(uint64(addr), 16)+"-") {
			return f[1]
		}
	}
	return "not mapped"
}

// TestPrefault counts the pages that are resident.
func TestPrefault(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "the pages of qemu are not those of the program")
	page := int64(os.Getpagesize())
	seg := createSegment(t, sysv.Private, 64*page+1, 0o600)
	mem := attach(t, seg, nil)
	before, err := sysv.ShmUsage()
	check(t, err)
	check(t, mem.Prefault())
	after, err := sysv.ShmUsage()
	check(t, err)
	if got := after.ResidentPages - before.ResidentPages; got != 65 {
		t.Errorf("Prefault made %d pages resident, want 65", got)
	}
	if !bytes.Equal(mem.Bytes(), make([]byte, 64*page+1)) {
		t.Error("Prefault changed the contents")
	}
}

func TestView(t *testing.T) {
	type inner struct{ A, B uint16 }
	type header struct {
		Magic  [4]byte
		Count  atomic.Uint32
		Inner  [3]inner
		Length int32
	}
	mem := attach(t, createSegment(t, sysv.Private, 4096, 0o600), nil)
	h, err := sysv.View[header](mem, 64)
	check(t, err)
	h.Magic, h.Inner[2].B, h.Length = [4]byte{'g', 'i', 'p', 'c'}, 0x0101, -1
	h.Count.Store(0x02020202)
	want := "gipc\x02\x02\x02\x02" + strings.Repeat("\x00", 10) + "\x01\x01\xff\xff\xff\xff"
	if got := string(mem.Bytes()[64:][:len(want)]); got != want {
		t.Errorf("the struct lies in memory as %q, want %q", got, want)
	}
	again, err := sysv.View[header](mem, 64)
	if err != nil || again != h {
		t.Errorf("a second View is %p, %v, want %p", again, err, h)
	}

	words, err := sysv.ViewSlice[uint64](mem, 8, 511)
	check(t, err)
	if len(words) != 511 || cap(words) != 511 {
		t.Errorf("length %d, capacity %d, want 511", len(words), cap(words))
	}
	words[510] = ^uint64(0)
	if got := mem.Bytes()[4088:]; !bytes.Equal(got, bytes.Repeat([]byte{255}, 8)) {
		t.Errorf("the last word is %v", got)
	}
}

func TestViewErrors(t *testing.T) {
	mem := attach(t, createSegment(t, sysv.Private, 100, 0o600), nil)
	view := func(_ any, err error) error { return err }
	tests := []struct {
		name string
		err  error
		want error
	}{
		{"the last word", view(sysv.View[uint32](mem, 96)), nil},
		{"nothing at the end", view(sysv.View[struct{}](mem, 100)), nil},
		{"an empty slice at the end", view(sysv.ViewSlice[uint32](mem, 100, 0)), nil},
		{"a byte beyond the end", view(sysv.View[byte](mem, 100)), sysv.ErrBounds},
		{"half a word beyond the end", view(sysv.View[uint32](mem, 98)), sysv.ErrBounds},
		{"negative offset", view(sysv.View[byte](mem, -1)), sysv.ErrBounds},
		{"far offset", view(sysv.View[byte](mem, int(^uint(0)>>1))), sysv.ErrBounds},
		{"too many", view(sysv.ViewSlice[uint32](mem, 0, 26)), sysv.ErrBounds},
		{"so many that their size overflows", view(sysv.ViewSlice[uint64](mem, 8, int(^uint(0)>>3)+1)), sysv.ErrBounds},
		{"negative number", view(sysv.ViewSlice[byte](mem, 0, -1)), sysv.ErrBounds},
		{"uint16 at 1", view(sysv.View[uint16](mem, 1)), sysv.ErrAlignment},
		{"atomic 64 bits at 4", view(sysv.View[atomic.Int64](mem, 4)), sysv.ErrAlignment},
		{"struct at 2", view(sysv.View[struct{ A uint32 }](mem, 2)), sysv.ErrAlignment},
		{"bytes at 1", view(sysv.View[[3]byte](mem, 1)), nil},
		{"floats, booleans, complex numbers", view(sysv.View[struct {
			A float64
			B bool
			C complex64
			D uintptr
		}](mem, 0)), nil},
		{"array of no pointers", view(sysv.View[[0]*int](mem, 0)), nil},
		{"pointer", view(sysv.View[*int](mem, 0)), sysv.ErrPointers},
		{"unsafe.Pointer", view(sysv.View[unsafe.Pointer](mem, 0)), sysv.ErrPointers},
		{"string", view(sysv.View[string](mem, 0)), sysv.ErrPointers},
		{"slice", view(sysv.View[[]byte](mem, 0)), sysv.ErrPointers},
		{"map", view(sysv.View[map[int]int](mem, 0)), sysv.ErrPointers},
		{"channel", view(sysv.View[chan int](mem, 0)), sysv.ErrPointers},
		{"function", view(sysv.View[func()](mem, 0)), sysv.ErrPointers},
		{"interface", view(sysv.View[any](mem, 0)), sysv.ErrPointers},
		{"array of strings", view(sysv.View[[2]string](mem, 0)), sysv.ErrPointers},
		{"struct with a pointer deep inside", view(sysv.View[struct {
			A int
			B [2]struct{ C *byte }
		}](mem, 0)), sysv.ErrPointers},
		{"atomic pointer", view(sysv.View[atomic.Pointer[int]](mem, 0)), sysv.ErrPointers},
	}
	for _, test := range tests {
		wantError(t, "View, "+test.name, test.err, test.want)
	}
}

// TestAtomicsBetweenAttachments counts through two mappings of one segment.
func TestAtomicsBetweenAttachments(t *testing.T) {
	seg := createSegment(t, sysv.Private, 8, 0o600)
	var counters [2]*atomic.Int64
	for i := range counters {
		var err error
		counters[i], err = sysv.View[atomic.Int64](attach(t, seg, nil), 0)
		check(t, err)
	}
	const rounds = 10000
	var both sync.WaitGroup
	for _, counter := range counters {
		both.Go(func() {
			for range rounds {
				counter.Add(1)
			}
		})
	}
	both.Wait()
	if got := counters[0].Load(); got != 2*rounds {
		t.Errorf("counted to %d, want %d", got, 2*rounds)
	}
}
