package posix

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/sysvipc/gipc/internal/futex"
	"github.com/sysvipc/gipc/internal/memory"
)

// The sem_t of the GNU C library since 2.21 has two layouts. 64-bit programs have both
// counts in one word, in native byte order:
//
//	0   uint64  value in the low half, number of waiters in the high half
//	8   int32   128 if shared between processes, 0 if not
//
// 32-bit programs, which cannot rely on 64-bit atomic access, have them apart:
//
//	0   uint32  value shifted left by one; the low bit is set if a thread may wait
//	4   int32   128 if shared between processes, 0 if not
//	8   int32   not used
//	12  uint32  number of waiters
//
// musl has the value, a mark for waiters, and, at 8, 0 if shared between processes and 128
// if not. This is the reverse of the above, which makes it recognisable.
type layout int

// The layouts, named after the bits of the programs that use them.
const (
	wide         layout = 64
	narrow       layout = 32
	nativeLayout layout = bits.UintSize
)

// SemaphoreSize is sizeof(sem_t) on this architecture in bytes.
const SemaphoreSize = bits.UintSize / 2

// size returns sizeof(sem_t). Everything after the counts is zero.
func (l layout) size() int64 { return int64(l) / 2 }

// marker returns the offset of the word that is 128 if the semaphore is shared.
func (l layout) marker() int { return int(l) / 8 }

// shared marks a semaphore that is shared between processes. It is the value of
// FUTEX_PRIVATE_FLAG.
const shared = 128

const (
	valueShift   = 1
	waitersBit   = 1
	waitersWord  = 12
	waitersShift = 32
	oneWaiter    = 1 << waitersShift
)

// layoutOf returns the layout of the semaphore that begins with head.
func layoutOf(head []byte) (layout, error) {
	for _, l := range []layout{wide, narrow} {
		if binary.NativeEndian.Uint32(head[l.marker():]) != shared {
			continue
		}
		if l > nativeLayout {
			return 0, fmt.Errorf("%w of 32 bits, but of a 64-bit program", ErrNotSemaphore)
		}
		if v, _ := l.read(head); v > MaxSemaphore {
			break
		}
		return l, nil
	}
	return 0, fmt.Errorf("%w that is shared between processes (musl's differ)", ErrNotSemaphore)
}

// read returns the value and the number of waiters of the semaphore that begins with head.
func (l layout) read(head []byte) (value, waiters int) {
	if l == wide {
		data := binary.NativeEndian.Uint64(head)
		return int(uint32(data)), int(data >> waitersShift)
	}
	return int(binary.NativeEndian.Uint32(head) >> valueShift), int(binary.NativeEndian.Uint32(head[waitersWord:]))
}

// A word points to the counts of a semaphore in memory.
type word struct {
	data  *uint64 // both counts; nil in the narrow layout
	futex *uint32 // the half of data that holds the value; in the narrow layout, the value
	count *uint32 // in the narrow layout, the number of waiters
}

// A sleeper sleeps until it is woken, or returns at once if the word does not hold value.
// It may return nil early.
type sleeper func(word *uint32, value uint32) error

// word returns the counts at offset off of r.
func (l layout) word(r *memory.Region, off int) (word, error) {
	if _, err := memory.Slice[byte](r, off, layoutBytes); err != nil {
		return word{}, err
	}
	if l == wide {
		data, err := memory.View[uint64](r, off)
		if err != nil {
			return word{}, err
		}
		if uintptr(unsafe.Pointer(data))%8 != 0 {
			return word{}, ErrAlignment
		}
		low := unsafe.Pointer(data)
		if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 { // big-endian
			low = unsafe.Add(low, 4)
		}
		return word{data: data, futex: (*uint32)(low)}, nil
	}
	value, err := memory.View[uint32](r, off)
	if err != nil {
		return word{}, err
	}
	count, err := memory.View[uint32](r, off+waitersWord)
	return word{futex: value, count: count}, err
}

// take subtracts one if the value is not 0.
func (w *word) take() bool {
	if w.data == nil {
		return w.takeNarrow()
	}
	for {
		d := atomic.LoadUint64(w.data)
		if uint32(d) == 0 {
			return false
		}
		if atomic.CompareAndSwapUint64(w.data, d, d-1) {
			return true
		}
	}
}

func (w *word) takeNarrow() bool {
	for {
		v := atomic.LoadUint32(w.futex)
		if v>>valueShift == 0 {
			return false
		}
		if atomic.CompareAndSwapUint32(w.futex, v, v-1<<valueShift) {
			return true
		}
	}
}

