package inventory

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
)

// A Deleted is memory of /dev/shm whose name was unlinked. It goes with the last process
// that maps it or has it open, and until then no listing of names shows it.
type Deleted struct {
	Name string // that it had, as of a POSIX object
	UID  uint32 // its owner
	// Bytes is what it takes of /dev/shm. Sized is false where that, and UID, can't be
	// known; the caller has to be root for files that are only mapped.
	Bytes   uint64
	Sized   bool
	Holders []*Process // by pid
}

// DeletedMemory finds what is held of /dev/shm without a name by the processes that the
// caller may look into, the largest first. It says who could not be looked into.
func DeletedMemory() ([]Deleted, Hidden, error) {
	var hidden Hidden
	device, err := procfs.DeviceAt("/dev/shm")
	if err != nil {
		return nil, hidden, err
	}
	proc, err := procfs.Open(procfs.Root)
	if err != nil {
		return nil, hidden, err
	}
	defer proc.Close()
	pids, err := proc.PIDs()
	if err != nil {
		return nil, hidden, err
	}
	found := make(map[uint64]*Deleted)
	for _, pid := range pids {
		if err := addDeleted(proc, pid, device, found); err != nil && !absent(proc, pid) {
			comm, _ := proc.Comm(pid) // "" where it is not known
			hidden.Processes = append(hidden.Processes, HiddenProcess{Process: &Process{PID: pid, Comm: comm}, Why: err})
		}
	}
	var all []Deleted
	for _, d := range found {
		all = append(all, *d)
	}
	slices.SortFunc(all, func(a, b Deleted) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name)) })
	return all, hidden, nil
}

func addDeleted(proc *procfs.FS, pid int, device procfs.Device, found map[uint64]*Deleted) error {
	var files []procfs.DeletedFile
	err := proc.DeletedFiles(pid, device, func(f procfs.DeletedFile) { files = append(files, f) })
	if len(files) == 0 {
		return err
	}
	comm, errComm := proc.Comm(pid)
	for _, f := range files {
		d := found[f.Inode]
		if d == nil {
			d = &Deleted{Name: "/" + filepath.Base(f.Name)}
			found[f.Inode] = d
		}
		if f.Known {
			d.UID, d.Bytes, d.Sized = f.UID, f.Bytes, true
		}
		if n := len(d.Holders); n == 0 || d.Holders[n-1].PID != pid {
			d.Holders = append(d.Holders, &Process{PID: pid, Comm: comm})
		}
	}
	return errors.Join(err, errComm)
}
