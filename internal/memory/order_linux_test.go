package memory_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/memory"
)

// TestStore lets each of two threads store a word and then load the other's. At least one
// of them must see what the other has stored.
func TestStore(t *testing.T) {
	mem, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	words := (*[5]struct {
		atomic.Uint64
		_ [120]byte
	})(unsafe.Pointer(&mem[0]))
	round, mine, other, seen, done := &words[0].Uint64, &words[1].Uint64, &words[2].Uint64, &words[3].Uint64, &words[4].Uint64
	const rounds = 20000
	go func() {
		for n := uint64(1); n <= rounds; n++ {
			for round.Load() != n {
				runtime.Gosched()
			}
			memory.Store(other, n)
			seen.Swap(mine.Load())
			done.Add(1)
		}
	}()
	bad := 0
	for n := uint64(1); n <= rounds; n++ {
		round.Swap(n)
		for range n % 40 { // until the other thread is at its store
			_ = seen.Load()
		}
		memory.Store(mine, n)
		saw := other.Load()
		for done.Load() != n {
			runtime.Gosched()
		}
		if saw != n && seen.Load() != n {
			bad++
		}
	}
	if bad > 0 {
		t.Errorf("in %d of %d rounds neither thread saw the other's store", bad, rounds)
	}
}
