package ctxio_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ctxio"
)

// pipe returns a pipe that the os package does not poll, like the files a process is
// started with.
func pipe(t *testing.T) (reading, writing *os.File) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	reading, writing = os.NewFile(uintptr(fds[0]), "reading"), os.NewFile(uintptr(fds[1]), "writing")
	t.Cleanup(func() { reading.Close(); writing.Close() })
	return reading, writing
}

// cancelSoon cancels after the call has probably begun. On a very busy machine it may
// cancel earlier, which must work too.
func cancelSoon(cancel context.CancelFunc) { time.AfterFunc(20*time.Millisecond, cancel) }

func TestCopies(t *testing.T) {
	reading, writing := pipe(t)
	want := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	go func() {
		if n, err := ctxio.NewWriter(t.Context(), writing).Write(want); n != len(want) || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
		writing.Close()
	}()
	got, err := io.ReadAll(ctxio.NewReader(t.Context(), reading, nil))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v, want the %d that were written", len(got), err, len(want))
	}
}

func TestFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := ctxio.NewWriter(t.Context(), f).Write([]byte("text")); n != 4 || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(ctxio.NewReader(t.Context(), f, nil))
	if err != nil || string(got) != "text" {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestNonblocking uses a pipe that another process made nonblocking.
func TestNonblocking(t *testing.T) {
	reading, writing := pipe(t)
	for _, f := range []*os.File{reading, writing} {
		if err := unix.SetNonblock(int(f.Fd()), true); err != nil {
			t.Fatal(err)
		}
	}
	want := make([]byte, 1<<20)
	go func() {
		if n, err := ctxio.NewWriter(t.Context(), writing).Write(want); n != len(want) || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
		writing.Close()
	}()
	got, err := io.ReadAll(ctxio.NewReader(t.Context(), reading, nil))
	if err != nil || len(got) != len(want) {
		t.Errorf("read %d bytes, %v, want %d", len(got), err, len(want))
	}
}

func TestReadIsCancelled(t *testing.T) {
	reading, _ := pipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancelSoon(cancel)
	if n, err := ctxio.NewReader(ctx, reading, nil).Read(make([]byte, 1)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Read = %d, %v, want context.Canceled", n, err)
	}
}

// TestWriteIsCancelled writes more than the pipe holds, so the write is under way when
// it is cancelled.
func TestWriteIsCancelled(t *testing.T) {
	_, writing := pipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancelSoon(cancel)
	if n, err := ctxio.NewWriter(ctx, writing).Write(make([]byte, 1<<20)); n == 1<<20 || !errors.Is(err, context.Canceled) {
		t.Errorf("Write = %d, %v, want a part, and context.Canceled", n, err)
	}
}

func TestIdle(t *testing.T) {
	reading, _ := pipe(t)
	calls, enough := 0, errors.New("enough")
	_, err := ctxio.NewReader(t.Context(), reading, func() error {
		if calls++; calls == 2 {
			return enough
		}
		return nil
	}).Read(make([]byte, 1))
	if !errors.Is(err, enough) || calls != 2 {
		t.Errorf("Read = %v after %d calls, want the error of the second", err, calls)
	}
}

func TestErrors(t *testing.T) {
	reading, writing := pipe(t)
	reading.Close()
	if _, err := ctxio.NewWriter(t.Context(), writing).Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Write to a pipe that nobody reads: %v", err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	if _, err := ctxio.NewWriter(t.Context(), full).Write([]byte("x")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write to /dev/full: %v", err)
	}
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	var path *fs.PathError
	if _, err := ctxio.NewReader(t.Context(), dir, nil).Read(make([]byte, 1)); !errors.Is(err, syscall.EISDIR) || !errors.As(err, &path) || path.Op != "read" {
		t.Errorf("Read of a directory: %v", err)
	}
}
