package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
)

// Namespaces returns the IPC namespaces that visible processes are in, or that are
// bind-mounted, by inode number, and the processes whose namespace is not known. A namespace that only an open file holds is not found. proc is
// where the proc file system is mounted; "" means /proc.
func Namespaces(proc string) (list []Namespace, hidden Hidden, err error) {
	f, err := procfs.Open(cmp.Or(proc, procfs.Root))
	if err != nil {
		return nil, hidden, err
	}
	defer f.Close()
	own, err := f.OwnIPCNamespace()
	if err != nil {
		return nil, hidden, err
	}
	found := map[uint64]*Namespace{own: {Inode: own, Own: true}}
	hidden.Processes, err = findProcesses(f, found)
	if err != nil {
		return nil, hidden, err
	}
	mounts, err := f.NamespaceMounts()
	for _, m := range mounts {
		n := found[m.Inode]
		if n == nil {
			n = &Namespace{Inode: m.Inode}
			found[m.Inode] = n
		}
		n.Mounts = append(n.Mounts, m.Path)
	}
	for _, n := range found {
		n.proc = f.Root()
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b Namespace) int { return cmp.Compare(a.Inode, b.Inode) })
	return list, hidden, err
}

func findProcesses(f *procfs.FS, found map[uint64]*Namespace) (hidden []HiddenProcess, err error) {
	pids, err := f.PIDs()
	for _, pid := range pids {
		via, inode, err := reach(f, pid)
		has := false
		if err == nil {
			has, err = f.HasMemory(via)
		}
		if err != nil || !has {
			if !absent(f, pid) {
				hidden = append(hidden, newHidden(f, pid, 0, cmp.Or(err, error(fs.ErrNotExist))))
			}
			continue
		}
		n := found[inode]
		if n == nil {
			n = &Namespace{Inode: inode}
			found[inode] = n
		}
		if len(n.PIDs) == 0 {
			n.Comm, n.Container = nameOf(f, pid)
		}
		n.PIDs = append(n.PIDs, pid)
	}
	return hidden, err
}

func nameOf(f *procfs.FS, pid int) (comm string, container procfs.Container) {
	if stat, err := f.Stat(pid); err == nil {
		comm = stat.Comm
	}
	container, _ = f.Container(pid) // unknown is the zero Container
	return comm, container
}

// NamespaceAt returns the namespace that a file stands for: /proc/PID/ns/ipc, or
// what that was mounted on.
func NamespaceAt(path string) (Namespace, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Namespace{}, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Namespace{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int64(st.Type) != unix.NSFS_MAGIC {
		return Namespace{}, &fs.PathError{Op: "open", Path: path, Err: errors.New("not a namespace")}
	}
	return Namespace{Inode: sys.Ino, Mounts: []string{path}}, nil
}

// Do calls f inside the namespace: on a thread of its own that is moved there, and
// that ends with f, for it must not be used for anything else. What f calls on
// package sysv, and Collect, works on that namespace, but not on goroutines that f
// starts, nor through files that were opened before. A panic of f ends the program.
//
// It needs CAP_SYS_ADMIN, here and in the user namespace that owns n; otherwise
// the error is fs.ErrPermission. If n is gone, or its identity was given to another
// namespace, it is fs.ErrNotExist.
func (n Namespace) Do(f func() error) error {
	file, err := n.open()
	if err != nil {
		return err
	}
	defer file.Close()
	onThrowawayThread(func() {
		if _, err = n.join(file); err == nil {
			err = f()
		}
	})
	return err
}

// onThrowawayThread calls f on a thread that ends afterwards. That must not be the
// first thread of the process, which Go can not end: it would stay what f made of
// it, and /proc/PID shows the first thread's namespaces for those of the process.
func onThrowawayThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			onThrowawayThread(f) // on another thread, for this one is locked
			runtime.UnlockOSThread()
			return
		}
		f() // and never unlock: the thread ends with the goroutine
	}()
	<-done
}

// isOwn reports whether the calling thread is in the namespace already.
func (n Namespace) isOwn() bool {
	f, err := procfs.Open(cmp.Or(n.proc, procfs.Root))
	if err != nil {
		return false
	}
	defer f.Close()
	inode, err := f.OwnIPCNamespace()
	return err == nil && inode == n.Inode
}

// open opens the namespace by way of one of its processes or mounts. Those may
// have changed since, so the file is asked which namespace it is.
func (n Namespace) open() (*os.File, error) {
	proc := cmp.Or(n.proc, procfs.Root)
	paths := slices.Clone(n.Mounts)
	for _, pid := range n.PIDs {
		paths = append(paths, fmt.Sprintf("%s/%d/ns/ipc", proc, pid))
	}
	if n.Own {
		paths = append(paths, proc+"/thread-self/ns/ipc")
	}
	err := error(fs.ErrNotExist)
	for _, path := range paths {
		file, e := os.Open(path)
		if e != nil {
			err = e
			continue
		}
		if info, e := file.Stat(); e == nil {
			if sys, ok := info.Sys().(*syscall.Stat_t); ok && sys.Ino == n.Inode {
				return file, nil
			}
		}
		file.Close()
	}
	return nil, fmt.Errorf("IPC namespace %d: %w", n.Inode, err)
}
