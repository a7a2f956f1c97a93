package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// PlaceOf returns the place of a process.
func PlaceOf(pid int) (Place, error) {
	n, err := NamespaceAt(fmt.Sprintf("%s/%d/ns/ipc", procfs.Root, pid))
	if errors.Is(err, fs.ErrNotExist) {
		return Place{}, fmt.Errorf("there is no process %d", pid)
	}
	if err != nil {
		return Place{}, err
	}
	n.PIDs = []int{pid}
	return Place{Namespace: n, PID: pid, Kinds: ref.Kinds()}, nil
}

// PlaceIn returns the first place that Places lists for an IPC namespace.
func PlaceIn(inode uint64) (Place, error) {
	places, _, err := Places("")
	if err != nil {
		return Place{}, err
	}
	i := slices.IndexFunc(places, func(p Place) bool { return p.Inode == inode })
	if i < 0 {
		return Place{}, fmt.Errorf("no visible process is in the IPC namespace %d", inode)
	}
	p := places[i]
	p.Kinds = ref.Kinds()
	return p, nil
}

// PlaceAt returns PlaceOf for a path of the form /proc/PID/ns/ipc, and PlaceIn for any other
// file that an IPC namespace is bound to. A namespace without processes has no /dev/shm.
func PlaceAt(path string) (Place, error) {
	if pid, ok := processOf(path); ok {
		return PlaceOf(pid)
	}
	n, err := NamespaceAt(path)
	if err != nil {
		return Place{}, err
	}
	p, err := PlaceIn(n.Inode)
	if err != nil {
		p = nowhere(n)
	}
	p.Mounts = n.Mounts
	return p, nil
}

// processOf returns the process of a path like /proc/PID/ns/ipc.
func processOf(path string) (pid int, ok bool) {
	name, inProc := strings.CutPrefix(path, procfs.Root+"/")
	name, isIPC := strings.CutSuffix(name, "/ns/ipc")
	if !inProc || !isIPC {
		return 0, false
	}
	if name == "self" || name == "thread-self" {
		return os.Getpid(), true
	}
	pid, err := strconv.Atoi(name)
	return pid, err == nil
}

// errNoProcess is fs.ErrNotExist for a namespace without a process, and so without a
// /dev/shm.
type errNoProcess uint64

func (e errNoProcess) Error() string {
	return fmt.Sprintf("the IPC namespace %d has no visible process, and so no /dev/shm", uint64(e))
}

func (errNoProcess) Is(target error) bool { return target == fs.ErrNotExist }

// nowhere returns the place of a namespace without processes.
func nowhere(n Namespace) Place {
	return Place{Namespace: n, Kinds: ref.Kinds(), shm: errNoProcess(n.Inode)}
}

// Places returns the places of all visible processes and of all bind-mounted namespaces,
// ordered by the inode number of the IPC namespace, and the processes whose namespace is
// not known. Kinds divides the objects among them, so that each object is in one place:
// the first place of an IPC namespace has its System V objects and POSIX queues, and the
// objects in a /dev/shm that several IPC namespaces share are in one place, the caller's if
// it shares them. proc is where the proc file system is mounted; "" means /proc.
//
// Places assumes that the processes of a mount namespace have the same root directory.
func Places(proc string) ([]Place, Hidden, error) {
	list, hidden, err := Namespaces(proc)
	if err != nil {
		return nil, hidden, err
	}
	f, err := procfs.Open(cmp.Or(proc, procfs.Root))
	if err != nil {
		return nil, hidden, err
	}
	defer f.Close()
	s := &survey{fs: f, taken: make(map[file]bool), patience: 2 * patient}
	s.mounts, _ = f.MountNamespace(os.Getpid()) // 0 before Linux 3.8
	s.own, s.ownErr = ownShm()
	var all []Place
	for _, own := range []bool{true, false} {
		for _, n := range list {
			if n.Own == own {
				all = append(all, s.places(n)...)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Place) int { return cmp.Compare(a.Inode, b.Inode) })
	return all, hidden, nil
}

// A survey finds every /dev/shm.
type survey struct {
	fs       *procfs.FS
	mounts   uint64 // the caller's mount namespace
	own      file   // the caller's /dev/shm
	ownErr   error
	taken    map[file]bool // directories that have a place
	patience time.Duration // time left for file systems that do not answer
	// unsupported means that the kernel is too old, which is reported once.
	unsupported bool
}

// places returns the places of a namespace, at least one. The first has the objects that
// belong to the namespace.
func (s *survey) places(n Namespace) (list []Place) {
	const tries = 3 // processes per mount namespace, since some may have another root
	tried := make(map[uint64]int)
	var failed []Place
	none := error(errNoProcess(n.Inode))
	for _, pid := range n.PIDs {
		mounts, err := s.fs.MountNamespace(pid)
		if err != nil || tried[mounts] == tries {
			continue
		}
		tried[mounts]++
		id, err := s.look(pid, mounts, n.Inode)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			none = err
			continue
		case errors.Is(err, unix.ENOSYS) && s.unsupported:
			continue
		case err != nil:
			s.unsupported = errors.Is(err, unix.ENOSYS)
			failed = append(failed, Place{Namespace: n, PID: pid, Kinds: inFiles(), shm: err})
			continue
		}
		tried[mounts] = tries
		if p := (Place{Namespace: n, PID: pid, Kinds: s.take(id)}); len(list) == 0 || len(p.Kinds) > 0 {
			if id == s.own {
				p.PID = 0
			}
			list = append(list, p)
		}
	}
	list = append(list, failed...)
	if len(list) == 0 {
		list = append(list, Place{Namespace: n, Kinds: inFiles(), shm: none})
	}
	list[0].Kinds = append(ofNamespace(), list[0].Kinds...)
	return list
}

// take returns the kinds of objects in a directory, or none if another place has them.
func (s *survey) take(id file) []ref.Kind {
	if s.taken[id] {
		return nil
	}
	s.taken[id] = true
	return inFiles()
}

// look returns the identity of the /dev/shm of a process.
func (s *survey) look(pid int, mounts, namespace uint64) (file, error) {
	if mounts == s.mounts {
		return s.own, s.ownErr
	}
	const least = 10 * time.Millisecond // enough for one that does answer
	began := time.Now()
	id, err := within(max(least, min(patient, s.patience)), pid, func() (file, error) {
		d, err := openShm(s.fs.Root(), pid, namespace)
		if err != nil {
			return file{}, err
		}
		d.close()
		return d.id, nil
	})
	s.patience -= time.Since(began)
	return id, err
}
