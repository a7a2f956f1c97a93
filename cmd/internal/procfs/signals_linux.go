package procfs

import "golang.org/x/sys/unix"

// faults are the signals that a fault of a thread's own raises, which interrupts no wait.
const faults = 1<<(unix.SIGILL-1) | 1<<(unix.SIGTRAP-1) | 1<<(unix.SIGABRT-1) | 1<<(unix.SIGBUS-1) |
	1<<(unix.SIGFPE-1) | 1<<(unix.SIGSEGV-1) | 1<<(unix.SIGSYS-1)

// Interruptible reports whether a signal may interrupt a call of the thread and be
// handled.
func (s *Status) Interruptible() bool { return s.Caught&^faults != 0 }

// Handling reports whether the thread may be in the handler of such a signal, which is
// blocked meanwhile.
func (s *Status) Handling() bool { return s.Caught&s.Blocked&^faults != 0 }
