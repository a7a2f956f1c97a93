package shmring

import (
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A vigil waits for the end of processes (pidfd_open(2)) at no cost: the runtime's
// poller does the waiting.
type vigil struct {
	pids  []int
	files []*os.File
	over  atomic.Bool // one of them has ended
	wg    sync.WaitGroup
}

// keep waits for the end of these processes, and no others, each of which calls ended.
// It returns false if it can't: before Linux 5.10, or without a free descriptor.
func (v *vigil) keep(pids []int, ended func()) bool {
	if slices.Equal(pids, v.pids) && !v.over.Load() {
		return true
	}
	v.end()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
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
				v.over.Store(true)
				ended()
			}
		})
	}
	v.pids = pids
	return true
}

// over reports whether the process of a pidfd has ended.
func over(fd uintptr) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	return n > 0 && err == nil
}

// end stops waiting.
func (v *vigil) end() {
	for _, f := range v.files {
		_ = f.Close()
	}
	v.wg.Wait()
	v.pids, v.files = nil, nil
	v.over.Store(false)
}
