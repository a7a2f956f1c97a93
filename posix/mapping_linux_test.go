package posix_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
)

var page = os.Getpagesize()

// mapped creates and maps an object until the end of the test.
func mapped(t testing.TB, size int64, o *posix.MapOptions) (*posix.Object, *posix.Mapping) {
	t.Helper()
	obj := create(t, "/mapped", size)
	m, err := obj.Map(o)
	must(t, err)
	t.Cleanup(func() {
		if err := m.Unmap(); !errors.Is(err, posix.ErrUnmapped) {
			must(t, err)
		}
	})
	return obj, m
}

func TestMapping(t *testing.T) {
	o, m := mapped(t, 5000, nil)
	if m.Len() != 5000 || m.Addr() == 0 || m.ReadOnly() || m.Name() != "/mapped" || len(m.Bytes()) != 5000 {
		t.Errorf("%d bytes at %#x, read-only %v, of %s", m.Len(), m.Addr(), m.ReadOnly(), m.Name())
	}
	if n, err := m.WriteAt([]byte("hello"), 4995); n != 5 || err != nil {
		t.Errorf("WriteAt = %d, %v", n, err)
	}
	if n, err := m.WriteAt([]byte("hello"), 4996); n != 0 || !errors.Is(err, posix.ErrBounds) {
		t.Errorf("WriteAt beyond the end = %d, %v", n, err)
	}
	buf := make([]byte, 10)
	if n, err := m.ReadAt(buf, 4995); n != 5 || !errors.Is(err, io.EOF) || string(buf[:n]) != "hello" {
		t.Errorf("ReadAt over the end = %d, %v: %q", n, err, buf)
	}
	if n, err := o.File().ReadAt(buf, 4995); n != 5 || string(buf[:n]) != "hello" {
		t.Errorf("the object holds %q, %v", buf[:n], err)
	}
	// The mapping stays when the object is closed and unlinked.
	must(t, o.Close())
	must(t, posix.UnlinkObject("/mapped"))
	if n, err := m.ReadAt(buf[:5], 4995); n != 5 || err != nil {
		t.Errorf("ReadAt after UnlinkObject = %d, %v", n, err)
	}
	if _, err := posix.View[uint64](m, 4992); err == nil || errors.Is(err, posix.ErrAlignment) {
		_, err = posix.View[uint64](m, 4993)
		wantErr(t, err, posix.ErrBounds)
	}
	_, err := posix.View[*int](m, 0)
	wantErr(t, err, posix.ErrPointers)
	_, err = posix.View[uint32](m, 2)
	wantErr(t, err, posix.ErrAlignment)
	s, err := posix.ViewSlice[uint16](m, 0, 2500)
	must(t, err)
	if len(s) != 2500 {
		t.Errorf("%d elements", len(s))
	}
	_, err = posix.ViewSlice[uint16](m, 0, 2501)
	wantErr(t, err, posix.ErrBounds)

	must(t, m.Unmap())
	for what, err := range map[string]error{
		"Unmap": m.Unmap(), "Prefault": m.Prefault(), "Lock": m.Lock(), "Unlock": m.Unlock(),
		"Sync": m.Sync(0, 0, posix.SyncWait), "Protect": m.Protect(0, 0, posix.ProtRead),
		"ReadAt":  second(m.ReadAt(buf, 0)),
		"WriteAt": second(m.WriteAt(buf, 0)),
		"View":    second(posix.View[int32](m, 0)),
		"Init":    second(posix.InitSemaphore(m, 0, 0)),
		"At":      second(posix.SemaphoreAt(m, 0)),
	} {
		if !errors.Is(err, posix.ErrUnmapped) {
			t.Errorf("%s after Unmap: %v, want ErrUnmapped", what, err)
		}
	}
	if m.Len() != 0 || m.Bytes() != nil {
		t.Error("something is left after Unmap")
	}
}

func second[T any](_ T, err error) error { return err }

