package inventory

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/imports"
	"github.com/sysvipc/gipc/cmd/internal/procfs"
)

// calls returns the kinds of objects that a process can use, judged by its executable
// mappings, and the kinds that its children can use while they run the same program. If Go
// made the program, the latter are none, because it cannot fork. A file that cannot be read
// counts as able to use all kinds.
func (c *collector) calls(p *person) (direct, inherited imports.Calls) {
	if !p.asked {
		p.direct, p.inherited = c.readCalls(p)
		p.asked = true
	}
	return p.direct, p.inherited
}

func (c *collector) readCalls(p *person) (direct, inherited imports.Calls) {
	switch {
	case isServer(p.Comm):
		return imports.All, imports.All
	case p.hidden != nil: // only the children of root's servers are looked for
		return imports.All, imports.None
	case isXServer(p.Comm) && c.isXServer(p.via):
		return imports.None, imports.None
	}
	list, err := c.executables(p)
	switch {
	case errors.Is(err, errEnded):
		return imports.None, imports.None
	case err != nil:
		return imports.All, imports.All
	}
	program, made := false, false
	for _, x := range list {
		file := c.ability(p.via, x)
		direct |= file.Calls
		inherited |= file.Calls
		program, made = program || file.Program, made || file.Go
	}
	if made || !program {
		direct = imports.All
	}
	if !made && !program { // it is linked statically
		inherited = imports.All
	}
	return direct, inherited
}

var errEnded = errors.New("the process has ended")

// executables returns the files that a process has mapped to execute. A process without any
// is between two programs (execve) or about to end, so it is looked at again. The time for
// that is limited for all processes together, since any user can have some that stay like
// that.
func (c *collector) executables(p *person) ([]procfs.Executable, error) {
	const pause, most = time.Millisecond, 50
	for {
		list, err := c.fs.Executables(p.via)
		switch {
		case len(list) > 0:
			return list, err
		case absent(c.fs, p.PID):
			return nil, errEnded
		case err != nil || c.pauses == most:
			return nil, err
		}
		c.pauses++
		time.Sleep(pause)
	}
}

// A fileID is the kernel's identity of a file.
type fileID struct {
	device procfs.Device
	inode  uint64
}

// ability returns the imports of a file that a process has mapped.
func (c *collector) ability(pid int, x procfs.Executable) imports.File {
	id := fileID{x.Device, x.Inode}
	if file, ok := c.files[id]; ok {
		return file
	}
	file := imports.File{Calls: imports.All}
	if c.isLocal(x.Device) {
		if opened, err := c.fs.OpenExecutable(pid, x); err == nil {
			file = c.readImports(opened)
			opened.Close()
		}
	}
	if c.files == nil {
		c.files = make(map[fileID]imports.File)
	}
	c.files[id] = file
	return file
}

// readImports returns what a file imports. The system's libcrypto imports shmget and shmat
// but shares nothing with them, so they do not count there.
func (c *collector) readImports(opened *os.File) imports.File {
	owner, system := ownerOf(opened)
	var from io.ReaderAt = opened
	if !system {
		from = c.allow(owner, opened)
	}
	file, err := imports.Read(from)
	if err != nil && !file.Go {
		return imports.File{Calls: imports.All}
	}
	if system && strings.HasPrefix(file.Name, "libcrypto.so.") {
		file.Calls &^= imports.Segments
	}
	return file
}

// An allowed reader fails once too much was read of its owner's files, or of the files of
// all users other than root: any user can map thousands of files with large tables.
type allowed struct {
	file     io.ReaderAt
	own, all *int
}

// allow charges the owner of a file for opening it.
func (c *collector) allow(owner uint32, file io.ReaderAt) io.ReaderAt {
	const eachOwner, allOwners, opening = 128 << 20, 1 << 30, 16 << 10
	if c.allowances == nil {
		c.allowances, c.allowance = make(map[uint32]*int), allOwners
	}
	own := c.allowances[owner]
	if own == nil {
		own = new(int)
		*own = eachOwner
		c.allowances[owner] = own
	}
	a := allowed{file, own, &c.allowance}
	_ = a.spend(opening) // if this is too much, reading fails too
	return a
}

func (a allowed) spend(n int) error {
	*a.own -= n
	*a.all -= n
	if *a.own < 0 || *a.all < 0 {
		return errTooCostly
	}
	return nil
}

func (a allowed) ReadAt(b []byte, at int64) (int, error) {
	if err := a.spend(len(b)); err != nil {
		return 0, err
	}
	return a.file.ReadAt(b, at)
}

// ownerOf returns the owner of a file, and whether nobody but root may write to it.
func ownerOf(file *os.File) (uid uint32, system bool) {
	info, err := file.Stat()
	if err != nil {
		return anybody, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return anybody, false
	}
	return st.Uid, onlyRootWrites(st)
}

func onlyRootWrites(st *syscall.Stat_t) bool { return st.Uid == 0 && st.Mode&0o022 == 0 }

// isLocal reports whether a file can be opened without waiting for another process or
// machine.
func (c *collector) isLocal(device procfs.Device) bool {
	if c.local == nil {
		local, err := c.fs.LocalDevices()
		if err != nil {
			local = make(map[procfs.Device]bool)
		}
		c.local = local
	}
	return c.local[device]
}

// xServers are the paths of X servers in distributions.
var xServers = [...]string{
	"/usr/lib/xorg/Xorg", "/usr/lib/Xorg", "/usr/libexec/Xorg", "/usr/bin/Xorg", "/usr/bin/X",
	"/usr/bin/Xvfb", "/usr/bin/Xwayland", "/usr/bin/Xephyr", "/usr/bin/Xnest", "/usr/bin/Xvnc", "/usr/bin/Xtigervnc",
}

// isXServer reports whether a process runs one of the system's X servers. Its name would
// prove nothing.
func (c *collector) isXServer(pid int) bool {
	device, inode, err := c.fs.Executable(pid)
	if err != nil {
		return false
	}
	if c.xServers == nil {
		c.xServers = make(map[fileID]bool)
		for _, path := range xServers {
			if id, ok := systemFile(path); ok {
				c.xServers[id] = true
			}
		}
	}
	return c.xServers[fileID{device, inode}]
}

// systemFile returns the identity of the file at path, if only root may write to it.
func systemFile(path string) (id fileID, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return fileID{}, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !onlyRootWrites(st) {
		return fileID{}, false
	}
	return fileID{procfs.DeviceOf(uint64(st.Dev)), st.Ino}, true
}
