// Package lifeline tells processes that share memory which of them are alive, by locks
// of the kernel.
package lifeline

import (
	"errors"
	"fmt"
	"os"
)

// A Line is how other processes know that this one lives: an open file description of
// its own, with a lock on one byte for each role that it has. The kernel drops the locks
// after the last thread of the process has let go of its memory, at its end or at
// execve(2), and shows them to processes of all pid and user namespaces. The locks are
// shared ones, which exclude nobody: who has a role is decided in the memory.
//
// The file is the one that the memory is mapped from. For memory without one (a System V
// segment, anonymous memory) it is that of the IPC namespace. Several things may have
// their locks in one file, at different bytes.
type Line struct {
	FD   int
	Base int64 // the byte of role 0
}

// ErrExcluded means that another line has locked all roles.
var ErrExcluded = errors.New("roles are locked by another process")

// OpenNamespaceOf is OpenNamespace for a namespace that the caller expects: it fails in
// any other.
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
