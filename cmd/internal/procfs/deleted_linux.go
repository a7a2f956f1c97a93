package procfs

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// A DeletedFile is a file that was unlinked while a process has it mapped or open.
type DeletedFile struct {
	Inode uint64
	Name  string // before it was unlinked
	// Stat is the file's status, nil if the caller may not read it. For a file that is only
	// mapped, reading it requires CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
	Stat *unix.Stat_t
}

// DeletedFiles calls visit for each mapping and descriptor that a process has of a
// deleted file on device. It requires permission to trace the process.
func (f *FS) DeletedFiles(pid int, device Device, visit func(DeletedFile)) error {
	links, err := f.deletedMappings(pid, device)
	if err != nil {
		return err
	}
	err = f.Descriptors(pid, func(d Descriptor) {
		if d.Device == device {
			links = append(links, deletedLink{fmt.Sprintf("fd/%d", d.FD), d.Inode})
		}
	}, nil)
	if err != nil {
		return err
	}
	for _, link := range links {
		target, err := f.readLink(f.name(pid, link.path))
		if name, deleted := strings.CutSuffix(target, deletedMark); err == nil && deleted {
			visit(f.deleted(pid, link, name))
		}
	}
	return nil
}

// deletedMark is what the kernel appends to the name of an unlinked file.
const deletedMark = " (deleted)"

// A deletedLink is a link from a process's directory to a deleted file.
type deletedLink struct {
	path  string
	inode uint64
}

func (f *FS) deletedMappings(pid int, device Device) (links []deletedLink, err error) {
	text, err := f.read(f.name(pid, "maps"), largeFile)
	if err != nil {
		return nil, err
	}
	lines(text, func(line []byte) bool {
		m, ok := ParseFileLine(line)
		if ok && m.Device == device && bytes.HasSuffix(line, []byte(deletedMark)) {
			addresses, _, _ := bytes.Cut(line, []byte{' '})
			from, to, _ := strings.Cut(string(addresses), "-")
			links = append(links, deletedLink{"map_files/" + mapName(from) + "-" + mapName(to), m.Inode})
		}
		return true
	})
	return links, nil
}

// mapName formats an address like the names in map_files, which lack the leading zeros
// of maps.
func mapName(hex string) string {
	if trimmed := strings.TrimLeft(hex, "0"); trimmed != "" {
		return trimmed
	}
	return "0"
}

func (f *FS) deleted(pid int, link deletedLink, name string) DeletedFile {
	d := DeletedFile{Inode: link.inode, Name: name}
	st, err := f.stat(f.name(pid, link.path), 0)
	if err == nil && st.Ino == link.inode && st.Nlink == 0 {
		d.Stat = &st
	}
	return d
}

// DeviceAt returns the device that holds a directory.
func DeviceAt(path string) (Device, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return DeviceOf(uint64(st.Dev)), err
}
