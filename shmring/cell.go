package shmring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sysvipc/gipc/internal/memory"
	"github.com/sysvipc/gipc/shmsync"
)

// A Cell holds the latest value of a type for any number of processes: a configuration, a
// position, the state of a program. Load returns a whole value, and never makes a writer
// wait. Several processes may Store; a lock that survives their death puts them in order.
//
// The type holds no pointers, strings or slices. Several goroutines may use a Cell at a
// time. It holds two open descriptors, see Close.
type Cell[T any] struct{ c *cell }

// A cell is a Cell of bytes.
type cell struct {
	base
	header *cellHeader
	copies [cellCopies][]byte
	lock   *shmsync.Mutex
	closed bool
}

// OpenOrCreateCell opens the cell in the POSIX object called name, or makes it, as
// OpenOrCreate does with rings. In o, Producers and Capacity are 0.
//
// Errors: ErrPointers; ErrMismatch (the cell is of another type, and the error says how
// they differ; or it belongs to another user); ErrNotRing (the object holds something else,
// which is left unchanged); those of OpenCellIn, posix.CreateObject and posix.OpenObject.
func OpenOrCreateCell[T any](ctx context.Context, name string, o *NamedOptions) (*Cell[T], error) {
	if o == nil {
		o = &NamedOptions{}
	}
	return findCell[T](o, o.at(ctx, byName(name), true))
}

// findCell opens or makes a cell.
func findCell[T any](o *NamedOptions, find finder) (*Cell[T], error) {
	s, err := schemaOf[T]()
	if err != nil {
		return nil, err
	}
	if o.Producers != 0 || o.Capacity != 0 {
		return nil, fmt.Errorf("shmring: a cell has no number of producers and no capacity")
	}
	var c *cell
	err = find(recipe{
		size: cellSize(s.size),
		make: func(mem []byte) (io.Closer, error) { return createCell(mem, s) },
		open: func(mem Memory) (*base, error) {
			if c, err = openCellIn(mem, s); err != nil {
				return nil, err
			}
			return &c.base, nil
		},
	})
	if err != nil {
		return nil, err
	}
	return withLock[T](c, c.place.memory())
}

// CreateCellIn makes a cell in mem, with the zero value, and keeps mem mapped until Close.
// It overwrites mem, which no other process may be using, and which has CellSize[T] bytes
// or more. Errors: ErrPointers; those of CreateIn.
func CreateCellIn[T any](mem shmsync.Memory) (*Cell[T], error) {
	s, err := schemaOf[T]()
	if err != nil {
		return nil, err
	}
	var c *cell
	err = within(mem, func(b []byte) error { c, err = createCell(b, s); return err })
	if err != nil {
		return nil, err
	}
	return withLock[T](c, mem)
}

// OpenCellIn returns the cell that another call made in mem, and keeps mem mapped until
// Close. mem must be writable. Errors: ErrPointers; ErrMismatch (the cell is of another
// type); those of OpenIn and shmsync.NewMutex.
func OpenCellIn[T any](mem shmsync.Memory) (*Cell[T], error) {
	s, err := schemaOf[T]()
	if err != nil {
		return nil, err
	}
	c, err := openCellIn(mem, s)
	if err != nil {
		return nil, err
	}
	return withLock[T](c, mem)
}

// withLock opens the lock, which keeps mem mapped. It closes the cell if that fails.
func withLock[T any](c *cell, mem shmsync.Memory) (*Cell[T], error) {
	var err error
	if c.lock, err = shmsync.NewMutex(mem, lockOffset); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return &Cell[T]{c}, nil
}

// CellSize returns the number of bytes of memory that a cell of this type needs.
func CellSize[T any]() int {
	var v T
	return cellSize(uint64(len(bytesOf(&v))))
}

func cellSize(size uint64) int { return int(headerSize + cellCopies*extent(size)) }

func cellFormat() format { return formats()[2] }

// Close closes the descriptor of a cell that was just made.
func (c *cell) Close() error { return c.close() }

