package inventory

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// identify names the programs of all objects.
func (c *collector) identify() {
	objects := c.inv.Objects
	dirs := c.dataDirs()
	files := ftokFiles()
	fakeroot := fakerootKeys(objects)
	for i := range objects {
		o := &objects[i]
		named, others := processHints(o.Use)
		if o.Kind.POSIX() {
			o.Use.Program = combine(append(append(named, nameHints(o)...), others...))
			continue
		}
		hints := append(postgresHints(o, dirs), named...)
		hints = append(hints, c.contents(o, dirs)...)
		hints = append(hints, keyHints(o)...)
		hints = append(hints, fakerootHint(o, fakeroot)...)
		hints = append(hints, c.environmentHint(o)...)
		hints = append(hints, ftokHints(o, files)...)
		hints = append(hints, apacheHint(o)...)
		o.Use.Program = combine(append(hints, others...))
	}
}

// contents looks at the first bytes of an orphan, if it was chosen.
func (c *collector) contents(o *Object, dirs []dataDir) []hint {
	if c.o.Contents == nil || o.Kind != ref.Shm || o.Use.Verdict != Orphan || !c.o.Contents(o) || c.destroysDetached() {
		return nil
	}
	mem, err := sysv.Segment(o.ID()).Attach(sysv.AttachOptions{ReadOnly: true})
	if err != nil { // not permitted, or removed meanwhile
		return nil
	}
	var header [headerSize]byte
	n, err := mem.ReadAt(header[:], 0)
	if e := mem.Detach(); e != nil || err != nil && err != io.EOF {
		return nil
	}
	return contentHints(header[:n], dirs)
}

// destroysDetached tells whether attaching and detaching would destroy a segment.
// If that can't be found out it is assumed.
func (c *collector) destroysDetached() bool {
	if c.fs == nil {
		return true
	}
	yes, err := c.fs.DestroysDetached()
	return yes || err != nil
}

// environmentHint looks for the mark that Open MPI leaves in the environment of
// its processes, which have names of their own.
func (c *collector) environmentHint(o *Object) []hint {
	if c.fs == nil {
		return nil
	}
	for _, a := range o.Use.Attached {
		environment, err := c.fs.Environ(a.PID)
		if err != nil {
			continue
		}
		for _, e := range environment {
			if strings.HasPrefix(e, "OMPI_COMM_WORLD_RANK=") {
				return []hint{{program: "Open MPI", sure: true, reason: a.name() + ", which is attached, was started by it: " + e}}
			}
		}
	}
	return nil
}

// ftokFiles returns the files that are there of those of which programs make keys.
func ftokFiles() (files []ftokFile) {
	for _, name := range [...]string{"server", "agentd", "proxy"} {
		path := "/etc/zabbix/zabbix_" + name + ".conf"
		if key, err := sysv.Ftok(path, 1); err == nil {
			files = append(files, ftokFile{"Zabbix", path, uint32(key) & 0xffffff})
		}
	}
	return files
}

// servers returns evidence.server: who may attach memory again although its maker
// and its last user have ended. The processes of a PostgreSQL server make segments,
// or POSIX objects, that others of them attach on demand (dynamic_shared_memory_type).
// It never runs as root, so only what others made has to be looked at.
func (c *collector) servers() func(*Object) *Process {
	nobody := func(*Object) *Process { return nil }
	loose := slices.ContainsFunc(c.inv.Objects, func(o Object) bool {
		return o.Kind == ref.Shm && o.Segment.NAttch == 0 && o.Segment.CUID != 0 || ofPostgres(&o)
	})
	if c.fs == nil || !loose {
		return nobody
	}
	running := c.runningServers()
	if len(running) == 0 {
		return nobody
	}
	dirs := c.dataDirs()
	return func(o *Object) *Process {
		switch {
		case ofPostgres(o):
			return running[o.PShm.UID]
		case o.Kind.POSIX():
			return nil
		}
		ended := slices.ContainsFunc(dirs, func(d dataDir) bool {
			return d.names(o) && !c.fs.Exists(d.postmaster.pid)
		})
		if ended {
			return nil
		}
		return running[o.Perm().CUID]
	}
}

