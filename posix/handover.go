package posix

import "syscall"

// SendTo hands the object to the process at the other end of a Unix-domain socket, a
// *net.UnixConn of any type (SCM_RIGHTS). It sends a message of one byte with one
// descriptor; ReceiveObject takes it. The other process gets the access that this Object
// has. Either process can go on using the object after the other has closed it or been
// killed. If the last end of the socket closes while a descriptor is in it, the kernel
// closes the descriptor.
//
// SendTo blocks while the socket is full, until the deadline of conn. Errors: EINVAL (not
// a Unix-domain socket); EPIPE, ECONNRESET (the other end is closed); ETOOMANYREFS (too
// many descriptors of this user are in sockets); os.ErrDeadlineExceeded.
func (o *Object) SendTo(conn syscall.Conn) error {
	return failed("sendmsg", o.name, sendFile(conn, o.file))
}

// ReceiveObject returns the Object that the other end of conn, a *net.UnixConn, passed
// with SendTo. Processes started later do not inherit its descriptor, and the caller
// closes it. The other process may have sent any regular file: see OpenUnnamed of package
// shmring for what to check.
//
// The message must be the next one. In a stream, ReceiveObject takes one byte, and leaves
// what follows. It blocks until a message comes or the deadline of conn passes.
//
// After an error, no descriptor is left open. Errors: io.EOF (the other end closed
// without sending), EINVAL (not a Unix-domain socket; the message is longer than one byte
// or has no descriptor, several, or one that is not of a regular file), EMFILE,
// os.ErrDeadlineExceeded.
func ReceiveObject(conn syscall.Conn) (*Object, error) {
	const name = "received descriptor"
	file, err := receiveFile(conn, name)
	if err != nil {
		return nil, failed("recvmsg", name, err)
	}
	return &Object{file, name}, nil
}
