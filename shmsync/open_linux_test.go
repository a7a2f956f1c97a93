package shmsync_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmsync"
)

// Offsets of the layout.
const (
	magicAt   = 0
	versionAt = 8
	idAt      = 16
	deathAt   = 24
	wordAt    = 32
	ticketsAt = 40
	sinceAt   = 48
)

func TestMisplaced(t *testing.T) {
	m, err := posix.MapAnonymous(4096, nil)
	must(t, err)
	for off, want := range map[int]error{
		-64: shmsync.ErrBounds, 4096: shmsync.ErrBounds, 4040: shmsync.ErrBounds, 8: shmsync.ErrAlignment, 32: shmsync.ErrAlignment,
	} {
		_, err := shmsync.NewMutex(m, off)
		mustBe(t, err, want)
	}
	last, err := shmsync.NewMutex(m, 4096-shmsync.MutexSize)
	must(t, err)
	must(t, last.Close())
	must(t, m.Protect(0, 0, posix.ProtRead))
	_, err = shmsync.NewMutex(m, 0)
	mustBe(t, err, shmsync.ErrReadOnly)
	must(t, m.Unmap())
}

// TestMade opens a lock in several goroutines at once: in memory of zeros, and in memory
// where a process was killed while it made the lock.
func TestMade(t *testing.T) {
	for _, words := range [][]int{{}, {idAt}, {idAt, deathAt}, {idAt, deathAt, ticketsAt}, {idAt, deathAt, ticketsAt, versionAt}} {
		w := newWorldNamed(t, fmt.Sprintf("/made-%d", len(words)))
		must(t, w.mutex().Close()) // makes a complete lock
		begun := map[int]uint64{}
		for _, off := range words {
			begun[off] = w.word(off).Load()
		}
		for off := 0; off < shmsync.MutexSize; off += 8 {
			w.word(off).Store(begun[off])
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				mu, err := shmsync.NewMutex(w.mem, 0)
				if err != nil {
					t.Error(err)
					return
				}
				if err := mu.With(context.Background(), func(bool) error { w.page.plain++; return nil }); err != nil {
					t.Error(err)
				}
				if err := mu.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := w.page.plain; n != 8 {
			t.Errorf("%d counts, want 8", n)
		}
	}
}

// TestCorrupt writes values that no process may write. Each causes an error, at once or
// when a waiter next checks the holder, and never an endless wait.
func TestCorrupt(t *testing.T) {
	const magic = 0x7874_756d_6370_6967
	var word [8]byte
	binary.NativeEndian.PutUint32(word[4:], 1)
	second := binary.NativeEndian.Uint64(word[:]) // 1 in the second half of a word
	for name, tt := range map[string]struct {
		off  int
		bits uint64
		open error // of NewMutex
		wait error // of a wait that is under way
	}{
		"magic":         {magicAt, 1, shmsync.ErrNotLock, shmsync.ErrCorrupt},
		"no magic":      {magicAt, magic, shmsync.ErrNotLock, shmsync.ErrCorrupt},
		"version":       {versionAt, 2, shmsync.ErrVersion, nil},
		"feature":       {versionAt, 1 << 33, shmsync.ErrVersion, nil},
		"other kind":    {versionAt, second, shmsync.ErrNotLock, nil},
		"death":         {deathAt, 4, shmsync.ErrCorrupt, nil},
		"other tickets": {ticketsAt, 1 << 57, nil, shmsync.ErrCorrupt},
		"bad tickets":   {ticketsAt, 1 << 62, shmsync.ErrCorrupt, shmsync.ErrCorrupt},
		"owner":         {wordAt, 1 << 63, nil, shmsync.ErrCorrupt},
		"reserved":      {wordAt, 8, nil, shmsync.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			mu, other := w.mutex(), w.mutex()
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			_, err := mu.Lock(ctx)
			must(t, err)
			waited := w.sleeps(ctx, other)
			was := w.word(tt.off).Load()
			w.word(tt.off).Store(was ^ tt.bits)
			if tt.wait != nil {
				mustBe(t, <-waited, tt.wait)
			}
			third, err := shmsync.NewMutex(w.mem, 0)
			if third != nil {
				defer third.Close()
			}
			mustBe(t, err, tt.open)
			w.word(tt.off).Store(was)
			must(t, mu.Unlock())
			if tt.wait == nil {
				must(t, <-waited)
				must(t, other.Unlock())
			}
		})
	}
}

// TestGarbage opens memory that holds no lock, and takes locks whose word has any
// combination of flags.
func TestGarbage(t *testing.T) {
	w := newWorld(t)
	for _, fill := range []uint64{1, 0xff, ^uint64(0), 0x2020202020202020} {
		for off := 0; off < shmsync.MutexSize; off += 8 {
			w.word(off).Store(fill)
		}
		_, err := shmsync.NewMutex(w.mem, 0)
		mustBe(t, err, shmsync.ErrNotLock)
	}
	for off := 0; off < shmsync.MutexSize; off += 8 {
		w.word(off).Store(0)
	}
	mu := w.mutex()
	for flags := range uint64(32) {
		w.word(wordAt).Store(flags)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		abandoned, err := mu.Lock(ctx)
		cancel()
		if err != nil || abandoned != (flags&16 != 0) {
			t.Errorf("Lock of a free word with flags %d: %v, %v", flags, abandoned, err)
			continue
		}
		must(t, errors.Join(mu.MarkConsistent(), mu.Unlock()))
	}
	if v := w.word(wordAt).Load(); v != 0 {
		t.Errorf("the word ends as %#x, want 0", v)
	}
}

func TestForeign(t *testing.T) {
	w := worlds["segment"](t)
	must(t, w.mutex().Close())
	w.word(deathAt).Store(w.word(deathAt).Load() ^ 1<<40)
	_, err := shmsync.NewMutex(w.mem, 0)
	mustBe(t, err, shmsync.ErrForeign)
}