func TestMapErrors(t *testing.T) {
	o := create(t, "/x", int64(2*page))
	empty := create(t, "/empty", 0)
	readOnly, err := posix.OpenObject("/x", posix.ReadOnly)
	must(t, err)
	defer readOnly.Close()
	busy, err := o.Map(nil)
	must(t, err)
	defer busy.Unmap()
	dir, err := os.Open("/")
	must(t, err)
	defer dir.Close()
	closed, err := posix.CreateMemfd("closed", 10, nil)
	must(t, err)
	must(t, closed.Close())
	for _, tt := range []struct {
		what string
		err  error
		want error
		says string
	}{
		{"all of nothing", second(empty.Map(nil)), posix.ErrBounds, "0 bytes at offset 0 of 0"},
		{"more than there is", second(o.Map(&posix.MapOptions{Length: 2*page + 1})), posix.ErrBounds, ""},
		{"beyond the end", second(o.Map(&posix.MapOptions{Offset: int64(2 * page), Length: 1})), posix.ErrBounds, ""},
		{"a negative length", second(o.Map(&posix.MapOptions{Length: -1})), posix.ErrBounds, ""},
		{"a negative offset", second(o.Map(&posix.MapOptions{Offset: -1})), unix.EINVAL, "page size"},
		{"an odd offset", second(o.Map(&posix.MapOptions{Offset: 1})), unix.EINVAL, "page size"},
		{"no such protection", second(o.Map(&posix.MapOptions{Prot: 1 << 10})), unix.EINVAL, "protection"},
		{"a contradiction", second(o.Map(&posix.MapOptions{Prot: posix.ProtNone | posix.ProtRead})), unix.EINVAL, "protection"},
		{"writing to what can be read", second(readOnly.Map(nil)), unix.EACCES, "mmap /x"},
		{"an address in use", second(o.Map(&posix.MapOptions{Addr: busy.Addr()})), unix.EEXIST, ""},
		{"a directory", second(posix.MapFile(dir, &posix.MapOptions{Length: page, Prot: posix.ProtRead})), unix.ENODEV, ""},
		{"a directory without length", second(posix.MapFile(dir, &posix.MapOptions{Length: -5})), unix.EINVAL, "length"},
		{"a closed object", second(closed.Map(&posix.MapOptions{Length: 1})), os.ErrClosed, ""},
		{"nothing", second(posix.MapAnonymous(0, nil)), unix.EINVAL, "length 0"},
		{"anonymous, contradiction", second(posix.MapAnonymous(1, &posix.AnonymousOptions{Prot: -1})), unix.EINVAL, "protection"},
		{"odd huge pages", second(posix.MapAnonymous(page, &posix.AnonymousOptions{HugePages: 3})), unix.EINVAL, "huge pages"},
		{"part of a huge page", second(posix.MapAnonymous(5000, &posix.AnonymousOptions{HugePages: posix.DefaultHugePages})), unix.EINVAL, "no multiple"},
		{"huge pages of one byte", second(posix.MapAnonymous(page, &posix.AnonymousOptions{HugePages: 1})), unix.EINVAL, "huge pages"},
		{"protect: contradiction", busy.Protect(0, 0, 1<<20), unix.EINVAL, "protection"},
		{"protect: odd offset", busy.Protect(1, 5, posix.ProtRead), unix.EINVAL, ""},
		{"protect: beyond", busy.Protect(page, page+1, posix.ProtRead), posix.ErrBounds, ""},
		{"protect: behind", busy.Protect(2*page, 0, posix.ProtRead), posix.ErrBounds, ""},
		{"sync: odd offset", busy.Sync(1, 5, posix.SyncWait), unix.EINVAL, ""},
		{"sync: beyond", busy.Sync(0, 2*page+1, posix.SyncWait), posix.ErrBounds, ""},
		{"sync: both", busy.Sync(0, 0, posix.SyncWait|posix.SyncAsync), unix.EINVAL, ""},
	} {
		if !errors.Is(tt.err, tt.want) || !strings.Contains(tt.err.Error(), tt.says) {
			t.Errorf("%s: %v, want %v %s", tt.what, tt.err, tt.want, tt.says)
		}
	}
}

