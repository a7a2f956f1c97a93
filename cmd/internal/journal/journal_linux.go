// Package journal writes entries to the journal of systemd, in its native protocol.
// Package go-systemd does the same, but links package net, which takes time at every
// start.
package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Socket is the path at which systemd-journald listens.
const Socket = "/run/systemd/journal/socket"

// patience is how many seconds Send waits for a journal that does not read.
const patience = 10

// A Field is a part of an entry. Names consist of upper-case letters, digits and
// underscores, and begin with a letter. A value may hold any bytes.
type Field struct{ Name, Value string }

// A Journal is a connection to systemd-journald. It needs no privileges.
type Journal struct {
	fd   int
	addr *unix.SockaddrUnix
}

// Open returns a connection to the journal that listens at path, normally Socket. It is
// an error if nobody listens there.
func Open(path string) (*Journal, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	j := &Journal{fd, &unix.SockaddrUnix{Name: path}}
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: patience})
	if err == nil {
		err = unix.Connect(fd, j.addr)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("no journal listens at %s: %w", path, err), j.Close())
	}
	return j, nil
}

// Close closes the connection.
func (j *Journal) Close() error { return unix.Close(j.fd) }

// Send writes an entry. When it returns nil the journal has it, or will read it from the
// socket.
func (j *Journal) Send(entry []Field) error {
	data := encode(entry)
	err := again(func() error { return unix.Sendto(j.fd, data, unix.MSG_NOSIGNAL, nil) })
	if errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.ENOBUFS) {
		err = j.sendFile(data)
	}
	return os.NewSyscallError("send to the journal", err)
}

// sendFile passes an entry in a sealed memory file, for entries too large for a datagram.
func (j *Journal) sendFile(data []byte) error {
	fd, err := unix.MemfdCreate("journal-entry", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), "journal-entry")
	defer file.Close()
	if _, err := file.Write(data); err != nil {
		return err
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return err
	}
	rights := unix.UnixRights(int(file.Fd()))
	return again(func() error { return unix.Sendmsg(j.fd, nil, rights, nil, unix.MSG_NOSIGNAL) })
}

func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// encode returns the entry in the journal's format. A value of one line becomes NAME=VALUE;
// a longer one is preceded by its name and length.
func encode(entry []Field) (data []byte) {
	for _, f := range entry {
		data = append(data, f.Name...)
		if strings.Contains(f.Value, "\n") {
			data = append(data, '\n')
			data = binary.LittleEndian.AppendUint64(data, uint64(len(f.Value)))
		} else {
			data = append(data, '=')
		}
		data = append(data, f.Value...)
		data = append(data, '\n')
	}
	return data
}
