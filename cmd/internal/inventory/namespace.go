package inventory

import "github.com/sysvipc/gipc/cmd/internal/procfs"

// A Namespace is an IPC namespace.
type Namespace struct {
	Inode uint64 // what /proc/PID/ns/ipc shows; it may be given to another one later
	Own   bool   // that of the thread that asked
	// PIDs are its processes, as far as they are visible, in ascending order. A
	// thread can be in another namespace than its process; that is not seen.
	PIDs []int
	// Comm and Container are those of the first process.
	Comm      string
	Container procfs.Container
	Mounts    []string // files that it is bind-mounted on

	proc string // where the proc file system is mounted
}
