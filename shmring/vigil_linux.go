package shmring

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A vigil waits for the end of processes (pidfd_open(2)) at no cost: the runtime's
// poller does the waiting.
type vigil struct {
	files []*os.File
	wg    sync.WaitGroup
}

// keep begins to wait for the end of the processes of ids, each of which calls
// ended. It returns false if it can't: before Linux 5.10, or without a free
// descriptor.
func (v *vigil) keep(ids []identity, ended func()) bool {
	for _, id := range ids {
		fd, err := unix.PidfdOpen(id.pid(), unix.PIDFD_NONBLOCK)
		if err != nil {
			v.end()
			return false
		}
		f := os.NewFile(uintptr(fd), "pidfd")
		v.files = append(v.files, f)
		conn, err := f.SyscallConn()
		if err != nil || f.SetReadDeadline(time.Time{}) != nil { // not one that can be polled
			v.end()
			return false
		}
		v.wg.Go(func() {
			if conn.Read(over) == nil {
				ended()
			}
		})
	}
	return true
}

// over tells whether the process of a pidfd has ended.
func over(fd uintptr) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	return n > 0 && err == nil
}

// end stops waiting.
func (v *vigil) end() {
	if v.files == nil {
		return
	}
	for _, f := range v.files {
		_ = f.Close()
	}
	v.wg.Wait()
	v.files = nil
}
