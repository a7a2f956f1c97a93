package procfs

import "unsafe"

// address returns where a slice begins.
func address(mem []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mem)))) }
