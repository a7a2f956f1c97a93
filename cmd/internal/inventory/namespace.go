package inventory

import "github.com/sysvipc/gipc/cmd/internal/procfs"

// A Namespace is an IPC namespace.
type Namespace struct {
	Inode uint64 // as in /proc/PID/ns/ipc; it may be reused for another namespace later
	Own   bool   // it is the calling thread's namespace
	// PIDs are its visible processes, in ascending order. A thread can be in another
	// namespace than its process; that is not detected.
	PIDs []int
	// Comm and Container are those of the first process.
	Comm      string
	Container procfs.Container
	Mounts    []string // files that it is bind-mounted on

	proc string // where the proc file system is mounted
}
