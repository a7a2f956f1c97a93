package abi

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mincore is mincore(2). The lowest bit of pages[i] is set if page i of mem is resident.
// mem must begin at a page, and pages must have an element for each page.
func Mincore(mem, pages []byte) Errno {
	_, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(unsafe.SliceData(mem))), uintptr(len(mem)), uintptr(unsafe.Pointer(unsafe.SliceData(pages))))
	return e
}
