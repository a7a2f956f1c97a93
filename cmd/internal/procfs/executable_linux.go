package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/abi"
)

// An Executable is an executable mapping of a file.
type Executable struct {
	Device Device
	Inode  uint64
	// Path is the file's name at the time it was mapped, "" if it was not asked for.
	Path string

	start, end uint64
}

// Executables returns the files that a process has mapped executable, each at least
// once. It requires permission to trace the process.
func (f *FS) Executables(pid int) (list []Executable, err error) {
	if f.real && !f.textOnly {
		err := f.readMaps(pid, func(fd int) (err error) {
			list, err = f.queryExecutables(fd, f.name(pid, "maps"))
			return err
		})
		if !errors.Is(err, unix.ENOTTY) {
			return list, err
		}
		f.textOnly = true // Linux before 6.11
	}
	b, err := f.read(f.name(pid, "maps"), largeFile)
	if err != nil {
		return nil, err
	}
	lines(b, func(line []byte) bool {
		if x, ok := parseExecutable(line); ok {
			list = append(list, x)
		}
		return true
	})
	return list, nil
}

// mostExecutables bounds the executable mappings of a process, which can have thousands.
const mostExecutables = 4096

var errManyExecutables = errors.New("too many mappings that may be executed")

func (f *FS) queryExecutables(fd int, name string) (list []Executable, err error) {
	for addr := uint64(0); len(list) < mostExecutables; {
		var q abi.Procmap
		_, err := f.call("ioctl", name, func() (int, error) {
			var e abi.Errno
			if q, _, e = abi.NextExecutable(fd, addr, nil); e != 0 {
				return 0, e
			}
			return 0, nil
		})
		switch {
		case err == unix.ENOENT:
			return list, nil
		case err != nil:
			return nil, f.failure("ioctl", name, err)
		}
		list = append(list, Executable{Device: Device{q.Major, q.Minor}, Inode: q.Inode, start: q.Start, end: q.End})
		addr = q.End
	}
	return nil, errManyExecutables
}

// parseExecutable parses a line of /proc/PID/maps:
//
//	start-end perms offset major:minor inode path
func parseExecutable(line []byte) (x Executable, ok bool) {
	p := parser{rest: line}
	x.start, x.end = p.hex('-'), p.hex(' ')
	perms := p.until(' ')
	p.hex(' ')
	x.Device.Major, x.Device.Minor = p.hex32(':'), p.hex32(' ')
	inode, ok := number(p.field())
	p.blanks()
	x.Inode, x.Path = inode, string(p.rest)
	return x, ok && !p.failed && inode != 0 && len(perms) == 4 && perms[2] == 'x'
}

// OpenExecutable opens a file that a process has mapped. The superuser gets that very file.
// Other users get the file that has its path now, if it is the same file. The caller must
// first check that the file system is local (LocalDevices).
func (f *FS) OpenExecutable(pid int, x Executable) (*os.File, error) {
	if !f.real {
		return nil, unix.ENOSYS
	}
	name := f.name(pid, fmt.Sprintf("map_files/%x-%x", x.start, x.end))
	fd, err := f.openAs(name, unix.O_NONBLOCK)
	same := err == nil // map_files leads to the right file, whatever device stat(2) reports
	if err != nil {
		fd, err = f.openByPath(pid, x)
	}
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || !same && (DeviceOf(uint64(st.Dev)) != x.Device || st.Ino != x.Inode)) {
		err = unix.ESTALE
	}
	if err != nil {
		file.Close()
		return nil, f.failure("open", name, err)
	}
	return file, nil
}

// openByPath opens the file at the mapping's path in this mount namespace.
func (f *FS) openByPath(pid int, x Executable) (int, error) {
	if x.Path == "" {
		err := f.readMaps(pid, func(fd int) error {
			name := make([]byte, unix.PathMax)
			q, n, e := abi.NextExecutable(fd, x.start, name)
			if e == 0 && q.Start == x.start {
				x.Path = string(name[:n])
			}
			return nil
		})
		if err != nil {
			return -1, err
		}
	}
	if !strings.HasPrefix(x.Path, "/") {
		return -1, unix.ENOENT
	}
	return unix.Open(x.Path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// localFileSystems need no server and no program that could block an open forever.
var localFileSystems = [...]string{
	"bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs", "ntfs3", "overlay",
	"ramfs", "reiserfs", "rootfs", "squashfs", "tmpfs", "vfat", "xfs", "zfs",
}

// LocalDevices returns the devices of the local file systems in the caller's mount
// namespace, which excludes what unprivileged users mount in their own.
func (f *FS) LocalDevices() (map[Device]bool, error) {
	b, err := f.read("self/mountinfo", largeFile)
	if err != nil {
		return nil, err
	}
	return parseLocalDevices(b), nil
}

func parseLocalDevices(b []byte) map[Device]bool {
	local := make(map[Device]bool)
	for m := range Mounts(b) {
		was, seen := local[m.Device]
		local[m.Device] = m.Local() && (was || !seen)
	}
	return local
}

// A Mount is a mounted file system.
type Mount struct {
	Device      Device
	Point, Type string
}

// Local reports whether the file system needs no server that may not answer.
func (m Mount) Local() bool { return slices.Contains(localFileSystems[:], m.Type) }

// Mounts parses /proc/PID/mountinfo, and leaves out what it cannot parse:
//
//	id parent major:minor root point options [optional...] - type source options
func Mounts(b []byte) iter.Seq[Mount] {
	return func(yield func(Mount) bool) {
		lines(b, func(line []byte) bool {
			before, after, found := bytes.Cut(line, []byte(" - "))
			p := parser{rest: before}
			p.field()
			p.field()
			device, ok := parseDevice(p.field())
			p.field()
			point := unescape(p.field())
			kind, _, _ := bytes.Cut(after, []byte{' '})
			return !found || !ok || yield(Mount{device, point, string(kind)})
		})
	}
}

// parseDevice parses major:minor in decimal.
func parseDevice(text []byte) (d Device, ok bool) {
	left, right, _ := bytes.Cut(text, []byte{':'})
	major, ok1 := number(left)
	minor, ok2 := number(right)
	return Device{uint32(major), uint32(minor)}, ok1 && ok2 && major|minor < 1<<32
}

// Executable returns the device and inode number of a process's program. It requires
// permission to trace the process.
func (f *FS) Executable(pid int) (device Device, inode uint64, err error) {
	return f.identity(f.name(pid, "exe"))
}

// ShowsDevice reports whether a process sees a mount of the device.
func (f *FS) ShowsDevice(pid int, device Device) (bool, error) {
	b, err := f.read(f.name(pid, "mountinfo"), largeFile)
	if err != nil {
		return false, err
	}
	shows := false
	lines(b, func(line []byte) bool {
		p := parser{rest: line}
		p.field()
		p.field()
		d, ok := parseDevice(p.field())
		shows = shows || ok && d == device
		return !shows
	})
	return shows, nil
}

// WorkingDirectory returns the device and inode number of a process's working
// directory.
func (f *FS) WorkingDirectory(pid int) (device Device, inode uint64, err error) {
	return f.identity(f.name(pid, "cwd"))
}

// identity returns the file that a process's link leads to.
func (f *FS) identity(name string) (device Device, inode uint64, err error) {
	_, err = f.call("statx", name, func() (_ int, err error) {
		device, inode, err = fileBehind(int(f.dir.Fd()), name)
		return 0, err
	})
	if err != nil {
		err = f.failure("stat", name, err)
	}
	return device, inode, err
}
