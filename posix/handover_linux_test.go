package posix_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
)

// socketPair returns the two ends of a Unix-domain socket of a type.
func socketPair(t testing.TB, kind int) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	must(t, err)
	end := func(fd int) *net.UnixConn {
		f := os.NewFile(uintptr(fd), "socket")
		defer f.Close()
		c, err := net.FileConn(f)
		must(t, err)
		t.Cleanup(func() { c.Close() })
		return c.(*net.UnixConn)
	}
	return end(fds[0]), end(fds[1])
}

func memfd(t testing.TB, size int64) *posix.Object {
	t.Helper()
	o, err := posix.CreateMemfd("handed", size, nil)
	must(t, err)
	t.Cleanup(func() { o.Close() })
	return o
}

// descriptors returns the number of open descriptors of this process. The garbage collector
// closes none of them, because each test keeps its own reachable.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

// TestSendTo hands an object over through each type of socket.
func TestSendTo(t *testing.T) {
	for name, kind := range map[string]int{"stream": unix.SOCK_STREAM, "seqpacket": unix.SOCK_SEQPACKET, "datagram": unix.SOCK_DGRAM} {
		t.Run(name, func(t *testing.T) {
			a, b := socketPair(t, kind)
			must(t, passCredentials(b))
			o := memfd(t, 4096)
			before := descriptors(t)
			must(t, o.SendTo(a))
			_, err := a.Write([]byte("next"))
			must(t, err)
			got, err := posix.ReceiveObject(b)
			must(t, err)
			sent, err := o.Stat()
			must(t, err)
			if info, err := got.Stat(); err != nil || info.Ino != sent.Ino {
				t.Errorf("received %+v, %v, want %+v", info, err, sent)
			}
			conn, err := got.File().SyscallConn()
			must(t, err)
			must(t, conn.Control(func(fd uintptr) {
				if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
					t.Errorf("descriptor flags %#x, %v, want FD_CLOEXEC", flags, err)
				}
			}))
			if n := descriptors(t); n != before+1 {
				t.Errorf("%d descriptors, want one more than %d", n, before)
			}
			rest := make([]byte, 8)
			if n, err := b.Read(rest); string(rest[:n]) != "next" {
				t.Errorf("after the object: %q, %v", rest[:n], err)
			}
			must(t, got.Close())
		})
	}
}

// passCredentials has the kernel add credentials and, since Linux 6.5, a pidfd to each
// message.
func passCredentials(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	const passPIDFD = 76
	e := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, passPIDFD, 1)
	})
	return errors.Join(e, err)
}

// TestReceiveObjectRefused sends messages that hold no object. Each is an error, and
// leaves no descriptor open.
func TestReceiveObjectRefused(t *testing.T) {
	o := memfd(t, 4096)
	fd := int(o.File().Fd())
	var pipe [2]int
	must(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	dir, err := os.Open("/")
	must(t, err)
	defer dir.Close()
	many := make([]int, 250)
	for i := range many {
		many[i] = fd
	}
	rights := func(fds ...int) []byte { return unix.UnixRights(fds...) }
	for _, tt := range []struct {
		name string
		kind int
		data string
		oob  []byte
		want string
	}{
		{"no descriptor", unix.SOCK_STREAM, "x", nil, "the message has no descriptor"},
		{"text", unix.SOCK_DGRAM, "hello", nil, "the message is longer than one byte"},
		{"long", unix.SOCK_DGRAM, "hello", rights(fd), "the message is longer than one byte"},
		{"two", unix.SOCK_STREAM, "x", rights(fd, fd), "the message has more than one descriptor"},
		{"many", unix.SOCK_SEQPACKET, "x", rights(many...), "the message has more than one descriptor"},
		{"pipe", unix.SOCK_STREAM, "x", rights(pipe[0]), "not a regular file"},
		{"directory", unix.SOCK_STREAM, "x", rights(int(dir.Fd())), "not a regular file"},
	} {
		if tt.name == "many" && ipctest.UnderQEMU() {
			continue // it loses the descriptors of a message that is cut
		}
		for _, credentials := range []bool{false, true} {
			a, b := socketPair(t, tt.kind)
			if credentials {
				must(t, passCredentials(b))
			}
			before := descriptors(t)
			_, _, err := a.WriteMsgUnix([]byte(tt.data), tt.oob, nil)
			must(t, err)
			got, err := posix.ReceiveObject(b)
			if got != nil || !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, %v, want %q", tt.name, got, err, tt.want)
			}
			if n := descriptors(t); n != before {
				t.Errorf("%s: %d descriptors, before it %d", tt.name, n, before)
			}
		}
	}
}

