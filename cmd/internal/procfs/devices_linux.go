package procfs

import (
	"bytes"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// devices holds the devices of System V segments. Anybody can make a file with a
// segment's name and an inode number like its identifier, but nobody can put it on the
// kernel's internal file systems.
type devices struct {
	known    bool // if false, any device will do
	ordinary Device
	huge     []Device
}

// segmentDevices finds the devices by mapping one page of each size as shared anonymous
// memory, which lives on the same file systems.
func (f *FS) segmentDevices() (devices, error) {
	ordinary, err := f.anonymousDevice(os.Getpagesize(), 0)
	if err != nil {
		return devices{}, err
	}
	d := devices{known: true, ordinary: ordinary}
	for _, size := range hugePageSizes() {
		// Without a reservation this needs no page from the pool.
		flags := unix.MAP_HUGETLB | unix.MAP_NORESERVE | log2(size)<<unix.MAP_HUGE_SHIFT
		if huge, err := f.anonymousDevice(size, flags); err == nil {
			d.huge = append(d.huge, huge)
		}
	}
	return d, nil
}

// holds reports whether segments live on a device, and whether they consist of huge
// pages.
func (d devices) holds(device Device) (ok, huge bool) {
	if !d.known || device == d.ordinary {
		return true, false
	}
	huge = slices.Contains(d.huge, device)
	return huge, huge
}

// anonymousDevice maps shared anonymous memory and returns its device.
func (f *FS) anonymousDevice(size, flags int) (Device, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_ANONYMOUS|flags)
	if err != nil {
		return Device{}, err
	}
	defer func() { _ = unix.Munmap(mem) }()
	b, err := f.read("self/maps", largeFile)
	if err != nil {
		return Device{}, err
	}
	return deviceAt(b, address(mem))
}

// deviceAt returns the device of the mapping at addr.
func deviceAt(maps []byte, addr uint64) (d Device, err error) {
	err = badFormat("maps")
	lines(maps, func(line []byte) bool {
		p := parser{rest: line}
		start, end := p.hex('-'), p.hex(' ')
		if p.failed || addr < start || addr >= end {
			return true
		}
		p.until(' ')
		p.until(' ')
		d = Device{p.hex32(':'), p.hex32(' ')}
		if !p.failed {
			err = nil
		}
		return false
	})
	return d, err
}

// hugePageSizes returns the kernel's huge page sizes in bytes.
func hugePageSizes() (sizes []int) {
	entries, _ := os.ReadDir("/sys/kernel/mm/hugepages") // none if the directory does not exist
	for _, e := range entries {
		kb, ok := number(bytes.TrimSuffix([]byte(strings.TrimPrefix(e.Name(), "hugepages-")), []byte("kB")))
		if size := kb << 10; ok && size != 0 && size&(size-1) == 0 && size <= 1<<31-1 {
			sizes = append(sizes, int(size))
		}
	}
	return sizes
}

func log2(n int) (log int) {
	for ; n > 1; n >>= 1 {
		log++
	}
	return log
}