// TestMapPart maps a part of an object, shared and private.
func TestMapPart(t *testing.T) {
	o := create(t, "/x", int64(3*page))
	shared, err := o.Map(&posix.MapOptions{Offset: int64(page), Length: 10})
	must(t, err)
	defer shared.Unmap()
	rest, err := o.Map(&posix.MapOptions{Offset: int64(page), NoReserve: true})
	must(t, err)
	defer rest.Unmap()
	private, err := o.Map(&posix.MapOptions{Offset: int64(page), Private: true})
	must(t, err)
	defer private.Unmap()
	if shared.Len() != 10 || rest.Len() != 2*page {
		t.Errorf("lengths %d and %d", shared.Len(), rest.Len())
	}
	_, err = shared.WriteAt([]byte("shared"), 0)
	must(t, err)
	_, err = private.WriteAt([]byte("PRI"), 0)
	must(t, err)
	for m, want := range map[*posix.Mapping]string{shared: "shared", rest: "shared", private: "PRIred"} {
		got := make([]byte, 6)
		if _, err := m.ReadAt(got, 0); string(got) != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	// An address that is free now can be asked for.
	addr := rest.Addr()
	must(t, rest.Unmap())
	at, err := o.Map(&posix.MapOptions{Addr: addr, Offset: int64(page)})
	must(t, err)
	defer at.Unmap()
	if at.Addr() != addr {
		t.Errorf("mapped at %#x, want %#x", at.Addr(), addr)
	}
}

func TestReadOnlyMapping(t *testing.T) {
	o, m := mapped(t, 100, &posix.MapOptions{Prot: posix.ProtRead})
	if !m.ReadOnly() {
		t.Error("not read-only")
	}
	_, err := m.WriteAt([]byte("x"), 0)
	wantErr(t, err, posix.ErrReadOnly)
	must(t, m.Prefault())
	_, err = posix.InitSemaphore(m, 0, 1)
	wantErr(t, err, posix.ErrReadOnly)
	writable, err := o.Map(nil)
	must(t, err)
	defer writable.Unmap()
	_, err = posix.InitSemaphore(writable, 0, 1)
	must(t, err)
	_, err = posix.SemaphoreAt(m, 0)
	wantErr(t, err, posix.ErrReadOnly)
}

// skipLostAddress skips a test of faults under qemu-user, which does not always report the
// address of a fault. Go then takes it for another kind of fault.
func skipLostAddress(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it loses the address of a fault, at times")
}

// TestProtectPartOfPage protects a part of the only page; the kernel rounds its length up.
func TestProtectPartOfPage(t *testing.T) {
	m, err := posix.MapAnonymous(100, nil)
	must(t, err)
	defer m.Unmap()
	must(t, m.Protect(0, 50, posix.ProtRead))
	if !m.ReadOnly() {
		t.Error("ReadOnly = false of a page that may not be written")
	}
	_, err = m.WriteAt([]byte("x"), 99)
	wantErr(t, err, posix.ErrReadOnly)
}

func TestProtect(t *testing.T) {
	skipLostAddress(t)
	o, m := mapped(t, int64(2*page), nil)
	write := func(off int) error { _, err := m.WriteAt([]byte("x"), int64(off)); return err }
	read := func(off int) error { _, err := m.ReadAt(make([]byte, 1), int64(off)); return err }

	must(t, m.Protect(page, 0, posix.ProtRead)) // the second page
	must(t, write(0))
	wantErr(t, write(page), posix.ErrFault)
	must(t, read(page))
	if m.ReadOnly() {
		t.Error("read-only, but the first page is not")
	}
	must(t, m.Protect(0, 0, posix.ProtRead))
	wantErr(t, write(0), posix.ErrReadOnly)
	must(t, m.Protect(0, page, posix.ProtRead))
	wantErr(t, write(page), posix.ErrReadOnly)
	must(t, m.Protect(0, page, posix.ProtRead|posix.ProtWrite))
	must(t, write(0))
	must(t, m.Protect(0, 2*page, posix.ProtNone))
	wantErr(t, read(0), posix.ErrFault)
	must(t, m.Protect(0, 0, 0))
	must(t, write(page))
	must(t, m.Protect(0, 0, posix.ProtRead|posix.ProtExec))

	readOnly, err := posix.OpenObject(o.Name(), posix.ReadOnly)
	must(t, err)
	defer readOnly.Close()
	r, err := readOnly.Map(&posix.MapOptions{Prot: posix.ProtRead})
	must(t, err)
	defer r.Unmap()
	wantErr(t, r.Protect(0, 0, posix.ProtRead|posix.ProtWrite), unix.EACCES)
	if !r.ReadOnly() {
		t.Error("not read-only after a Protect that failed")
	}
	none, err := o.Map(&posix.MapOptions{Prot: posix.ProtNone})
	must(t, err)
	defer none.Unmap()
	_, err = none.ReadAt(make([]byte, 1), 0)
	wantErr(t, err, posix.ErrFault)
}

// If an object shrinks while it is mapped, every method returns an error and none crashes.
func TestTruncatedUnderMapping(t *testing.T) {
	skipLostAddress(t)
	o, m := mapped(t, int64(3*page), nil)
	_, err := m.WriteAt(bytes.Repeat([]byte{'x'}, 3*page), 0)
	must(t, err)
	s, err := posix.InitSemaphore(m, 2*page, 1)
	must(t, err)
	must(t, o.Truncate(int64(page)+1))

	buf := make([]byte, 3*page)
	if _, err := m.ReadAt(buf[:page], 0); err != nil {
		t.Errorf("ReadAt of what is left: %v", err)
	}
	if _, err := m.ReadAt(buf[:2], int64(page)); err != nil || buf[0] != 'x' || buf[1] != 0 {
		t.Errorf("ReadAt of the page that the object ends in: %v, %q", err, buf[:2])
	}
	for what, err := range map[string]error{
		"ReadAt":        second(m.ReadAt(buf, 0)),
		"ReadAt behind": second(m.ReadAt(buf[:1], int64(2*page))),
		"WriteAt":       second(m.WriteAt(buf[:1], int64(2*page))),
		"Value":         second(s.Value()),
		"Waiters":       second(s.Waiters()),
		"InitSemaphore": second(posix.InitSemaphore(m, 2*page, 1)),
		"SemaphoreAt":   second(posix.SemaphoreAt(m, 2*page)),
	} {
		if !errors.Is(err, posix.ErrFault) {
			t.Errorf("%s of what was cut off: %v, want ErrFault", what, err)
		}
	}
	if !ipctest.UnderQEMU() { // qemu accepts advice that it does not know
		wantErr(t, m.Prefault(), posix.ErrFault)
	}
	// The lost part comes back as zeros.
	must(t, o.Truncate(int64(3*page)))
	if _, err := m.ReadAt(buf[:1], int64(2*page)); err != nil || buf[0] != 0 {
		t.Errorf("ReadAt of what was added: %v, %q", err, buf[:1])
	}
}

// TestMapFile maps a plain file: a write to the mapping is in the file.
func TestMapFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	must(t, err)
	_, err = f.WriteString("plain old file")
	must(t, err)
	m, err := posix.MapFile(f, nil)
	must(t, err)
	must(t, f.Close())
	defer m.Unmap()
	_, err = m.WriteAt([]byte("PLAIN"), 0)
	must(t, err)
	for _, flags := range []posix.SyncFlags{posix.SyncWait, posix.SyncAsync, posix.SyncInvalidate, posix.SyncWait | posix.SyncInvalidate} {
		must(t, m.Sync(0, 0, flags))
	}
	if text, err := os.ReadFile(f.Name()); string(text) != "PLAIN old file" || err != nil {
		t.Errorf("the file holds %q, %v", text, err)
	}
	zero, err := os.Open("/dev/zero")
	must(t, err)
	defer zero.Close()
	z, err := posix.MapFile(zero, &posix.MapOptions{Length: page, Private: true})
	must(t, err)
	must(t, z.Unmap())
}

