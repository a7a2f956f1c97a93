package shmring_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
)

// A page is a value of 4 KiB whose words all follow from the first one.
type page struct{ Words [512]uint64 }

func (p *page) fill(n uint64) {
	for i := range p.Words {
		p.Words[i] = n + uint64(i)
	}
}

func (p *page) check() error {
	for i, w := range p.Words {
		if w != p.Words[0]+uint64(i) && p.Words != [512]uint64{} {
			return fmt.Errorf("torn: word %d is %d, word 0 %d", i, w, p.Words[0])
		}
	}
	return nil
}

// newCell makes a cell in memory of its own.
func newCell[T any](t testing.TB) (*shmring.Cell[T], *os.File) {
	t.Helper()
	_, f := shared(t, shmring.CellSize[T]())
	m, err := posix.MapFile(f, nil)
	noError(t, err)
	c, err := shmring.CreateCellIn[T](m)
	noError(t, err)
	t.Cleanup(func() { _ = errors.Join(c.Close(), m.Unmap()) })
	return c, f
}

func TestCell(t *testing.T) {
	ctx := background(t)
	c, _ := newCell[page](t)
	if v, version, err := c.Load(); v != (page{}) || version != 0 || err != nil {
		t.Errorf("Load of a new cell = version %d, %v", version, err)
	}
	var v page
	for n := range uint64(20) {
		v.fill(n)
		version, err := c.Store(ctx, v)
		if version != n+1 || err != nil {
			t.Fatalf("Store = %d, %v, want %d", version, err, n+1)
		}
		if got, version, err := c.Load(); got != v || version != n+1 || err != nil {
			t.Fatalf("Load = %d, %d, %v, want %d", got.Words[0], version, err, n)
		}
	}
	version, err := c.Update(ctx, func(p *page) error { p.fill(p.Words[0] + 100); return nil })
	if got, _, _ := c.Load(); version != 21 || err != nil || got.Words[0] != 119 {
		t.Errorf("Update = %d, %v, value %d; want 21 and 119", version, err, got.Words[0])
	}
	failure := errors.New("no")
	if _, err := c.Update(ctx, func(p *page) error { p.fill(0); return failure }); err != failure {
		t.Errorf("Update = %v, want the error of its function", err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = c.Update(ctx, func(p *page) error { p.fill(0); panic("update") })
	}()
	if got, version, err := c.Wait(ctx, 20); got.Words[0] != 119 || version != 21 || err != nil {
		t.Errorf("Wait = %d, %d, %v", got.Words[0], version, err)
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, _, err := c.Wait(short, 21); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait = %v, want the deadline", err)
	}
	for name, call := range map[string]func() error{
		"Store":  func() error { _, err := c.Store(short, v); return err },
		"Update": func() error { _, err := c.Update(short, func(*page) error { return nil }); return err },
		"Wait":   func() error { _, _, err := c.Wait(short, 0); return err },
	} {
		if err := call(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s with a done context: %v", name, err)
		}
	}
	t.Run("NoAllocation", func(t *testing.T) {
		ipctest.SkipUnderCheckptr(t)
		if n := testing.AllocsPerRun(100, func() { _, _, _ = c.Load() }); n != 0 {
			t.Errorf("Load makes %v allocations", n)
		}
	})
	noError(t, c.Close())
	_, _, err = c.Load()
	if !errors.Is(err, shmring.ErrClosed) || !errors.Is(c.Close(), shmring.ErrClosed) {
		t.Errorf("Load after Close: %v", err)
	}
}

// TestCellWait lets a reader wait for each version of a writer in another goroutine.
func TestCellWait(t *testing.T) {
	ctx := background(t)
	c, _ := newCell[uint64](t)
	back, _ := newCell[uint64](t)
	together(
		func() {
			for n := range uint64(1000) {
				if _, err := c.Store(ctx, n); err != nil {
					t.Error(err)
				}
				if v, _, err := back.Wait(ctx, n); v != n || err != nil {
					t.Errorf("answer %d, %v, want %d", v, err, n)
					return
				}
			}
		},
		func() {
			for n := range uint64(1000) {
				v, version, err := c.Wait(ctx, n)
				if v != n || version != n+1 || err != nil {
					t.Errorf("Wait = %d, %d, %v, want %d", v, version, err, n)
					return
				}
				if _, err := back.Store(ctx, v); err != nil {
					t.Error(err)
				}
			}
		})
}

// TestCellTypes opens a cell as another type. The error says how the types differ.
func TestCellTypes(t *testing.T) {
	type config struct {
		Width, Height int32
		Rate          float64
	}
	type sameConfig config
	type swapped struct {
		Height, Width int32
		Rate          float64
	}
	type longer struct {
		Width, Height int32
		Rate          float64
		Name          [8]byte
	}
	ctx := background(t)
	const name = "/cell-types"
	c, err := shmring.OpenOrCreateCell[config](ctx, name, nil)
	noError(t, err)
	_, err = c.Store(ctx, config{640, 480, 30})
	noError(t, err)
	same, err := shmring.OpenOrCreateCell[sameConfig](ctx, name, nil)
	noError(t, err)
	if v, _, err := same.Load(); v != (sameConfig{640, 480, 30}) || err != nil {
		t.Errorf("Load = %v, %v", v, err)
	}
	for want, open := range map[string]func() error{
		`"Width@0 int32`: func() error { _, err := shmring.OpenOrCreateCell[swapped](ctx, name, nil); return err },
		`Name@16`:        func() error { _, err := shmring.OpenOrCreateCell[longer](ctx, name, nil); return err },
		`not 8`:          func() error { _, err := shmring.OpenOrCreateCell[uint64](ctx, name, nil); return err },
	} {
		if err := open(); !errors.Is(err, shmring.ErrMismatch) || !strings.Contains(err.Error(), want) {
			t.Errorf("opened as another type: %v, want ErrMismatch with %s", err, want)
		}
	}
	if _, err := shmring.OpenOrCreateCell[struct{ S string }](ctx, "/none", nil); !errors.Is(err, shmring.ErrPointers) {
		t.Errorf("a type with pointers: %v, want ErrPointers", err)
	}
	if _, err := shmring.OpenOrCreateBroadcast(ctx, name, nil); !errors.Is(err, shmring.ErrNotRing) {
		t.Errorf("opened as a broadcast: %v, want ErrNotRing", err)
	}
	if err := c.Remove(); !errors.Is(err, shmring.ErrBusy) {
		t.Errorf("Remove while another has it open: %v, want ErrBusy", err)
	}
	noError(t, errors.Join(same.Close(), c.Remove(), c.Close()))
}

// TestCellShrinks truncates the memory while it is in use.
func TestCellShrinks(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "a SIGBUS comes without its address")
	c, f := newCell[page](t)
	noError(t, f.Truncate(0))
	if _, _, err := c.Load(); !errors.Is(err, shmring.ErrFault) {
		t.Errorf("Load = %v, want ErrFault", err)
	}
	if _, _, err := c.Wait(t.Context(), 0); !errors.Is(err, shmring.ErrFault) {
		t.Errorf("Wait = %v, want ErrFault", err)
	}
	if _, err := c.Store(t.Context(), page{}); !errors.Is(err, shmring.ErrFault) {
		t.Errorf("Store = %v, want ErrFault", err)
	}
	noError(t, f.Truncate(int64(shmring.CellSize[page]()))) // for the clean-up
}

