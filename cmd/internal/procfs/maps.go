package procfs

import (
	"bytes"
	"errors"
	"io"
)

// A Device identifies the device that holds a file.
type Device struct{ Major, Minor uint32 }

// A Mapping is a System V segment in a process's memory: a line of /proc/PID/maps.
// mprotect(2) and munmap(2) can split one attachment into several mappings.
type Mapping struct {
	Start, End uint64 // addresses
	Offset     uint64 // of Start in the segment, in bytes
	Writable   bool
	// Device is the kernel's internal tmpfs or, for huge pages, a hugetlbfs.
	Device Device
	ID     int   // identifier of the segment: the inode number
	Key    int32 // the key it was made with, even after its removal
	// HugePages is set if the segment consists of huge pages, judged by Device.
	// FS.Mappings sets it.
	HugePages bool
}

// A FileMapping is a file in a process's memory.
type FileMapping struct {
	Device           Device
	Inode            uint64
	Writable, Shared bool
}

// ScanMaps calls visit for each mapping of a segment in r, which has the format of
// /proc/PID/maps. It uses buf, which should have room for a few lines, and does not
// allocate. A line longer than buf is skipped.
func ScanMaps(r io.Reader, buf []byte, visit func(Mapping)) error {
	return scanText(r, buf, func(lines []byte) { scanLines(lines, visit) })
}

// ScanFiles is like ScanMaps for mappings of files.
func ScanFiles(r io.Reader, buf []byte, visit func(FileMapping)) error {
	return scanText(r, buf, func(lines []byte) { scanFiles(lines, visit) })
}

// scanText reads r in pieces of whole lines.
func scanText(r io.Reader, buf []byte, visit func(lines []byte)) error {
	have, skipping := 0, false
	for {
		n, err := r.Read(buf[have:])
		have += n
		end := bytes.LastIndexByte(buf[:have], '\n') + 1
		if err != nil {
			end = have
		}
		if whole := buf[:end]; end > 0 {
			if skipping {
				_, whole, _ = bytes.Cut(whole, []byte{'\n'})
				skipping = false
			}
			visit(whole)
			have = copy(buf, buf[end:have])
		} else if have == len(buf) {
			have, skipping = 0, true
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func scanFiles(text []byte, visit func(FileMapping)) {
	lines(text, func(line []byte) bool {
		if m, ok := ParseFileLine(line); ok {
			visit(m)
		}
		return true
	})
}

// ParseFileLine parses a line of /proc/PID/maps without its newline. It returns false
// unless the line is the mapping of a file:
//
//	7f4bfe23c000-7f4bfe23e000 rw-s 00000000 00:1a 5        /dev/shm/name
func ParseFileLine(line []byte) (m FileMapping, ok bool) {
	p := parser{rest: line}
	p.hex('-')
	p.hex(' ')
	perms := p.until(' ')
	if len(perms) != 4 {
		return m, false
	}
	m.Writable, m.Shared = perms[1] == 'w', perms[3] == 's'
	p.hex(' ')
	m.Device.Major = p.hex32(':')
	m.Device.Minor = p.hex32(' ')
	m.Inode = p.decimal(' ')
	return m, !p.failed && m.Inode != 0
}

var mark = []byte("/SYSV")

// scanLines searches for the mark first: few lines of few processes contain it.
func scanLines(lines []byte, visit func(Mapping)) {
	for {
		at := bytes.Index(lines, mark)
		if at < 0 {
			return
		}
		start := bytes.LastIndexByte(lines[:at], '\n') + 1
		end := bytes.IndexByte(lines[at:], '\n')
		if end < 0 {
			end = len(lines)
		} else {
			end += at
		}
		if m, ok := ParseMapsLine(lines[start:end]); ok {
			visit(m)
		}
		if end == len(lines) {
			return
		}
		lines = lines[end+1:]
	}
}

// ParseMapsLine parses a line of /proc/PID/maps without its newline. It returns false
// unless the line is the mapping of a System V segment:
//
//	7f4bfe23c000-7f4bfe23e000 r--s 00000000 00:01 32769    /SYSV00001234 (deleted)
func ParseMapsLine(line []byte) (Mapping, bool) {
	var m Mapping
	p := parser{rest: line}
	m.Start = p.hex('-')
	m.End = p.hex(' ')
	m.Offset, m.Writable = p.shared()
	m.Device.Major = p.hex32(':')
	m.Device.Minor = p.hex32(' ')
	id := p.decimal(' ')
	m.ID = int(id)
	p.blanks()
	key, ok := segmentName(p.rest)
	m.Key = key
	return m, ok && !p.failed && m.Start < m.End && id <= 1<<31-1
}

// segmentName parses the name that the kernel gives a segment.
func segmentName(name []byte) (key int32, ok bool) {
	const after = " (deleted)"
	if !bytes.HasPrefix(name, mark) {
		return 0, false
	}
	digits, ok := bytes.CutSuffix(name[len(mark):], []byte(after))
	if !ok || len(digits) != 8 {
		return 0, false
	}
	n, ok := hexNumber(digits)
	return int32(uint32(n)), ok
}

// shared parses the permissions and the offset of a shared mapping.
func (p *parser) shared() (offset uint64, writable bool) {
	perms := p.until(' ')
	if len(perms) != 4 || perms[3] != 's' {
		p.failed = true
		return 0, false
	}
	return p.hex(' '), perms[1] == 'w'
}
