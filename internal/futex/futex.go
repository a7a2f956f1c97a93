package futex

import (
	"errors"
	"unsafe"
)

// All is the number of sleepers for Wake to wake everybody.
const All = 1<<31 - 1

// ErrTimeout is returned by Wait when its time has passed.
var ErrTimeout = errors.New("futex: timeout")

// Word returns the word at offset off of mem, which must be a multiple of 4 away
// from an aligned address and four bytes or more before the end: else it panics.
func Word(mem []byte, off int) *uint32 {
	p := unsafe.Pointer(&mem[off : off+4][0])
	if uintptr(p)%4 != 0 {
		panic("futex: the word is not aligned")
	}
	return (*uint32)(p)
}
