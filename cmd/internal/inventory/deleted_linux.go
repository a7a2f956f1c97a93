package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
)

// A Deleted is memory of /dev/shm whose name was unlinked. It is freed when the last
// process that maps it or has it open ends. Until then, no listing of names shows it.
type Deleted struct {
	Name string // its former name, written like that of a POSIX object
	// File is nil if the kernel shows the caller only the name. For a file that is mapped
	// but not open, only root learns more.
	File    *posix.FileInfo
	Holders []*Process // by pid
}

// Bytes returns how much of /dev/shm it takes, or 0 if that is unknown.
func (d *Deleted) Bytes() uint64 {
	if d.File == nil {
		return 0
	}
	return uint64(d.File.Memory)
}

// DeletedMemory returns the unnamed memory of /dev/shm that is held by processes that the
// caller can inspect, largest first, and the processes that it could not inspect.
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
			comm, _ := proc.Comm(pid) // "" if unknown
			hidden.Processes = append(hidden.Processes, HiddenProcess{Process: &Process{PID: pid, Comm: comm}, Why: err})
		}
	}
	var all []Deleted
	for _, d := range found {
		all = append(all, *d)
	}
	slices.SortFunc(all, func(a, b Deleted) int { return cmp.Or(cmp.Compare(b.Bytes(), a.Bytes()), cmp.Compare(a.Name, b.Name)) })
	return all, hidden, nil
}

// listUnlinked adds the memory of /dev/shm that has lost its name to the objects. It also
// reports memory that cannot be described.
func (c *collector) listUnlinked() error {
	all, hidden, err := DeletedMemory()
	if err != nil {
		return err
	}
	if hidden.Any() && !c.o.HiddenIdle {
		c.inv.Unlisted = append(c.inv.Unlisted, Unlisted{ref.PShm, fmt.Errorf("there may be more unlinked memory: %v", &hidden)})
	}
	unknown := 0
	for _, d := range all {
		if d.File == nil {
			unknown++
			continue
		}
		c.inv.Objects = append(c.inv.Objects, Object{Kind: ref.PShm, PShm: d.File})
	}
	if unknown > 0 {
		c.inv.Unlisted = append(c.inv.Unlisted, Unlisted{ref.PShm, fmt.Errorf("%s in /dev/shm that are only mapped: root alone can list them",
			counted(unknown, "unlinked object", "unlinked objects"))})
	}
	return nil
}

func fileInfo(name string, st *unix.Stat_t) *posix.FileInfo {
	const block = 512 // unit of st_blocks on every file system
	return &posix.FileInfo{
		Name: name, UID: st.Uid, GID: st.Gid, Mode: fs.FileMode(st.Mode & 0o777), Size: st.Size, Memory: st.Blocks * block,
		Dev: uint64(st.Dev), Ino: st.Ino, Links: uint64(st.Nlink),
		ATime: time.Unix(st.Atim.Unix()), MTime: time.Unix(st.Mtim.Unix()), CTime: time.Unix(st.Ctim.Unix()),
	}
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
		if f.Stat != nil {
			d.File = fileInfo(d.Name, f.Stat)
		}
		if n := len(d.Holders); n == 0 || d.Holders[n-1].PID != pid {
			d.Holders = append(d.Holders, &Process{PID: pid, Comm: comm})
		}
	}
	return errors.Join(err, errComm)
}
