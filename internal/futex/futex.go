package futex

import (
	"errors"
	"unsafe"
)

// All makes Wake wake all sleepers.
const All = 1<<31 - 1

// ErrTimeout is returned by Wait when its timeout has passed.
var ErrTimeout = errors.New("futex: timeout")

// Word returns the word at offset off of mem. It panics if the word does not lie within
// mem or is not aligned to 4 bytes.
func Word(mem []byte, off int) *uint32 {
	p := unsafe.Pointer(&mem[off : off+4][0])
	if uintptr(p)%4 != 0 {
		panic("futex: the word is not aligned")
	}
	return (*uint32)(p)
}
