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

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// PlaceOf returns the place that a process sees.
func PlaceOf(pid int) (Place, error) {
	n, err := NamespaceAt(fmt.Sprintf("%s/%d/ns/ipc", procfs.Root, pid))
	if err != nil {
		return Place{}, err
	}
	n.PIDs = []int{pid}
	return Place{Namespace: n, PID: pid, Kinds: ref.Kinds()}, nil
}

// PlaceIn returns the first place of the IPC namespace with an inode number, as Places
// has them.
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

// PlaceAt returns the place of a process whose /proc/PID/ns/ipc path is, or PlaceIn of the
// namespace that path is a file of.
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

// errNoProcess is fs.ErrNotExist for a namespace without a process that could show a
// /dev/shm.
type errNoProcess uint64

func (e errNoProcess) Error() string {
	return fmt.Sprintf("no visible process is in the IPC namespace %d, whose /dev/shm it could be", uint64(e))
}

func (errNoProcess) Is(target error) bool { return target == fs.ErrNotExist }

// nowhere is the place of a namespace without processes.
func nowhere(n Namespace) Place {
	return Place{Namespace: n, Kinds: ref.Kinds(), shm: errNoProcess(n.Inode)}
}

// Places returns the places that visible processes see, and the namespaces that are
// bind-mounted, by the inode number of the IPC namespace, and the processes whose
// namespace is not known. Each object is in one place: a /dev/shm that processes of
// several IPC namespaces see is in the first, or the caller's own if it sees that; and
// what belongs to an IPC namespace is in its first place. proc is where the proc file
// system is mounted; "" means /proc.
//
// Processes that share a mount namespace are taken to have one root directory.
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
	if s.mounts, err = f.MountNamespace(os.Getpid()); err != nil {
		return nil, hidden, err
	}
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

// A survey finds all /dev/shm that there are.
type survey struct {
	fs       *procfs.FS
	mounts   uint64 // the caller's mount namespace
	own      file   // the caller's /dev/shm
	ownErr   error
	taken    map[file]bool // directories that have a place
	patience time.Duration // what is left for file systems that do not answer
}

// places returns the places of a namespace, at least one, the first with all that belongs
// to the namespace.
func (s *survey) places(n Namespace) (list []Place) {
	const tries = 3 // of processes of a mount namespace; some may have another root
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
		case err != nil:
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

// take returns the kinds of objects that are in a directory, none if it has a place.
func (s *survey) take(id file) []ref.Kind {
	if s.taken[id] {
		return nil
	}
	s.taken[id] = true
	return inFiles()
}

// look returns which directory the /dev/shm of a process is.
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
