package procfs

import (
	"bufio"
	"bytes"
	"io"
	"slices"
	"strconv"
	"time"
)

// ParseNamespace parses the target of a link such as /proc/PID/ns/ipc
// ("ipc:[4026531839]") and returns the inode number.
func ParseNamespace(kind, link string) (uint64, error) {
	if len(link) > len(kind)+3 && link[:len(kind)] == kind && link[len(kind):len(kind)+2] == ":[" && link[len(link)-1] == ']' {
		if inode, ok := number([]byte(link[len(kind)+2 : len(link)-1])); ok {
			return inode, nil
		}
	}
	return 0, badFormat("ns/" + kind)
}

// ParseBootTime parses /proc/stat and returns when the system was booted, to the
// second, by the clock as currently set.
func ParseBootTime(b []byte) (time.Time, error) {
	var boot time.Time
	lines(wholeLines(b), func(line []byte) bool {
		digits, ok := bytes.CutPrefix(line, []byte("btime "))
		if !ok {
			return true
		}
		if seconds, ok := number(digits); ok && seconds <= 1<<62 {
			boot = time.Unix(int64(seconds), 0)
		}
		return false
	})
	if boot.IsZero() {
		return boot, badFormat("stat")
	}
	return boot, nil
}

// SegmentMemory is what only /proc/sysvipc/shm reports about a segment, in bytes.
type SegmentMemory struct {
	ID, Size, Resident, Swapped uint64
}

// ParseSegmentMemory parses /proc/sysvipc/shm and calls visit for each row until visit
// returns false. Stopping early saves time: the kernel adds up a segment's memory when its
// row is read. Columns are found by title. Linux (at least to 6.18) counts a huge page once
// for each small page in it, so Resident is capped at the segment's size, rounded up to
// whole pages.
func ParseSegmentMemory(r io.Reader, visit func(SegmentMemory) (more bool)) error {
	rows := bufio.NewScanner(r)
	rows.Scan()
	columns := bytes.Fields(bytes.Clone(rows.Bytes()))
	column := func(title string) int {
		return slices.IndexFunc(columns, func(c []byte) bool { return string(c) == title })
	}
	id, size, rss, swap := column("shmid"), column("size"), column("rss"), column("swap")
	if rows.Err() == nil && min(id, size, rss, swap) < 0 {
		return badFormat("sysvipc/shm")
	}
	for rows.Scan() {
		var m SegmentMemory
		p := parser{rest: rows.Bytes()}
		found := 0
		for i := range columns {
			field := p.field()
			for _, want := range [...]struct {
				column int
				value  *uint64
			}{{id, &m.ID}, {size, &m.Size}, {rss, &m.Resident}, {swap, &m.Swapped}} {
				if n, ok := number(field); ok && want.column == i {
					*want.value = n
					found++
				}
			}
		}
		if found != 4 {
			return badFormat("sysvipc/shm")
		}
		m.Resident = min(m.Resident, roundUp(m.Size))
		if !visit(m) {
			return nil
		}
	}
	return rows.Err()
}

// roundUp rounds up to a multiple of 64 KiB, the largest ordinary page.
func roundUp(size uint64) uint64 {
	const page = 64 << 10
	return size + -size%page
}

// A NamespaceMount is a bind mount of /proc/PID/ns/ipc. It keeps an IPC namespace alive
// without a process in it.
type NamespaceMount struct {
	Inode uint64
	Path  string // mount point
}

// ParseNamespaceMounts parses /proc/PID/mountinfo and returns the mounts of IPC
// namespaces.
func ParseNamespaceMounts(b []byte) (mounts []NamespaceMount) {
	lines(b, func(line []byte) bool {
		p := parser{rest: line}
		for range 3 { // mount id, parent id, device
			p.field()
		}
		root, point := string(p.field()), p.field()
		if inode, err := ParseNamespace("ipc", root); err == nil {
			mounts = append(mounts, NamespaceMount{inode, unescape(point)})
		}
		return true
	})
	return mounts
}

// ParseHidePID parses /proc/PID/mountinfo and returns the value of the mount option hidepid
// of the proc file system at a mount point, or "" if it has none. Linux writes the value as
// a number before 5.8, and since then as a word.
func ParseHidePID(b []byte, point string) (value string) {
	lines(b, func(line []byte) bool {
		mount, source, ok := bytes.Cut(line, []byte(" - "))
		fields, rest := bytes.Fields(mount), bytes.Fields(source)
		if !ok || len(fields) < 5 || len(rest) < 3 || unescape(fields[4]) != point {
			return true
		}
		value = "" // value of a mount that this one covers
		for option := range bytes.SplitSeq(rest[2], []byte{','}) {
			if v, ok := bytes.CutPrefix(option, []byte("hidepid=")); ok && string(rest[0]) == "proc" {
				value = string(v)
			}
		}
		return true
	})
	return value
}

// unescape decodes the \ooo escapes of mountinfo.
func unescape(b []byte) string {
	var out []byte
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+3 < len(b) {
			if n, err := strconv.ParseUint(string(b[i+1:i+4]), 8, 8); err == nil {
				out = append(out, byte(n))
				i += 3
				continue
			}
		}
		out = append(out, b[i])
	}
	return string(out)
}