// TestHandOverErrors checks the errors of SendTo and ReceiveObject.
func TestHandOverErrors(t *testing.T) {
	o := memfd(t, 1)
	a, b := socketPair(t, unix.SOCK_STREAM)
	must(t, b.SetReadDeadline(time.Now().Add(time.Millisecond)))
	_, err := posix.ReceiveObject(b)
	wantErr(t, err, os.ErrDeadlineExceeded)
	must(t, b.SetReadDeadline(time.Time{}))
	must(t, a.SetWriteDeadline(time.Now().Add(time.Millisecond)))
	for err = nil; err == nil; {
		err = o.SendTo(a)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, unix.ETOOMANYREFS) {
		t.Errorf("a full socket: %v", err)
	}
	must(t, b.Close())
	must(t, a.SetWriteDeadline(time.Time{}))
	wantErr(t, o.SendTo(a), unix.EPIPE)

	a, b = socketPair(t, unix.SOCK_STREAM)
	must(t, a.Close())
	_, err = posix.ReceiveObject(b)
	wantErr(t, err, io.EOF)
	wantErr(t, o.SendTo(a), net.ErrClosed)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer c.Close()
	wantErr(t, o.SendTo(c.(syscall.Conn)), unix.EINVAL)
	_, err = posix.ReceiveObject(c.(syscall.Conn))
	wantErr(t, err, unix.EINVAL)

	closed := memfd(t, 1)
	must(t, closed.Close())
	a, _ = socketPair(t, unix.SOCK_STREAM)
	wantErr(t, closed.SendTo(a), os.ErrClosed)
}

// TestReceiveBlocks: a receiver waits for the object.
func TestReceiveBlocks(t *testing.T) {
	o := memfd(t, 4096)
	a, b := socketPair(t, unix.SOCK_STREAM)
	type result struct {
		o   *posix.Object
		err error
	}
	got := make(chan result)
	go func() {
		o, err := posix.ReceiveObject(b)
		got <- result{o, err}
	}()
	select {
	case r := <-got:
		t.Fatalf("received %v, %v before it was sent", r.o, r.err)
	case <-time.After(20 * time.Millisecond):
	}
	must(t, o.SendTo(a))
	r := <-got
	must(t, r.err)
	must(t, r.o.Close())
}

// TestHandOverAgainstPython hands an object to a Python program, which hands it back.
func TestHandOverAgainstPython(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: no python3 to exchange objects with")
	}
	const program = `
import mmap, os, socket
s = socket.socket(fileno=3)
_, fds, flags, _ = socket.recv_fds(s, 1, 4)
assert len(fds) == 1 and flags & ~socket.MSG_CMSG_CLOEXEC == 0, (fds, flags)
m = mmap.mmap(fds[0], 0)
m[:6] = b"python"
socket.send_fds(s, [b"\0"], fds)
`
	o := memfd(t, 4096)
	a, b := socketPair(t, unix.SOCK_STREAM)
	end, err := b.File()
	must(t, err)
	must(t, b.Close())
	cmd := exec.Command("python3", "-c", program)
	cmd.ExtraFiles, cmd.Stderr = []*os.File{end}, os.Stderr
	must(t, cmd.Start())
	must(t, end.Close())
	must(t, o.SendTo(a))
	back, err := posix.ReceiveObject(a)
	must(t, errors.Join(err, cmd.Wait()))
	defer back.Close()
	m, err := back.Map(nil)
	must(t, err)
	defer m.Unmap()
	if got := m.Bytes()[:6]; string(got) != "python" {
		t.Errorf("Python wrote %q", got)
	}
}

// playReceiveLimited receives an object from descriptor 3 when no descriptor is free.
func playReceiveLimited([]string) error {
	f := os.NewFile(3, "socket")
	c, err := net.FileConn(f)
	if err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 32, Max: 32}); err != nil {
		return err
	}
	for err == nil {
		_, err = unix.Open("/dev/null", unix.O_RDONLY, 0)
	}
	if _, err := posix.ReceiveObject(c.(syscall.Conn)); !errors.Is(err, unix.EMFILE) {
		return fmt.Errorf("without a free descriptor: %w", err)
	}
	return nil
}

func TestReceiveWithoutDescriptors(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "it cannot start the test program again")
	a, b := socketPair(t, unix.SOCK_STREAM)
	end, err := b.File()
	must(t, err)
	defer end.Close()
	must(t, memfd(t, 1).SendTo(a))
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "GIPC_TEST_ROLE=receive limited")
	cmd.ExtraFiles = []*os.File{end}
	in, err := cmd.StdinPipe() // the process ends when this is closed
	must(t, err)
	defer in.Close()
	var text []byte
	if text, err = cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, text)
	}
}
