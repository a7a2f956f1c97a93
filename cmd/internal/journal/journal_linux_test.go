package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listen returns a socket that stands in for the journal's.
func listen(t *testing.T) (fd int, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "socket")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	check(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	return fd, path
}

// receive reads an entry as journald does: from the datagram, or from the sealed file that
// comes with an empty datagram. It reports which of the two it was.
func receive(t *testing.T, fd int) (entry []Field, inFile bool) {
	t.Helper()
	data, rights := make([]byte, 1<<20), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := unix.Recvmsg(fd, data, rights, unix.MSG_CMSG_CLOEXEC)
	check(t, err)
	if oobn == 0 {
		return decode(t, string(data[:n])), false
	}
	messages, err := unix.ParseSocketControlMessage(rights[:oobn])
	check(t, err)
	fds, err := unix.ParseUnixRights(&messages[0])
	check(t, err)
	file := os.NewFile(uintptr(fds[0]), "entry")
	defer file.Close()
	const want = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if seals, err := unix.FcntlInt(file.Fd(), unix.F_GET_SEALS, 0); err != nil || seals != want || n != 0 {
		t.Errorf("seals %#x, %v, and %d bytes beside the file; want %#x and none", seals, err, n, want)
	}
	info, err := file.Stat()
	check(t, err)
	text := make([]byte, info.Size())
	_, err = file.ReadAt(text, 0)
	check(t, err)
	return decode(t, string(text)), true
}

// decode is the inverse of encode.
func decode(t *testing.T, text string) (entry []Field) {
	t.Helper()
	for text != "" {
		line, rest, ok := strings.Cut(text, "\n")
		if !ok {
			t.Fatalf("the entry ends in %q", line)
		}
		name, value, short := strings.Cut(line, "=")
		if !short {
			size := binary.LittleEndian.Uint64([]byte(rest))
			value, rest = rest[8:8+size], rest[8+size:]
			rest, ok = strings.CutPrefix(rest, "\n")
		}
		if !ok {
			t.Fatalf("no line feed after %s", name)
		}
		entry, text = append(entry, Field{name, value}), rest
	}
	return entry
}

func TestSend(t *testing.T) {
	fd, path := listen(t)
	j, err := Open(path)
	check(t, err)
	defer j.Close()
	for _, tt := range []struct {
		value  string
		inFile bool
	}{
		{"", false},
		{"plain", false},
		{"a=b", false},
		{"a name\nMESSAGE=forged\n", false},
		{"\n", false},
		{"\x00\xff\x1b[31m", false},
		{strings.Repeat("x", 1<<20), true}, // more than a datagram holds
		{strings.Repeat("x\n", 1<<20), true},
	} {
		want := []Field{{"MESSAGE", "m"}, {"GIPC_NAME", tt.value}, {"PRIORITY", "5"}}
		check(t, j.Send(want))
		got, inFile := receive(t, fd)
		if diff := cmp.Diff(want, got); diff != "" || inFile != tt.inFile {
			t.Errorf("%.20q of %d bytes: in a file: %v, want %v; %.400s", tt.value, len(tt.value), inFile, tt.inFile, diff)
		}
	}
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		for _, f := range files {
			if name, _ := os.Readlink("/proc/self/fd/" + f.Name()); strings.HasPrefix(name, "/memfd:journal-entry") {
				t.Errorf("%s is still open", name)
			}
		}
	}
}

// TestNobodyListens: the error says so if there is no journal, if it has ended, or if it
// ends after Open.
func TestNobodyListens(t *testing.T) {
	fd, path := listen(t)
	j, err := Open(path)
	check(t, err)
	defer j.Close()
	check(t, unix.Shutdown(fd, unix.SHUT_RDWR))
	if err := j.Send([]Field{{"MESSAGE", "m"}}); err == nil || !strings.Contains(err.Error(), "send to the journal") {
		t.Errorf("to a journal that has ended: %v", err)
	}
	for path, want := range map[string]error{
		filepath.Join(t.TempDir(), "no"): unix.ENOENT, dead(t): unix.ECONNREFUSED, "/dev/null": unix.ECONNREFUSED,
		"/" + strings.Repeat("x", 200): unix.EINVAL,
	} {
		j, err := Open(path)
		if !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), "no journal listens at "+path) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
		if err == nil {
			j.Close()
		}
	}
}

// dead returns the path of a socket at which nobody listens any more.
func dead(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	check(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	check(t, unix.Close(fd))
	return path
}
