package procfs

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// Bits returns 32 or 64 for the program that a process runs, from its auxiliary vector.
// The program's file would show it too, but may be on a server that never answers. It
// requires permission to trace the process.
func (f *FS) Bits(pid int) (int, error) {
	name := f.name(pid, "auxv")
	b, err := f.read(name, smallFile)
	if err != nil {
		return 0, err
	}
	return ParseBits(b)
}

// ReadMemory fills p from the memory of a process, if those pages are present or
// swapped: other pages might come from a file whose server never answers. It requires
// permission to trace the process.
func (f *FS) ReadMemory(pid int, addr uint64, p []byte) error {
	name := f.name(pid, "mem")
	if addr > 1<<63-1-uint64(len(p)) {
		return f.failure("read", name, unix.EIO)
	}
	if err := f.present(pid, addr, len(p)); err != nil {
		return err
	}
	fd, err := f.open(name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for len(p) > 0 {
		n, err := f.call("pread", name, func() (int, error) { return unix.Pread(fd, p, int64(addr)) })
		if err == nil && n == 0 { // the process has no memory any more
			err = unix.ESRCH
		}
		if err != nil {
			return f.failure("read", name, err)
		}
		p, addr = p[n:], addr+uint64(n)
	}
	return nil
}

// present returns an error unless all pages of the range are in memory or swap.
func (f *FS) present(pid int, addr uint64, n int) error {
	if !f.real || n == 0 {
		return nil
	}
	const entry, there = 8, 3 << 62 // present, swapped
	name := f.name(pid, "pagemap")
	fd, err := f.open(name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	size := uint64(os.Getpagesize())
	first, last := addr/size, (addr+uint64(n)-1)/size
	b := make([]byte, entry*(last-first+1))
	got, err := f.call("pread", name, func() (int, error) { return unix.Pread(fd, b, int64(first*entry)) })
	if err != nil {
		return f.failure("read", name, err)
	}
	for i := 0; i < len(b); i += entry {
		if i >= got || binary.NativeEndian.Uint64(b[i:])&there == 0 {
			return f.failure("read", name, unix.EFAULT)
		}
	}
	return nil
}
