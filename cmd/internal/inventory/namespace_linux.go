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

// Namespaces returns the IPC namespaces of visible processes and those that are
// bind-mounted, ordered by inode number, and the processes whose namespace is unknown. It
// does not find a namespace that only an open file holds. proc is where the proc file
// system is mounted; "" means /proc.
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

// NamespaceAt returns the namespace of a file: /proc/PID/ns/ipc, or a file on which a
// namespace is mounted.
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

// Do calls f inside the namespace. It moves a new thread there, which ends with f because
// it must not be used for anything else. In f, package sysv and Collect work on that
// namespace, but not in goroutines that f starts, nor through files opened before. A panic
// in f ends the program.
//
// Do needs CAP_SYS_ADMIN, here and in the user namespace that owns n; otherwise the error
// is fs.ErrPermission. If n is gone, or its identity was reused for another namespace, the
// error is fs.ErrNotExist.
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

// onThrowawayThread calls f on a thread that ends afterwards. It must not be the first
// thread of the process: Go cannot end that one, so it would keep what f changed, and
// /proc/PID shows the namespaces of the first thread as those of the process.
func onThrowawayThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			onThrowawayThread(f) // on another thread, because this one is locked
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

// open opens the namespace through one of its processes or mounts. These may have changed
// since, so it checks which namespace the file is.
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