func TestAnonymous(t *testing.T) {
	m, err := posix.MapAnonymous(100, &posix.AnonymousOptions{NoReserve: true})
	must(t, err)
	defer m.Unmap()
	must(t, m.Prefault())
	_, err = m.WriteAt([]byte("x"), 99)
	must(t, err)
	if got := m.Bytes(); len(got) != 100 || got[99] != 'x' {
		t.Errorf("%d bytes", len(got))
	}
}

func TestLock(t *testing.T) {
	_, m := mapped(t, int64(4*page), nil)
	must(t, m.Lock())
	defer m.Unlock()
	resident := make([]byte, 4)
	_, _, e := unix.Syscall(unix.SYS_MINCORE, m.Addr(), uintptr(m.Len()), uintptr(unsafe.Pointer(&resident[0])))
	if e != 0 || !bytes.Equal(resident, []byte{1, 1, 1, 1}) {
		t.Errorf("resident pages %v, %v", resident, e)
	}
	wantErr(t, m.Sync(0, 0, posix.SyncInvalidate), unix.EBUSY)
	must(t, m.Unlock())
	must(t, m.Sync(0, 0, posix.SyncInvalidate))
}

// If the pool has no huge pages, asking for them is an error at once, never a crash later.
func TestHugePages(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it does not know the sizes of huge pages")
	pool, err := os.ReadFile("/proc/sys/vm/nr_hugepages")
	if err != nil {
		t.Skip("the kernel has no huge pages")
	}
	const huge = 2 << 20
	m, err := posix.MapAnonymous(huge, &posix.AnonymousOptions{HugePages: posix.DefaultHugePages})
	if strings.TrimSpace(string(pool)) == "0" {
		wantErr(t, err, unix.ENOMEM)
		o, err := posix.CreateMemfd("huge", huge, &posix.MemfdOptions{HugePages: posix.DefaultHugePages})
		must(t, err)
		defer o.Close()
		wantErr(t, o.Reserve(huge), unix.ENOSPC)
		_, err = o.Map(nil)
		wantErr(t, err, unix.ENOMEM)
		return
	}
	must(t, err)
	must(t, m.Unmap())
}
