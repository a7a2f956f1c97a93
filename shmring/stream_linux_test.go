package shmring_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sysvipc/gipc/shmring"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(b)
	return b
}

// onlyReader and onlyWriter hide every other method.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// TestStream copies in all combinations of ways to write and to read.
func TestStream(t *testing.T) {
	want := randomBytes(300_001)
	writers := map[string]func(w *shmring.Writer) error{
		"Write": func(w *shmring.Writer) error { _, err := w.Write(want); return err },
		"small writes": func(w *shmring.Writer) error {
			_, err := io.CopyBuffer(onlyWriter{w}, onlyReader{bytes.NewReader(want)}, make([]byte, 77))
			return err
		},
		"ReadFrom": func(w *shmring.Writer) error {
			n, err := w.ReadFrom(iotest.HalfReader(bytes.NewReader(want)))
			if n != int64(len(want)) {
				t.Errorf("ReadFrom = %d, want %d", n, len(want))
			}
			return err
		},
		"ReadFrom with data and end at once": func(w *shmring.Writer) error {
			_, err := w.ReadFrom(iotest.DataErrReader(bytes.NewReader(want)))
			return err
		},
	}
	readers := map[string]func(r *shmring.Reader) ([]byte, error){
		"Read":        func(r *shmring.Reader) ([]byte, error) { return io.ReadAll(onlyReader{r}) },
		"small reads": func(r *shmring.Reader) ([]byte, error) { return io.ReadAll(iotest.OneByteReader(r)) },
		"WriteTo": func(r *shmring.Reader) ([]byte, error) {
			var b bytes.Buffer
			n, err := r.WriteTo(onlyWriter{&b})
			if n != int64(b.Len()) {
				t.Errorf("WriteTo = %d, want %d", n, b.Len())
			}
			return b.Bytes(), err
		},
	}
	for wname, write := range writers {
		for rname, read := range readers {
			t.Run(wname+" to "+rname, func(t *testing.T) {
				ring, _ := newRing(t, 8192, shmring.One)
				w := producer(t, ring).Writer(background(t))
				r := consumer(t, ring).Reader(background(t))
				together(
					func() {
						if err := write(w); err != nil {
							t.Error(err)
						}
						if err := w.Close(); err != nil {
							t.Error(err)
						}
					},
					func() {
						if got, err := read(r); err != nil || !bytes.Equal(got, want) {
							t.Errorf("%d bytes arrived, %v, want %d", len(got), err, len(want))
						}
					})
				if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
					t.Errorf("Read after the end = %d, %v, want io.EOF again", n, err)
				}
			})
		}
	}
}

// TestHalfClose closes the directions of a conversation one by one.
func TestHalfClose(t *testing.T) {
	ctx := background(t)
	there, _ := newRing(t, 4096, shmring.One)
	back, _ := newRing(t, 4096, shmring.One)
	together(func() {
		w, r := producer(t, there).Writer(ctx), consumer(t, back).Reader(ctx)
		if _, err := io.WriteString(w, "question"); err != nil {
			t.Error(err)
		}
		w.Close()
		if answer, err := io.ReadAll(r); string(answer) != "QUESTION" || err != nil {
			t.Errorf("answer = %q, %v", answer, err)
		}
	}, func() {
		r, w := consumer(t, there).Reader(ctx), producer(t, back).Writer(ctx)
		question, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		if _, err := w.Write(bytes.ToUpper(question)); err != nil {
			t.Error(err)
		}
		w.Close()
	})
}

func TestReaderCloses(t *testing.T) {
	ring, _ := newRing(t, 4096, shmring.One)
	w, r := producer(t, ring).Writer(background(t)), consumer(t, ring).Reader(background(t))
	together(func() {
		if n, err := w.Write(make([]byte, 1<<20)); !errors.Is(err, shmring.ErrClosed) || n == 0 || n > 4096 {
			t.Errorf("Write = %d, %v, want ErrClosed after a part", n, err)
		}
	}, func() {
		for p, err := ring.Positions(); p.Tail == p.Head && err == nil; p, err = ring.Positions() {
			runtime.Gosched()
		}
		r.Close()
	})
}

