package abi

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mincore is mincore(2): the lowest bit of pages[i] tells whether the page i of mem is
// in memory. mem begins at a page, and pages has an element for each.
func Mincore(mem, pages []byte) Errno {
	_, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(unsafe.SliceData(mem))), uintptr(len(mem)), uintptr(unsafe.Pointer(unsafe.SliceData(pages))))
	return e
}
