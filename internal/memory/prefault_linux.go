package memory

import (
	"errors"
	"os"
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Prefault makes every page of the region present, so that no later access has to wait for
// one. This takes about half a second for 1 GiB of 4 KiB pages. If there is not enough
// memory, it returns ErrFault and keeps the pages that it got.
func (r *Region) Prefault() error {
	return r.Do(func(mem []byte) error { return populate(mem, r.readOnly) })
}

// Populate is Prefault for the pages of mem, which is writable shared memory.
func Populate(mem []byte) error {
	page := uintptr(os.Getpagesize())
	before := uintptr(unsafe.Pointer(unsafe.SliceData(mem))) % page
	first := (*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(mem)), -int(before)))
	return populate(unsafe.Slice(first, len(mem)+int(before)), false)
}

func populate(mem []byte, readOnly bool) error {
	advice := unix.MADV_POPULATE_WRITE
	if readOnly {
		advice = unix.MADV_POPULATE_READ
	}
	for {
		err := unix.Madvise(mem, advice)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EINVAL): // Linux before 5.14
			return touch(mem, readOnly)
		case errors.Is(err, unix.EFAULT): // an access would be a SIGBUS
			return ErrFault
		default:
			return err
		}
	}
}

// touch does what MADV_POPULATE does, page by page. An atomic addition of zero writes
// without changing anything, whatever other processes do meanwhile.
func touch(mem []byte, readOnly bool) (err error) {
	defer guard(debug.SetPanicOnFault(true), &err)
	for off := 0; off < len(mem); off += os.Getpagesize() {
		word := (*uint32)(unsafe.Pointer(&mem[off]))
		if readOnly {
			atomic.LoadUint32(word)
		} else {
			atomic.AddUint32(word, 0)
		}
	}
	return nil
}