// TestReadAfterClose reads a part of a message, whose memory belongs to the producer again
// after the reader has closed.
func TestReadAfterClose(t *testing.T) {
	ring, _ := newRing(t, 4096, shmring.One)
	w, r := producer(t, ring).Writer(background(t)), consumer(t, ring).Reader(background(t))
	if _, err := w.Write([]byte("abcdef")); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 2)); n != 2 || err != nil {
		t.Fatalf("Read = %d, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 2)); n != 0 || !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("Read after Close = %d, %v, want ErrClosed", n, err)
	}
	if n, err := r.WriteTo(io.Discard); n != 0 || !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("WriteTo after Close = %d, %v, want ErrClosed", n, err)
	}
	if err := r.Close(); !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("Close again: %v, want ErrClosed", err)
	}
}

// TestReadFromBoaster uses a reader that claims to have read more than there was room for.
func TestReadFromBoaster(t *testing.T) {
	ring, _ := newRing(t, 4096, shmring.One)
	w, r := producer(t, ring).Writer(background(t)), consumer(t, ring).Reader(background(t))
	boast := readerFunc(func(p []byte) (int, error) { return len(p) + 1, nil })
	if n, err := w.ReadFrom(boast); n != 0 || !errors.Is(err, shmring.ErrTooLarge) {
		t.Errorf("ReadFrom = %d, %v, want ErrTooLarge", n, err)
	}
	if _, err := w.Write([]byte("abc")); err != nil {
		t.Errorf("Write after that: %v", err)
	}
	w.Close()
	if got, err := io.ReadAll(r); string(got) != "abc" || err != nil {
		t.Errorf("%q arrived, %v, want abc", got, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestReadFromBroken(t *testing.T) {
	ring, _ := newRing(t, 4096, shmring.One)
	w, r := producer(t, ring).Writer(background(t)), consumer(t, ring).Reader(background(t))
	broken := errors.New("broken")
	source := io.MultiReader(bytes.NewReader([]byte("abc")), iotest.ErrReader(broken))
	if n, err := w.ReadFrom(source); n != 3 || !errors.Is(err, broken) {
		t.Errorf("ReadFrom a broken reader = %d, %v, want 3, %v", n, err, broken)
	}
	w.Close()
	if n, err := r.Read(nil); n != 0 || err != nil {
		t.Errorf("Read of nothing = %d, %v", n, err)
	}
	if got, err := io.ReadAll(r); string(got) != "abc" || err != nil {
		t.Errorf("%q arrived, %v, want abc", got, err)
	}
}

// TestWriteToShort uses writers that take a part of a stream and fail. The rest can still
// be read.
func TestWriteToShort(t *testing.T) {
	ring, _ := newRing(t, 4096, shmring.One)
	w, r := producer(t, ring).Writer(background(t)), consumer(t, ring).Reader(background(t))
	if _, err := io.WriteString(w, "abcdef"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	full := errors.New("full")
	for _, tt := range []struct {
		n         int
		err, want error
	}{
		{2, full, full},
		{1, nil, io.ErrShortWrite},
		{-1, full, nil},
		{100, nil, nil},
	} {
		n, err := r.WriteTo(writerFunc(func([]byte) (int, error) { return tt.n, tt.err }))
		if wantN := int64(tt.n); tt.want != nil && (n != wantN || !errors.Is(err, tt.want)) {
			t.Errorf("WriteTo = %d, %v, want %d, %v", n, err, wantN, tt.want)
		} else if tt.want == nil && (n != 0 || err == nil) {
			t.Errorf("WriteTo a writer that says %d: %d, %v, want an error", tt.n, n, err)
		}
	}
	if rest, err := io.ReadAll(r); string(rest) != "def" || err != nil {
		t.Errorf("the rest is %q, %v, want def", rest, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestStreamCut kills the writer in the middle of a stream. From then on, every Read
// returns ErrPeerDied.
func TestStreamCut(t *testing.T) {
	ring, f := newRing(t, 4096, shmring.One)
	cmd := goPeer(t, self(t), f, "stream")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stdin, "the first part"); err != nil {
		t.Fatal(err)
	}
	r := consumer(t, ring).Reader(background(t))
	buf := make([]byte, 100)
	if n, err := r.Read(buf); string(buf[:n]) != "the first part" || err != nil {
		t.Errorf("Read = %q, %v", buf[:n], err)
	}
	kill(t, cmd)
	for range 2 {
		if n, err := r.Read(buf); n != 0 || !errors.Is(err, shmring.ErrPeerDied) {
			t.Errorf("Read = %d, %v, want ErrPeerDied", n, err)
		}
	}
}

// TestStreamProcess sends a file through another process.
func TestStreamProcess(t *testing.T) {
	want := randomBytes(20 << 20)
	ring, f := newRing(t, 1<<20, shmring.One)
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(want); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	cmd := goPeer(t, self(t), f, "stream")
	cmd.Stdin = file
	together(func() { must(t, cmd) }, func() {
		h := sha256.New()
		n, err := io.Copy(h, consumer(t, ring).Reader(background(t)))
		if n != int64(len(want)) || err != nil || !bytes.Equal(h.Sum(nil), sum(want)) {
			t.Errorf("%d bytes arrived, %v, want %d, or they are wrong", n, err, len(want))
		}
	})
}

func sum(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

// TestReadCancelled goes on with a new Reader and Writer after the context of the first
// ones is done.
func TestReadCancelled(t *testing.T) {
	ring, _ := newRing(t, 4096, shmring.One)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	c := consumer(t, ring)
	if n, err := c.Reader(ctx).Read(make([]byte, 1)); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Read = %d, %v, want DeadlineExceeded", n, err)
	}
	p := producer(t, ring)
	if n, err := p.Writer(ctx).Write(make([]byte, 1000)); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Write = %d, %v, want DeadlineExceeded", n, err)
	}
	if _, err := p.Writer(background(t)).Write(make([]byte, 1000)); err != nil {
		t.Errorf("Write = %v", err)
	}
	buf := make([]byte, 1000)
	if n, err := c.Reader(background(t)).Read(buf); n == 0 || err != nil {
		t.Errorf("Read = %d, %v", n, err)
	}
}

// TestReadEmpty checks that Read ends with its context even if there are always messages,
// all of them empty.
func TestReadEmpty(t *testing.T) {
	ring, _ := newRing(t, 4096, shmring.One)
	p, c := producer(t, ring), consumer(t, ring)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 2 {
		if err := p.Send(background(t), nil); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := c.Reader(ctx).Read(make([]byte, 1)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Read = %d, %v, want Canceled", n, err)
	}
	if msg, ok, err := c.TryReceive(); len(msg) != 0 || !ok || err != nil {
		t.Errorf("TryReceive = %q, %v, %v: Read went on in spite of its context", msg, ok, err)
	}
}

// TestReadReleases checks that the writer goes on as soon as everything was read, before
// the next Read.
func TestReadReleases(t *testing.T) {
	ring, _ := newRing(t, 4096, shmring.One)
	p, r := producer(t, ring), consumer(t, ring).Reader(background(t))
	for range 2 {
		if err := p.Send(background(t), make([]byte, 2048)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, ok, err := p.TryClaim(2048); ok || err != nil {
			t.Fatalf("TryClaim in a full ring = %v, %v", ok, err)
		}
		if _, err := io.ReadFull(r, make([]byte, 2048)); err != nil {
			t.Fatal(err)
		}
		claim, ok, err := p.TryClaim(2048)
		if !ok || err != nil {
			t.Fatalf("TryClaim after all was read = %v, %v", ok, err)
		}
		if err := claim.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}
