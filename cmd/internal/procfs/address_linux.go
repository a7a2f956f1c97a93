package procfs

import "unsafe"

// address returns the address of a slice's first element.
func address(mem []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mem)))) }
