package shmring

import (
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A vigil watches for the end of processes (pidfd_open(2)). It costs nothing meanwhile,
// because the runtime's poller waits for the end.
type vigil struct {
	pids  []int
	files []*os.File
	over  atomic.Bool // a watched process has ended
	wg    sync.WaitGroup
}

// keep watches exactly these processes, and calls ended when one of them ends. It returns
// false if it cannot: before Linux 5.10, or without a free descriptor.
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
		if err != nil || f.SetReadDeadline(time.Time{}) != nil { // the descriptor cannot be polled
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

// end stops watching.
func (v *vigil) end() {
	if v.pids == nil && v.files == nil {
		return // it has not begun
	}
	for _, f := range v.files {
		_ = f.Close()
	}
	v.wg.Wait()
	v.pids, v.files = nil, nil
	v.over.Store(false)
}
