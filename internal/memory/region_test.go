package memory_test

import (
	"errors"
	"io"
	"runtime"
	"testing"
	"unsafe"

	"github.com/sysvipc/gipc/internal/memory"
)

var errGone = errors.New("gone")

// region makes a Region of n bytes of Go's memory, aligned to 16.
func region(n int, readOnly bool) *memory.Region {
	words := make([]complex128, n/16+1)
	r := memory.New(uintptr(unsafe.Pointer(&words[0])), n, readOnly, errGone)
	runtime.KeepAlive(words)
	return r
}

func TestUnmap(t *testing.T) {
	r := region(100, false)
	refused := errors.New("refused")
	if err := r.Unmap(func([]byte) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("Unmap: error %v, want that of release", err)
	}
	if r.Len() != 100 {
		t.Error("memory that could not be released counts as gone")
	}
	err := r.Unmap(func(mem []byte) error {
		if len(mem) != 100 {
			t.Errorf("release was given %d bytes, want 100", len(mem))
		}
		return nil
	})
	if err != nil || r.Len() != 0 || r.Bytes() != nil {
		t.Errorf("Unmap: error %v, %d bytes left", err, r.Len())
	}
	for call, err := range map[string]error{
		"Unmap": r.Unmap(func([]byte) error { panic("released twice") }),
		"Do":    r.Do(func([]byte) error { panic("called with nothing") }),
	} {
		if !errors.Is(err, errGone) {
			t.Errorf("%s after Unmap: error %v, want what New was given", call, err)
		}
	}
	if _, err := r.ReadAt(nil, 0); !errors.Is(err, errGone) {
		t.Errorf("ReadAt after Unmap: error %v", err)
	}
	if _, err := r.WriteAt(nil, 0); !errors.Is(err, errGone) {
		t.Errorf("WriteAt after Unmap: error %v", err)
	}
}

// TestUnmapWaits unmaps while Do runs.
func TestUnmapWaits(t *testing.T) {
	r := region(1, false)
	inside, leave, released := make(chan bool), make(chan bool), make(chan bool)
	go func() {
		err := r.Do(func([]byte) error {
			inside <- true
			<-leave
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}()
	<-inside
	go func() {
		err := r.Unmap(func([]byte) error {
			close(released)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-released:
		t.Error("released under the hands of Do")
	default:
	}
	close(leave)
	<-released
}

func TestAccess(t *testing.T) {
	r, readOnly := region(10, false), region(10, true)
	if n, err := r.WriteAt([]byte("abc"), 7); n != 3 || err != nil {
		t.Errorf("WriteAt = %d, %v", n, err)
	}
	buf := make([]byte, 5)
	if n, err := r.ReadAt(buf, 6); n != 4 || !errors.Is(err, io.EOF) || string(buf[:n]) != "\x00abc" {
		t.Errorf("ReadAt = %d, %v, %q", n, err, buf)
	}
	if n, err := r.WriteAt([]byte("abc"), 8); n != 0 || !errors.Is(err, memory.ErrBounds) {
		t.Errorf("WriteAt beyond the end = %d, %v", n, err)
	}
	if n, err := readOnly.WriteAt([]byte("abc"), 0); n != 0 || !errors.Is(err, memory.ErrReadOnly) {
		t.Errorf("WriteAt = %d, %v, want ErrReadOnly", n, err)
	}
	if !readOnly.ReadOnly() || r.ReadOnly() {
		t.Error("ReadOnly tells the wrong thing")
	}
	if v, err := memory.View[[2]byte](r, 8); err != nil || *v != [2]byte{'b', 'c'} {
		t.Errorf("View = %v, %v", v, err)
	}
}

func TestProtect(t *testing.T) {
	r := region(10, false)
	refused := errors.New("refused")
	if err := r.Protect(func([]byte, bool) (bool, error) { return true, refused }); !errors.Is(err, refused) || r.ReadOnly() {
		t.Errorf("Protect: error %v, read-only %v, want that of change, and no change", err, r.ReadOnly())
	}
	for _, readOnly := range []bool{true, false} {
		err := r.Protect(func(mem []byte, before bool) (bool, error) {
			if len(mem) != 10 || before == readOnly {
				t.Errorf("change was given %d bytes, read-only %v, want 10, %v", len(mem), before, !readOnly)
			}
			return readOnly, nil
		})
		if err != nil || r.ReadOnly() != readOnly {
			t.Errorf("Protect(%v): error %v, read-only %v", readOnly, err, r.ReadOnly())
		}
		if _, err := r.WriteAt([]byte("x"), 0); readOnly != errors.Is(err, memory.ErrReadOnly) {
			t.Errorf("after Protect(%v): WriteAt: error %v", readOnly, err)
		}
	}
	_ = r.Unmap(func([]byte) error { return nil })
	if err := r.Protect(func([]byte, bool) (bool, error) { panic("called with nothing") }); !errors.Is(err, errGone) {
		t.Errorf("Protect after Unmap: error %v", err)
	}
}