// A given is the result of give.
type given int

const (
	added  given = iota
	full         // nothing was added: the value is at its maximum
	waited       // nothing was added: there is a waiter to wake
)

// give adds one if nothing else needs to be done.
func (w *word) give() given {
	if w.data == nil {
		return w.giveNarrow()
	}
	for {
		switch d := atomic.LoadUint64(w.data); {
		case uint32(d) >= MaxSemaphore:
			return full
		case d>>waitersShift != 0:
			return waited
		case atomic.CompareAndSwapUint64(w.data, d, d+1):
			return added
		}
	}
}

func (w *word) giveNarrow() given {
	for {
		switch v := atomic.LoadUint32(w.futex); {
		case v>>valueShift == MaxSemaphore:
			return full
		case v&waitersBit != 0:
			return waited
		case atomic.CompareAndSwapUint32(w.futex, v, v+1<<valueShift):
			return added
		}
	}
}

// giveAndWake adds one, if that fits, and wakes one sleeper. After adding, it must not
// read the semaphore again: the process that took the unit may have removed the semaphore.
func (w *word) giveAndWake() (fits bool) {
	if w.data == nil {
		return w.giveAndWakeNarrow()
	}
	for {
		d := atomic.LoadUint64(w.data)
		if uint32(d) >= MaxSemaphore {
			return false
		}
		if atomic.CompareAndSwapUint64(w.data, d, d+1) {
			if d>>waitersShift != 0 {
				futex.Wake(w.futex, 1)
			}
			return true
		}
	}
}

func (w *word) giveAndWakeNarrow() (fits bool) {
	for {
		v := atomic.LoadUint32(w.futex)
		if v>>valueShift == MaxSemaphore {
			return false
		}
		if atomic.CompareAndSwapUint32(w.futex, v, v+1<<valueShift) {
			if v&waitersBit != 0 {
				futex.Wake(w.futex, 1)
			}
			return true
		}
	}
}

func (w *word) value() int {
	if w.data == nil {
		return int(atomic.LoadUint32(w.futex) >> valueShift)
	}
	return int(uint32(atomic.LoadUint64(w.data)))
}

func (w *word) waiters() int {
	if w.data == nil {
		return int(atomic.LoadUint32(w.count))
	}
	return int(atomic.LoadUint64(w.data) >> waitersShift)
}

// sleep takes one, and sleeps until it can. Meanwhile it is counted as a waiter, so that a
// process that adds one knows to wake it.
func (w *word) sleep(sleep sleeper) error {
	if w.data == nil {
		return w.sleepNarrow(sleep)
	}
	for d := atomic.AddUint64(w.data, oneWaiter); ; d = atomic.LoadUint64(w.data) {
		if uint32(d) > 0 {
			if atomic.CompareAndSwapUint64(w.data, d, d-1-oneWaiter) {
				return nil
			}
			continue
		}
		if err := sleep(w.futex, 0); err != nil {
			atomic.AddUint64(w.data, math.MaxUint64-oneWaiter+1)
			return err
		}
	}
}

// sleepNarrow keeps the bit that marks waiters consistent with their number; the two
// cannot be changed together. If the bit is set and nobody waits, that costs a system
// call. The bit must never stay clear while a thread waits.
func (w *word) sleepNarrow(sleep sleeper) (err error) {
	atomic.AddUint32(w.count, 1)
	defer func() { w.leaveNarrow(atomic.LoadUint32(w.count) == 1) }()
	for {
		v := atomic.LoadUint32(w.futex)
		switch {
		case v&waitersBit == 0:
			atomic.CompareAndSwapUint32(w.futex, v, v|waitersBit)
		case v>>valueShift == 0:
			if err := sleep(w.futex, waitersBit); err != nil {
				return err
			}
		case atomic.CompareAndSwapUint32(w.futex, v, v-1<<valueShift):
			return nil
		}
	}
}

// leaveNarrow counts a waiter out. If it seems to be the last waiter, it clears the bit
// before it is counted out, so that a new waiter finds the bit clear and sets it. If it
// turns out not to be the last, it sets the bit again and wakes the waiters that may have
// been missed meanwhile.
func (w *word) leaveNarrow(last bool) {
	if last {
		atomic.AndUint32(w.futex, ^uint32(waitersBit))
	}
	others := atomic.AddUint32(w.count, math.MaxUint32)
	if !last || others == 0 {
		return
	}
	if v := atomic.OrUint32(w.futex, waitersBit) >> valueShift; v > 0 {
		futex.Wake(w.futex, int(v))
	}
}
