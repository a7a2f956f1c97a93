package procfs

import (
	"cmp"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/abi"
)

// A MapVisitor receives mappings.
type MapVisitor struct {
	Segment func(Mapping)     // mappings of segments
	File    func(FileMapping) // mappings of files, including segments; nil if only segments are wanted
	// Spend, unless nil, is called after every SpendEvery mappings. An error ends the
	// scan.
	Spend func() error
}

// SpendEvery is how many mappings or descriptors are inspected between calls of Spend.
const SpendEvery = 128

// Mappings calls visit for each segment mapping of a process. It requires permission to
// trace the process. For a process without memory (see HasMemory) the error is
// fs.ErrNotExist.
func (f *FS) Mappings(pid int, visit func(Mapping)) error {
	return f.AllMappings(pid, MapVisitor{Segment: visit})
}

// AllMappings passes all mappings of a process to v in one pass; otherwise it is like
// Mappings.
func (f *FS) AllMappings(pid int, v MapVisitor) error {
	if f.real && !f.devices.known {
		devices, err := f.segmentDevices()
		if err != nil {
			return err
		}
		f.devices = devices
	}
	v.Segment = f.onDevices(v.Segment)
	name := f.name(pid, "maps")
	if f.real && !f.textOnly {
		err := f.readMaps(pid, func(fd int) error { return f.queryMaps(fd, name, v) })
		if !errors.Is(err, unix.ENOTTY) {
			return err
		}
		f.textOnly = true // Linux before 6.11
	}
	// A kernel thread's maps are empty, but cost as much to read as those of a process.
	if has, err := f.HasMemory(pid); err != nil || !has {
		return cmp.Or(err, f.failure("read", name, unix.ENOENT))
	}
	return f.readMaps(pid, func(fd int) error { return f.scanMaps(fd, name, v) })
}

// readMaps calls read with an open /proc/PID/maps.
func (f *FS) readMaps(pid int, read func(fd int) error) error {
	fd, err := f.open(f.name(pid, "maps"))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return read(fd)
}

// onDevices wraps visit so that it skips mappings of other devices.
func (f *FS) onDevices(visit func(Mapping)) func(Mapping) {
	return func(m Mapping) {
		var ok bool
		if ok, m.HugePages = f.devices.holds(m.Device); ok {
			visit(m)
		}
	}
}

// queryMaps asks the kernel for file mappings only, or shared ones if only segments are
// wanted. This is much faster than reading the text.
func (f *FS) queryMaps(fd int, name string, v MapVisitor) error {
	for n, addr := 1, uint64(0); ; n++ {
		q, length, err := f.nextFile(fd, name, addr, v.File == nil)
		switch {
		case err == unix.ENOENT:
			return nil
		case err != nil:
			return f.failure("ioctl", name, err)
		}
		addr = q.End
		device := Device{q.Major, q.Minor}
		if v.File != nil {
			v.File(FileMapping{device, q.Inode, q.Writable, q.Shared})
		}
		if key, ok := segmentName(f.buf[:length]); ok && q.Shared && q.Inode <= 1<<31-1 {
			v.Segment(Mapping{
				Start: q.Start, End: q.End, Offset: q.Offset, Writable: q.Writable,
				Device: device, ID: int(q.Inode), Key: key,
			})
		}
		if v.Spend != nil && n%SpendEvery == 0 {
			if err := v.Spend(); err != nil {
				return err
			}
		}
	}
}

// nextFile returns the next mapping of a file. If it may be a segment, its name is in
// f.buf[:length].
func (f *FS) nextFile(fd int, file string, addr uint64, shared bool) (q abi.Procmap, length int, err error) {
	_, err = f.call("ioctl", file, func() (int, error) {
		var e abi.Errno
		if !shared { // files are few, and names cost time
			q, _, e = abi.NextFile(fd, addr, false, nil)
			if ok, _ := f.devices.holds(Device{q.Major, q.Minor}); e != 0 || !q.Shared || !ok {
				return 0, result(e)
			}
			addr = q.Start
		}
		q, length, e = abi.NextFile(fd, addr, shared, f.buf[:64])
		if e == unix.ENAMETOOLONG { // the name is too long for a segment's
			q, length, e = abi.NextFile(fd, addr, shared, nil)
		}
		return 0, result(e)
	})
	return q, length, err
}

func result(e abi.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// scanMaps reads the text. The text of a process with memory is never empty and
// consists of whole lines.
func (f *FS) scanMaps(fd int, name string, v MapVisitor) error {
	count, broken, spent := 0, false, error(nil)
	err := scanText(reader{f, fd, name}, f.buf, func(text []byte) {
		if spent != nil {
			return
		}
		before := count
		lines(text, func(line []byte) bool {
			broken = broken || !beginsMapping(line)
			count++
			return true
		})
		broken = broken || len(text) > 0 && text[len(text)-1] != '\n'
		scanLines(text, v.Segment)
		if v.File != nil {
			scanFiles(text, v.File)
		}
		for n := before / SpendEvery; v.Spend != nil && spent == nil && n < count/SpendEvery; n++ {
			spent = v.Spend()
		}
	})
	if err == nil && (broken || count == 0) {
		err = badFormat(name)
	}
	return cmp.Or(spent, err)
}

// beginsMapping reports whether a line begins like every line of maps.
func beginsMapping(line []byte) bool {
	p := parser{rest: line}
	start, end := p.hex('-'), p.hex(' ')
	return !p.failed && start < end
}
