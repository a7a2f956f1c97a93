package procfs

import "golang.org/x/sys/unix"

// faults are the signals that a thread's own fault raises; they interrupt no wait.
const faults = 1<<(unix.SIGILL-1) | 1<<(unix.SIGTRAP-1) | 1<<(unix.SIGABRT-1) | 1<<(unix.SIGBUS-1) |
	1<<(unix.SIGFPE-1) | 1<<(unix.SIGSEGV-1) | 1<<(unix.SIGSYS-1)

// Interruptible reports whether a handled signal may interrupt the thread's system
// call.
func (s *Status) Interruptible() bool { return s.Caught&^faults != 0 }

// Handling reports whether the thread may be in a signal handler, during which the
// signal is blocked.
func (s *Status) Handling() bool { return s.Caught&s.Blocked&^faults != 0 }