// storePages stores values until it is killed. Word 0 of a value never decreases.
func storePages([]string) error {
	c, err := inherited(3, shmring.OpenCellIn[page])
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for ctx := context.Background(); ; {
		_, err := c.Update(ctx, func(p *page) error {
			if err := p.check(); err != nil {
				return err
			}
			p.fill(p.Words[0] + 1000)
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// TestKilledStores kills writers at random moments. Each value that is loaded is whole, and
// belongs to its version.
func TestKilledStores(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	c, f := newCell[page](t)
	ctx, cancel := context.WithCancel(context.Background())
	load := func() {
		last := uint64(0)
		for ; ctx.Err() == nil; time.Sleep(20 * time.Microsecond) { // writers need the processors, too
			v, version, err := c.Load()
			if err == nil {
				err = v.check()
			}
			if err == nil && (version < last || v.Words[0] != 1000*version) {
				err = fmt.Errorf("value %d of version %d after version %d", v.Words[0], version, last)
			}
			if err != nil {
				t.Error(err)
				return
			}
			last = version
		}
	}
	together(load, load, func() {
		defer cancel()
		for range ipctest.Rounds(t, 60, 2) {
			one := start(t, goPeer(t, self(t), f, "storer"))
			two := start(t, goPeer(t, self(t), f, "storer"))
			_, version, err := c.Load()
			noError(t, err)
			if !eventually(func() bool { _, now, _ := c.Load(); return now > version+20 }) {
				t.Error("no value is stored any more")
				return
			}
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
			kill(t, one)
			kill(t, two)
		}
	})
	_, version, _ := c.Load()
	t.Logf("%d versions", version)
}

// TestCellAtFullSpeed runs 8 readers and a writer without pauses.
func TestCellAtFullSpeed(t *testing.T) {
	c, f := newCell[page](t)
	ctx, cancel := context.WithCancel(context.Background())
	var loads [8]int
	work := []func(){func() {
		defer cancel()
		for range ipctest.Rounds(t, 30, 0) {
			for range 1000 {
				if _, err := c.Update(ctx, func(p *page) error { p.fill(p.Words[0] + 1); return nil }); err != nil {
					t.Error(err)
				}
			}
		}
	}}
	for i := range loads {
		work = append(work, func() {
			m, err := posix.MapFile(f, nil)
			noError(t, err)
			c, err := shmring.OpenCellIn[page](m)
			noError(t, err)
			for ctx.Err() == nil {
				v, version, err := c.Load()
				if err == nil {
					err = v.check()
				}
				if err != nil || version != v.Words[0] {
					t.Errorf("version %d, value %d: %v", version, v.Words[0], err)
					break
				}
				loads[i]++
			}
			noError(t, errors.Join(c.Close(), m.Unmap()))
		})
	}
	together(work...)
	_, version, _ := c.Load()
	t.Logf("%d stores, loads %d", version, loads)
}