// ofPostgres tells whether a POSIX object has the name of one of PostgreSQL's.
func ofPostgres(o *Object) bool {
	return o.Kind == ref.PShm && strings.HasPrefix(o.PShm.Name, postgresName)
}

// runningServers returns a process of a PostgreSQL server for each user that has
// one in this namespace, or in one that is not known.
func (c *collector) runningServers() map[uint32]*Process {
	running := make(map[uint32]*Process)
	pids, err := c.fs.PIDs()
	if err != nil {
		c.procErr = err
	}
	for _, pid := range pids {
		k := c.lookUp(pid)
		if k.process == nil || product(k.process.Comm) != "PostgreSQL" || running[k.process.UID] != nil {
			continue
		}
		if _, namespace, err := reach(c.fs, pid); err == nil && namespace == c.inv.Namespace || errors.Is(err, fs.ErrPermission) {
			running[k.process.UID] = k.process
		}
	}
	return running
}

// dataDirs returns the directories in which PostgreSQL servers may keep their data:
// those that were named, the customary ones of the distributions, and the working
// directories of running servers.
func (c *collector) dataDirs() (dirs []dataDir) {
	paths := c.o.DataDirs
	for _, pattern := range [...]string{
		"/var/lib/postgresql/*/*", "/var/lib/postgresql/data", "/var/lib/pgsql/data",
		"/var/lib/pgsql/*/data", "/var/lib/postgres/data", "/usr/local/pgsql/data",
	} {
		found, _ := filepath.Glob(pattern) // the patterns are well-formed
		paths = append(paths[:len(paths):len(paths)], found...)
	}
	for _, path := range paths {
		if d, ok := openDataDir(path); ok {
			d.path = path
			dirs = append(dirs, d)
		}
	}
	return append(dirs, c.runningDirs()...)
}

// runningDirs returns the working directories of the servers that were met.
func (c *collector) runningDirs() (dirs []dataDir) {
	for pid, k := range c.known {
		if k.process == nil || product(k.process.Comm) != "PostgreSQL" {
			continue
		}
		path, err := c.fs.CWD(pid)
		if err != nil {
			continue
		}
		d, ok := openDataDir(c.fs.Path(pid, "cwd"))
		if !ok {
			continue
		}
		same := slices.IndexFunc(dirs, func(e dataDir) bool { return e.dev == d.dev && e.inode == d.inode })
		if same >= 0 {
			dirs[same].pids = append(dirs[same].pids, pid)
			continue
		}
		d.path, d.pids = path, []int{pid}
		dirs = append(dirs, d)
	}
	return dirs
}

// openDataDir looks into a directory that others may have made, so it opens no
// link or pipe and reads no more than a postmaster.pid may have.
func openDataDir(path string) (d dataDir, ok bool) {
	dir, err := os.OpenFile(path, unix.O_DIRECTORY|unix.O_PATH, 0)
	if err != nil {
		return d, false
	}
	defer dir.Close()
	info, err := dir.Stat()
	if err != nil {
		return d, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return d, false
	}
	d.dev, d.inode, d.uid = uint64(st.Dev), st.Ino, st.Uid
	d.postmaster, _ = readPostmaster(int(dir.Fd()))
	return d, true
}

func readPostmaster(dir int) (p postmaster, ok bool) {
	fd, err := unix.Openat(dir, "postmaster.pid", unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return p, false
	}
	file := os.NewFile(uintptr(fd), "postmaster.pid")
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return p, false
	}
	const most = 4096
	b, err := io.ReadAll(io.LimitReader(file, most))
	if err != nil {
		return p, false
	}
	return parsePostmaster(b)
}
