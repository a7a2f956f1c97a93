package memory

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapTruncated maps two pages of a file and truncates the second, so that access to it is
// a SIGBUS.
func mapTruncated(t *testing.T, readOnly bool) *Region {
	t.Helper()
	if os.Getenv("GIPC_TEST_QEMU") != "" {
		t.Skip("qemu-user: a SIGBUS comes without its address")
	}
	page := os.Getpagesize()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(int64(2 * page)); err != nil {
		t.Fatal(err)
	}
	access := unix.PROT_READ | unix.PROT_WRITE
	if readOnly {
		access = unix.PROT_READ
	}
	mem, err := unix.Mmap(int(file.Fd()), 0, 2*page, access, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	r := New(uintptr(unsafe.Pointer(&mem[0])), len(mem), readOnly, errors.New("gone"))
	t.Cleanup(func() {
		if err := r.Unmap(func([]byte) error { return unix.Munmap(mem) }); err != nil {
			t.Error(err)
		}
	})
	if err := file.Truncate(int64(page)); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFault accesses a page that the kernel cannot provide. The result is an error, not
// the end of the program, and the memory before that page stays usable.
func TestFault(t *testing.T) {
	page := int64(os.Getpagesize())
	r := mapTruncated(t, false)
	buf := make([]byte, 8)
	calls := map[string]func() error{
		"ReadAt":             func() error { _, err := r.ReadAt(buf, page); return err },
		"ReadAt, half of it": func() error { _, err := r.ReadAt(buf, page-4); return err },
		"WriteAt":            func() error { _, err := r.WriteAt(buf, page); return err },
		"Prefault":           r.Prefault,
		"Guard": func() error {
			return Guard(func() error {
				buf[0] = r.Bytes()[page]
				return nil
			})
		},
		"Prefault before Linux 5.14": func() error {
			return r.Do(func(mem []byte) error { return touch(mem, false) })
		},
		"Prefault before Linux 5.14, read-only": func() error {
			return r.Do(func(mem []byte) error { return touch(mem, true) })
		},
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, ErrFault) {
			t.Errorf("%s: error %v, want ErrFault", name, err)
		}
	}
	if n, err := r.WriteAt([]byte("whole"), page-5); n != 5 || err != nil {
		t.Errorf("WriteAt before the fault = %d, %v", n, err)
	}
	if err := mapTruncated(t, true).Prefault(); !errors.Is(err, ErrFault) {
		t.Errorf("Prefault, read-only: error %v, want ErrFault", err)
	}
}

// TestTouch makes the pages of a hole present, and changes nothing.
func TestTouch(t *testing.T) {
	page := os.Getpagesize()
	mem, err := unix.Mmap(-1, 0, 4*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(mem) }()
	mem[2*page] = 7
	// The last page is touched even though the memory ends within it.
	if err := touch(mem[:3*page+1], false); err != nil {
		t.Fatal(err)
	}
	if mem[2*page] != 7 || mem[0] != 0 {
		t.Errorf("touch changed the contents: %d, %d", mem[2*page], mem[0])
	}
	resident := make([]byte, 4)
	if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mem[0])), uintptr(len(mem)), uintptr(unsafe.Pointer(&resident[0]))); e != 0 {
		t.Skip(e) // qemu-user of some architectures
	}
	for i, r := range resident {
		if r&1 == 0 {
			t.Errorf("page %d is not resident", i)
		}
	}
}

// TestOtherPanics checks that a panic other than a memory fault passes through.
func TestOtherPanics(t *testing.T) {
	defer func() {
		if r := recover(); r != "mine" {
			t.Errorf("recovered %v, want the panic itself", r)
		}
	}()
	var err error
	defer guard(false, &err)
	panic("mine")
}
