// Package lifeline uses locks of the kernel to tell processes that share memory which of
// them are alive.
package lifeline

import (
	"errors"
	"fmt"
	"os"
)

// A Line shows other processes that this one is alive. It is an open file description of
// its own, with a lock on one byte for each role that the process has. The kernel drops
// the locks after the last thread of the process has let go of its memory, at its end or
// at execve(2). Processes in all pid and user namespaces see the locks. They are shared
// locks, which exclude nobody: the shared memory records which process has a role.
//
// The file is the one that the memory is mapped from. For memory without a file (a System
// V segment, anonymous memory) it is the file of the IPC namespace. Several objects may
// have their locks in one file, at different bytes.
type Line struct {
	FD   int
	Base int64 // the byte of role 0
}

// ErrExcluded means that another line has locked all roles.
var ErrExcluded = errors.New("roles are locked by another process")

// OpenNamespaceOf is OpenNamespace, but fails if this process's namespace has another
// inode.
func OpenNamespaceOf(inode uint64) (*os.File, error) {
	f, here, err := OpenNamespace()
	if err != nil {
		return nil, err
	}
	if here != inode {
		f.Close()
		return nil, fmt.Errorf("made in IPC namespace %d, this is %d", inode, here)
	}
	return f, nil
}
