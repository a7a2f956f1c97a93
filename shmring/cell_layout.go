package shmring

import (
	"sync/atomic"
	"unsafe"
)

// The layout of a cell in memory, version 1, as specified in docs/broadcast.md.
const (
	cellMagic   = 0x6c6c_6563_6370_6967 // "gipccell" in the memory of a little-endian machine
	cellVersion = 1

	// cellCopies is how many values a cell holds. A Load has to copy again only if
	// cellCopies-1 Stores end while it copies.
	cellCopies = 4

	lockOffset = 640 // of a mutex of package shmsync, 64 bytes
)

// cellHeader is the first part of the layout.
type cellHeader struct {
	preamble

	stored atomic.Uint64 // 128, how many Stores have ended: the version
	_      [248]byte

	sleep atomic.Uint32 // 384, a wait word
	_     [252]byte

	lock [64]byte // 640, a mutex that writers hold
	_    [2400]byte

	schema schemaWords // 3104
}

var (
	_ [headerSize]byte = [unsafe.Sizeof(cellHeader{})]byte{}
	_ [lockOffset]byte = [unsafe.Offsetof(cellHeader{}.lock)]byte{}
)

// cellHeaderOf returns the header of mem, which must be aligned and at least as long.
func cellHeaderOf(mem []byte) *cellHeader {
	return (*cellHeader)(unsafe.Pointer(&mem[:headerSize][0]))
}

// overlayCell returns the parts of mem, which must be aligned and as long as the layout.
func overlayCell(mem []byte, size uint64) (h *cellHeader, copies [cellCopies][]byte) {
	h = cellHeaderOf(mem)
	for i := range uint64(cellCopies) {
		at := headerSize + i*extent(size)
		copies[i] = mem[at : at+size : at+size]
	}
	return h, copies
}

// bytesOf returns the memory of *v, whose type holds no pointers.
func bytesOf[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}
