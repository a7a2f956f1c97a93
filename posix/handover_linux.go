package posix

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// sendFile sends one byte along with the descriptor, because a stream carries no
// descriptor without data.
func sendFile(conn syscall.Conn, f *os.File) error {
	raw, err := unixSocket(conn)
	if err != nil {
		return err
	}
	return control(f, func(fd uintptr) error {
		rights := unix.UnixRights(int(fd))
		waited := raw.Write(func(socket uintptr) bool {
			err = again(func() error {
				return unix.Sendmsg(int(socket), []byte{0}, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			})
			return !errors.Is(err, unix.EAGAIN)
		})
		return either(waited, err)
	})
}

// receiveFile returns the one descriptor of the next message.
func receiveFile(conn syscall.Conn, name string) (*os.File, error) {
	raw, err := unixSocket(conn)
	if err != nil {
		return nil, err
	}
	var m message
	waited := raw.Read(func(socket uintptr) bool {
		err = again(func() error { return m.receive(int(socket)) })
		return !errors.Is(err, unix.EAGAIN)
	})
	if err = either(waited, err); err == nil {
		err = m.check()
	}
	var file *os.File
	if err == nil {
		file, err = inheritFile(m.files[0], name)
	}
	if err != nil {
		m.close()
		return nil, err
	}
	return file, nil
}

// either returns why a wait for a socket ended early, or else the result of the last call.
func either(waited, err error) error {
	if waited != nil {
		return waited
	}
	return err
}

// unixSocket returns an error for any other kind of socket: TCP, for one, accepts a message
// with a descriptor and drops the descriptor.
func unixSocket(conn syscall.Conn) (syscall.RawConn, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var domain int
	if e := raw.Control(func(fd uintptr) {
		domain, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
	}); e != nil {
		return nil, e
	}
	if err != nil || domain != unix.AF_UNIX {
		return nil, refused("not a Unix-domain socket")
	}
	return raw, nil
}

// A message is what recvmsg(2) returned.
type message struct {
	bytes int
	flags int
	files []int
}

// receive reads a message. The kernel closes descriptors that do not fit into the buffer.
// The buffer is small, so that a hostile sender cannot use up this process's descriptors.
func (m *message) receive(socket int) (err error) {
	data := make([]byte, 1)
	// The credentials and the pidfd come if the caller has set SO_PASSCRED or SO_PASSPIDFD.
	room := unix.CmsgSpace(unix.SizeofUcred) + unix.CmsgSpace(2*4) + unix.CmsgSpace(4)
	oob := make([]byte, room)
	n, oobn, flags, _, err := unix.Recvmsg(socket, data, oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return err
	}
	m.bytes, m.flags = n, flags
	parts, err := unix.ParseSocketControlMessage(oob[:oobn])
	for _, p := range parts {
		switch {
		case p.Header.Level != unix.SOL_SOCKET:
		case p.Header.Type == unix.SCM_RIGHTS:
			m.files = append(m.files, descriptors(p.Data)...)
		case p.Header.Type == unix.SCM_PIDFD:
			for _, fd := range descriptors(p.Data) {
				_ = unix.Close(fd)
			}
		}
	}
	return err
}

func descriptors(data []byte) (fds []int) {
	for ; len(data) >= 4; data = data[4:] {
		fds = append(fds, int(int32(binary.NativeEndian.Uint32(data))))
	}
	return fds
}

// check returns an error unless the message has exactly one descriptor.
func (m *message) check() error {
	switch {
	case m.bytes == 0 && len(m.files) == 0 && m.flags&unix.MSG_CTRUNC == 0:
		return io.EOF
	case m.flags&unix.MSG_CTRUNC != 0 && len(m.files) == 0 && !descriptorsLeft():
		return unix.EMFILE
	case m.flags&unix.MSG_TRUNC != 0:
		return refused("the message is longer than one byte")
	case m.flags&unix.MSG_CTRUNC != 0 || len(m.files) > 1:
		return refused("the message has more than one descriptor, or more than credentials with it")
	case len(m.files) == 0:
		return refused("the message has no descriptor")
	}
	return nil
}

// close closes all descriptors of the message.
func (m *message) close() {
	for _, fd := range m.files {
		_ = unix.Close(fd)
	}
}
