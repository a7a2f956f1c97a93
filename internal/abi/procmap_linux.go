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
	procmapIoctl = 0xc0686611 // _IOWR('f', 17, struct procmap_query), the same everywhere

	procmapWritable = 0x02
	procmapShared   = 0x08
	procmapNext     = 0x10 // the mapping at the address, or the next one
	procmapFile     = 0x20
)

// NextSharedFile returns the first mapping at or above addr that is shared and of a
// file (PROCMAP_QUERY, Linux 6.11). fd is an open /proc/PID/maps. ENOENT tells that
// there is none, ENOTTY that the kernel does not know the call, ESRCH that the
// process has no memory any more.
func NextSharedFile(fd int, addr uint64) (Procmap, Errno) {
	q := procmapQuery{size: uint64(unsafe.Sizeof(procmapQuery{})), flags: procmapShared | procmapNext | procmapFile, addr: addr}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), procmapIoctl, uintptr(unsafe.Pointer(&q))); e != 0 {
		return Procmap{}, e
	}
	return Procmap{
		Start: q.start, End: q.end, Offset: q.offset, Writable: q.vmaFlags&procmapWritable != 0,
		Inode: q.inode, Major: q.major, Minor: q.minor,
	}, 0
}

// MappingName writes the name of the file of the mapping at addr to buf, which must
// not be empty, and returns its length. ENAMETOOLONG tells that it does not fit.
func MappingName(fd int, addr uint64, buf []byte) (int, Errno) {
	// The structure holds the address of buf as a number, behind Go's back.
	var pin runtime.Pinner
	pin.Pin(&buf[0])
	defer pin.Unpin()
	q := procmapQuery{size: uint64(unsafe.Sizeof(procmapQuery{})), addr: addr, nameSize: uint32(len(buf))}
	q.nameAddress = uint64(uintptr(unsafe.Pointer(&buf[0])))
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), procmapIoctl, uintptr(unsafe.Pointer(&q)))
	if e != 0 || q.nameSize == 0 {
		return 0, e
	}
	return min(int(q.nameSize)-1, len(buf)), 0 // it counts the NUL
}
