package ipctest

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// AwaitNoReader waits until no process can read from the pipe that w writes to. Closing the
// other end is not enough: a process that another test is starting has all descriptors of
// this one until its execve is over.
func AwaitNoReader(t testing.TB, w *os.File) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(w.Fd())}}
	for fds[0].Revents&unix.POLLERR == 0 {
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
	}
}
