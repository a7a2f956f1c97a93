package inventory

import (
	"cmp"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// identify names the programs of all objects.
func (c *collector) identify() {
	objects := c.inv.Objects
	dirs := append(c.dataDirs(), c.runningDirs()...)
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

// contents inspects the first bytes of an orphan, if Options.Contents chose it. For other
// objects the last user may be needed as evidence, and this process would take its place.
func (c *collector) contents(o *Object, dirs []dataDir) []hint {
	if c.o.Contents == nil || o.Kind != ref.Shm || o.Use.Verdict != Orphan || !c.o.Contents(o) || c.destroysDetached() {
		return nil
	}
	mem, err := sysv.Segment(o.ID()).Attach(&sysv.AttachOptions{ReadOnly: true})
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

// destroysDetached reports whether attaching and detaching would destroy a segment. If it
// cannot find out, it assumes so.
func (c *collector) destroysDetached() bool {
	if c.fs == nil {
		return true
	}
	yes, err := c.fs.DestroysDetached()
	return yes || err != nil
}

// environmentHint looks for the variable that Open MPI sets in the environment of its
// processes, whose names vary.
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
				return []hint{{program: "Open MPI", reason: a.name() + ", which is attached, seems to have been started by it: " + e}}
			}
		}
	}
	return nil
}

// ftokFiles returns the existing files from which known programs derive keys.
func ftokFiles() (files []ftokFile) {
	for _, name := range [...]string{"server", "agentd", "proxy"} {
		path := "/etc/zabbix/zabbix_" + name + ".conf"
		if key, err := sysv.Ftok(path, 1); err == nil {
			files = append(files, ftokFile{"Zabbix", path, uint32(key) & 0xffffff})
		}
	}
	return files
}

// server implements witness. Processes of a PostgreSQL server create segments or POSIX
// objects that its other processes attach on demand (dynamic_shared_memory_type), even after
// the creator and the last user have ended. PostgreSQL never runs as root, so objects of
// root need no check. A server of root may serve any user through POSIX objects.
func (c *collector) server(o *Object) *Process {
	var p *person
	switch {
	case c.fs == nil:
		return nil
	case o.Kind.POSIX():
		if n := namingOf(o); n.served {
			p = cmp.Or(c.servers()[running{n.program, o.File().UID}], c.servers()[running{n.program, 0}])
		}
	case o.Kind == ref.Shm && o.Perm().CUID != 0 && !c.recordEnded(o):
		p = c.servers()[running{postgresProgram, o.Perm().CUID}]
	}
	if p == nil || !c.mayLearn(p, o) {
		return nil
	}
	return p.Process
}

// recordEnded reports whether a segment belongs to a PostgreSQL server that has ended,
// according to the record that it left. Only the server's own user can have written that.
func (c *collector) recordEnded(o *Object) bool {
	if o.Kind != ref.Shm || c.fs == nil || !c.seesAll {
		return false
	}
	if !c.dirsRead {
		c.dirs, c.dirsRead = c.dataDirs(), true
	}
	return slices.ContainsFunc(c.dirs, func(d dataDir) bool {
		return d.names(o) && !c.fs.Exists(d.postmaster.pid)
	})
}

// A running is a program together with the user that runs it.
type running struct {
	program string
	user    uint32
}

// servers returns the oldest process of each known program and user, among the processes
// in this namespace or in an unknown one. It recognises programs by the names of their
// processes.
func (c *collector) servers() map[running]*person {
	if c.running != nil {
		return c.running
	}
	c.running = make(map[running]*person)
	for _, p := range c.census().people {
		who := running{product(p.Comm), p.UID}
		if !p.inside || who.program == "" || p.credentials == nil {
			continue
		}
		if oldest := c.running[who]; oldest == nil || p.since < oldest.since {
			c.running[who] = p
		}
	}
	return c.running
}

// dataDirs returns the directories in which PostgreSQL servers may keep their data: those
// in Options, and the customary ones of distributions.
func (c *collector) dataDirs() (dirs []dataDir) {
	add := func(path string, flags int) {
		if d, ok := openDataDir(path, flags); ok {
			d.path = path
			dirs = append(dirs, d)
		}
	}
	for _, path := range c.o.DataDirs {
		add(path, 0)
	}
	for _, pattern := range [...]string{
		"/var/lib/postgresql/*/*", "/var/lib/postgresql/data", "/var/lib/pgsql/data",
		"/var/lib/pgsql/*/data", "/var/lib/postgres/data", "/usr/local/pgsql/data",
	} {
		found, _ := filepath.Glob(pattern) // the patterns are well-formed
		for _, path := range found {
			add(path, unix.O_NOFOLLOW)
		}
	}
	return dirs
}

// runningDirs returns the working directories of the servers found, if they exist in this
// mount namespace. Any user can run a program in any directory, so they may name a program
// but prove nothing.
func (c *collector) runningDirs() (dirs []dataDir) {
	for pid, k := range c.known {
		if k.process == nil || product(k.process.Comm) != postgresProgram {
			continue
		}
		path, err := c.fs.CWD(pid)
		if err != nil {
			continue
		}
		device, inode, err := c.fs.WorkingDirectory(pid)
		if err != nil || !c.isLocal(device) {
			continue
		}
		d, ok := openDataDir(path, unix.O_NOFOLLOW)
		if !ok || d.inode != inode || procfs.DeviceOf(d.dev) != device {
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

// openDataDir inspects a directory that another user may have made. It opens no link or
// pipe in it, and reads no more than the size of a postmaster.pid. With O_NOFOLLOW in
// flags, the directory itself may not be a link either.
func openDataDir(path string, flags int) (d dataDir, ok bool) {
	dir, err := os.OpenFile(path, unix.O_DIRECTORY|unix.O_PATH|flags, 0)
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
	d.postmaster, _ = readPostmaster(int(dir.Fd()), st.Uid)
	return d, true
}

// readPostmaster reads the record in a directory, and ignores one that the directory's
// owner has not written.
func readPostmaster(dir int, owner uint32) (p postmaster, ok bool) {
	fd, err := unix.Openat(dir, "postmaster.pid", unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return p, false
	}
	file := os.NewFile(uintptr(fd), "postmaster.pid")
	defer file.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Uid != owner {
		return p, false
	}
	const most = 4096
	b, err := io.ReadAll(io.LimitReader(file, most))
	if err != nil {
		return p, false
	}
	return parsePostmaster(b)
}