func createCell(mem []byte, s schema) (*cell, error) {
	if err := usable(mem); err != nil {
		return nil, err
	}
	if len(mem) < cellSize(s.size) {
		return nil, fmt.Errorf("shmring: %w: a cell of this type takes %d bytes, there are %d", ErrSize, cellSize(s.size), len(mem))
	}
	err := guarded(func() error {
		err := cellFormat().write(mem, parts{s.size, headerSize, headerSize})
		if err != nil {
			return err
		}
		h, copies := overlayCell(mem, s.size)
		clear(copies[0])
		s.store(&h.schema)
		h.magic.Store(cellMagic)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return openCell(mem, s)
}

func openCellIn(mem Memory, s schema) (c *cell, err error) {
	err = within(mem, func(b []byte) error { c, err = openCell(b, s); return err })
	if err != nil {
		return nil, err
	}
	return c, nil
}

func openCell(mem []byte, s schema) (*cell, error) {
	if err := usable(mem); err != nil {
		return nil, err
	}
	c := new(cell)
	err := guarded(func() error {
		if err := cellFormat().identify(mem, 0); err != nil {
			return err
		}
		h := preambleOf(mem)
		if h.states.Load() != headerSize || h.data.Load() != headerSize {
			return fmt.Errorf("shmring: %w: header", ErrCorrupt)
		}
		if err := s.check(&cellHeaderOf(mem).schema); err != nil {
			return err
		}
		if len(mem) < cellSize(s.size) {
			return fmt.Errorf("shmring: %w: header", ErrCorrupt)
		}
		c.header, c.copies = overlayCell(mem, s.size)
		return c.open(mem)
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close ends the use of the cell: it closes its descriptors, and unmaps the memory of a
// cell of OpenOrCreateCell. No other method may be called at the same time. A second Close
// returns ErrClosed.
func (c *Cell[T]) Close() error {
	if err := c.c.lock.Close(); err != nil {
		if errors.Is(err, shmsync.ErrClosed) {
			err = ErrClosed
		}
		return fmt.Errorf("shmring: %w", err)
	}
	c.c.closed = true
	return c.c.close()
}

// Remove removes the name of a cell of OpenOrCreateCell, with its value, under the same
// conditions as Ring.Remove.
func (c *Cell[T]) Remove() error { return c.c.remove() }

// CloseAndRemove closes the cell, and removes its name if no other process has it open, as
// Ring.CloseAndRemove does.
func (c *Cell[T]) CloseAndRemove() error { return c.c.closeAndRemove(c.Close) }

// Unlink removes the name at once, even though processes have the cell open, as Ring.Unlink
// does.
func (c *Cell[T]) Unlink() error { return c.c.unlink() }

// ID returns the random id of the cell, which differs from that of any other.
func (c *Cell[T]) ID() [16]byte { return c.c.id }

// Store replaces the value, and wakes all callers of Wait. It returns the version, which is
// the number of Stores so far. It blocks while another writer stores, or until ctx is done;
// then the error unwraps to ctx.Err(). If a writer dies, the cell holds the old or the new
// value, and the next Store goes on. Store never blocks for a reader.
//
// Errors: ErrClosed; ErrFault; those of shmsync.Mutex.Lock.
func (c *Cell[T]) Store(ctx context.Context, v T) (version uint64, err error) {
	return c.c.store(ctx, bytesOf(&v))
}

// Update calls change with a copy of the value, and stores the copy that it changed. No
// other writer stores in between. If change returns an error or panics, the value stays as
// it is. change must not use the cell. Update blocks, and fails, like Store.
func (c *Cell[T]) Update(ctx context.Context, change func(*T) error) (version uint64, err error) {
	var v T
	err = c.c.locked(ctx, func() error {
		if _, err := c.c.load(bytesOf(&v)); err != nil {
			return err
		}
		if err := change(&v); err != nil {
			return err
		}
		version = c.c.replace(bytesOf(&v))
		return nil
	})
	return version, err
}

// Load returns the value and its version: 0, with the zero value, before the first Store.
// It never blocks, and copies again if writers overtake it. Errors: ErrBusy (they did so
// 4096 times); ErrClosed; ErrFault.
func (c *Cell[T]) Load() (v T, version uint64, err error) {
	version, err = c.c.load(bytesOf(&v))
	return v, version, err
}

// Wait blocks until there is a version newer than the given one, and returns it as Load
// does; versions in between are not seen. It spins, then sleeps, as Consumer.Receive does.
// If ctx is done, it returns an error that unwraps to ctx.Err(), even if there is a newer
// version. Other errors: those of Load.
func (c *Cell[T]) Wait(ctx context.Context, version uint64) (v T, newer uint64, err error) {
	if err = c.c.await(ctx, version); err == nil {
		v, newer, err = c.Load()
	}
	return v, newer, err
}

// Newer returns a source that is ready when the cell has a version newer than the given
// one. Errors of the cell make it ready, too, and Load returns them.
func (c *Cell[T]) Newer(version uint64) Source { return &newer{c: c.c, version: version} }

// A newer is a cell as a source.
type newer struct {
	c       *cell
	version uint64
	wait    waiter
}

func (n *newer) source() source { return n }

func (n *newer) enter() bool {
	if n.c.closed {
		return false
	}
	n.wait.start(&n.c.header.sleep, n.c.spin, pauseLeast)
	return true
}

func (n *newer) poll() bool { return n.c.header.stored.Load() > n.version }

// check finds nothing: see cell.await.
func (n *newer) check() (tick time.Duration, ready bool) { return longTick, false }

func (n *newer) sleeper() *waiter { return &n.wait }

func (n *newer) exit() {}

func (c *cell) store(ctx context.Context, value []byte) (version uint64, err error) {
	err = c.locked(ctx, func() error {
		version = c.replace(value)
		return nil
	})
	return version, err
}

// locked calls f with the lock held. If the last owner died, nothing has to be repaired:
// its value is complete, or nobody has seen it.
func (c *cell) locked(ctx context.Context, f func() error) error {
	if c.closed {
		return fmt.Errorf("shmring: %w", ErrClosed)
	}
	return guarded(func() error {
		if _, err := c.lock.Lock(ctx); err != nil {
			return fmt.Errorf("shmring: %w", err)
		}
		defer func() {
			_ = c.lock.MarkConsistent() // it is held
			_ = c.lock.Unlock()
		}()
		return f()
	})
}

// replace stores a value, with the lock held. It overwrites the oldest copy. A reader that
// sees any part of the new value also sees the version that was loaded here, or a later
// one, even on processors with weak order: nothing moves before an atomic load, and
// everybody sees what that load has seen.
func (c *cell) replace(value []byte) (version uint64) {
	h := c.header
	version = h.stored.Load() + 1
	copyCached(c.copies[version%cellCopies], value)
	memory.Store(&h.stored, version)
	if anyAsleep(&h.sleep) {
		wake(&h.sleep)
	}
	return version
}

// load copies the value. Meanwhile a writer may overwrite the copy: the first Store that
// does so begins when cellCopies-1 others have ended.
func (c *cell) load(value []byte) (version uint64, err error) {
	if c.closed {
		return 0, fmt.Errorf("shmring: %w", ErrClosed)
	}
	err = guarded(func() error {
		var fence atomic.Uint32
		for range attempts {
			version = c.header.stored.Load()
			copyCached(value, c.copies[version%cellCopies])
			// This store keeps the load below it after the copy: see Subscription.release.
			fence.Store(1)
			if c.header.stored.Load()-version < cellCopies-1 {
				return nil
			}
			runtime.Gosched()
		}
		return fmt.Errorf("shmring: %w: writers were faster %d times", ErrBusy, attempts)
	})
	return version, err
}

// await blocks until there is a version after the given one.
func (c *cell) await(ctx context.Context, version uint64) error {
	if c.closed {
		return fmt.Errorf("shmring: %w", ErrClosed)
	}
	return guarded(func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		newer := func() (bool, error) { return c.header.stored.Load() > version, nil }
		if ok, _ := newer(); ok {
			return nil
		}
		var w waiter
		w.start(&c.header.sleep, c.spin, pauseLeast)
		// A writer may be killed after it has stored and before it wakes anybody.
		return w.wait(ctx, newer, func() (time.Duration, error) { return longTick, nil })
	})
}
