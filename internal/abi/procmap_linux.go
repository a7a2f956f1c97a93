package abi

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Procmap is a mapping of a process.
type Procmap struct {
	Start, End   uint64
	Offset       uint64
	Writable     bool
	Shared       bool
	Inode        uint64
	Major, Minor uint32
}

// procmapQuery is struct procmap_query, the argument of PROCMAP_QUERY.
type procmapQuery struct {
	size, flags, addr           uint64
	start, end, vmaFlags        uint64
	pageSize, offset, inode     uint64
	major, minor                uint32
	nameSize, buildIDSize       uint32
	nameAddress, buildIDAddress uint64
}

const (
	procmapIoctl = 0xc0686611 // _IOWR('f', 17, struct procmap_query), the same on all architectures

	procmapWritable   = 0x02
	procmapExecutable = 0x04
	procmapShared     = 0x08
	procmapNext       = 0x10 // the mapping at the address, or the next one
	procmapFile       = 0x20
)

// NextFile returns the first mapping of a file at or above addr (PROCMAP_QUERY, Linux
// 6.11). It includes private mappings unless shared is set. It writes the name of the file
// to name and returns the name's length; if name is empty, it does not ask for the name.
// fd is an open /proc/PID/maps.
//
// Errors: ENOENT (no such mapping), ENAMETOOLONG (name is too short), ENOTTY (the kernel
// lacks the call), ESRCH (the process has no memory any more).
func NextFile(fd int, addr uint64, shared bool, name []byte) (m Procmap, length int, e Errno) {
	flags := uint64(procmapNext | procmapFile)
	if shared {
		flags |= procmapShared
	}
	return nextMapping(fd, addr, flags, name)
}

// NextExecutable is NextFile for executable mappings of files.
func NextExecutable(fd int, addr uint64, name []byte) (m Procmap, length int, e Errno) {
	return nextMapping(fd, addr, procmapNext|procmapFile|procmapExecutable, name)
}

func nextMapping(fd int, addr, flags uint64, name []byte) (m Procmap, length int, e Errno) {
	q := procmapQuery{flags: flags, addr: addr}
	q.size = uint64(unsafe.Sizeof(q))
	if len(name) > 0 {
		// The structure holds the address as a number, which the garbage collector does
		// not see.
		var pin runtime.Pinner
		pin.Pin(&name[0])
		defer pin.Unpin()
		q.nameAddress, q.nameSize = uint64(uintptr(unsafe.Pointer(&name[0]))), uint32(len(name))
	}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), procmapIoctl, uintptr(unsafe.Pointer(&q))); e != 0 {
		return Procmap{}, 0, e
	}
	m = Procmap{
		Start: q.start, End: q.end, Offset: q.offset,
		Writable: q.vmaFlags&procmapWritable != 0, Shared: q.vmaFlags&procmapShared != 0,
		Inode: q.inode, Major: q.major, Minor: q.minor,
	}
	if q.nameSize > 0 { // nameSize counts the NUL
		length = min(int(q.nameSize)-1, len(name))
	}
	return m, length, 0
}
