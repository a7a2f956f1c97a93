package tracer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/extra/internal/ipccall"
	"github.com/sysvipc/gipc/internal/abi"
)

// A process is a traced process that the filter has stopped.
type process struct {
	pid, parent int
	program     string
	announced   bool // the Sink knows it
	executed    bool // program is that before an execve
}

// procPath returns a path below the directory of a process or thread in /proc.
func procPath(id int, file string) string { return "/proc/" + strconv.Itoa(id) + "/" + file }

// newProcess returns the process of a thread. What cannot be read stays unknown.
func newProcess(tid int) *process {
	p := &process{pid: tid}
	status, _ := os.ReadFile(procPath(tid, "status"))
	for line := range bytes.Lines(status) {
		field, value, _ := strings.Cut(strings.TrimSpace(string(line)), ":\t")
		switch field {
		case "Tgid":
			if pid, err := strconv.Atoi(value); err == nil {
				p.pid = pid
			}
		case "PPid":
			p.parent, _ = strconv.Atoi(value)
		}
	}
	comm, _ := os.ReadFile(procPath(p.pid, "comm"))
	p.program = strings.TrimSuffix(string(comm), "\n")
	return p
}

// A thread is a traced thread that the filter has stopped. It implements ipccall.Process.
type thread struct {
	*process
	tid  int
	call *ipccall.Call // that it is in
}

func (t *thread) ReadMemory(p []byte, addr uint64) int {
	if len(p) == 0 || uint64(uintptr(addr)) != addr {
		return 0
	}
	local := []unix.Iovec{{Base: &p[0]}}
	local[0].SetLen(len(p))
	n, err := unix.ProcessVMReadv(t.tid, local, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}, 0)
	if err != nil {
		return 0
	}
	return n
}

// File reads the thread's own directory: that of a process whose main thread has ended is
// empty.
func (t *thread) File(fd int) string {
	path, _ := os.Readlink(procPath(t.tid, "fd/"+strconv.Itoa(fd)))
	return path
}

func (t *thread) MappingAt(addr uint64) (ipccall.Mapping, bool) {
	maps, err := os.Open(procPath(t.tid, "maps"))
	if err != nil {
		return ipccall.Mapping{}, false
	}
	defer maps.Close()
	m, e := queryMaps(maps, addr)
	if errors.Is(e, unix.ENOTTY) { // before Linux 6.11
		m, e = scanMaps(maps, addr)
	}
	return m, e == nil
}

// queryMaps asks for the mapping of a file that contains addr.
func queryMaps(maps *os.File, addr uint64) (ipccall.Mapping, error) {
	name := make([]byte, unix.PathMax)
	m, n, e := abi.NextFile(int(maps.Fd()), addr, false, name)
	switch {
	case e != 0:
		return ipccall.Mapping{}, e
	case m.Start > addr:
		return ipccall.Mapping{}, unix.ENOENT
	}
	return ipccall.Mapping{Start: m.Start, Offset: m.Offset, Inode: m.Inode, Shared: m.Shared, Path: string(name[:n])}, nil
}

// scanMaps looks for the mapping of a file that contains addr:
//
//	7f4bfe23c000-7f4bfe23e000 rw-s 00000000 00:1a 5        /dev/shm/name
func scanMaps(maps io.Reader, addr uint64) (m ipccall.Mapping, err error) {
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		fields := strings.SplitN(lines.Text(), " ", 6)
		first, last, _ := strings.Cut(fields[0], "-")
		end, err := strconv.ParseUint(last, 16, 64)
		if err != nil || end <= addr || len(fields) < 6 {
			continue
		}
		if m.Start, err = strconv.ParseUint(first, 16, 64); err != nil || m.Start > addr {
			break
		}
		m.Offset, _ = strconv.ParseUint(fields[2], 16, 64)
		m.Inode, _ = strconv.ParseUint(fields[4], 10, 64)
		m.Shared = strings.HasSuffix(fields[1], "s")
		// The inode is no sign of a file: that of segment 0 is 0.
		if m.Path = strings.TrimLeft(fields[5], " "); !strings.HasPrefix(m.Path, "/") {
			break
		}
		return m, nil
	}
	return ipccall.Mapping{}, unix.ENOENT
}
