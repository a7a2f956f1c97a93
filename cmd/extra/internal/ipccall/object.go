//go:build linux

package ipccall

import (
	"path"
	"strconv"
	"strings"
)

// An Object is what a call works on. Its text is a reference that gipcs show accepts, except
// for the kinds anon and file.
type Object struct {
	Kind string // shm sem msg, pshm psem pmsg; anon or file for other shared memory
	Name string // an identifier, /NAME, an inode number, or the path of a file
}

// String returns KIND:NAME, or "" for the zero Object.
func (o Object) String() string {
	if o == (Object{}) {
		return ""
	}
	return o.Kind + ":" + o.Name
}

const (
	shmDir   = "/dev/shm/"
	queueDir = "/dev/mqueue/"
	deleted  = " (deleted)"
)

func identified(kind string, id uint64) Object {
	return Object{Kind: kind, Name: strconv.Itoa(int(int32(id)))}
}

// fileObject returns the POSIX object of a path in /dev/shm or /dev/mqueue.
func fileObject(file string) (o Object, ok bool) {
	file = strings.TrimSuffix(file, deleted)
	if name, found := strings.CutPrefix(file, queueDir); found {
		return Object{Kind: "pmsg", Name: "/" + name}, true
	}
	name, found := strings.CutPrefix(file, shmDir)
	if !found {
		return Object{}, false
	}
	if name, found := strings.CutPrefix(name, "sem."); found {
		return Object{Kind: "psem", Name: "/" + name}, true
	}
	return Object{Kind: "pshm", Name: "/" + name}, true
}

// queueObject returns the queue of a descriptor's path, which is /NAME if mq_open(3) opened
// it, and the path of the file in /dev/mqueue if open(2) did.
func queueObject(file string) Object {
	if file == "" {
		return Object{}
	}
	return Object{Kind: "pmsg", Name: "/" + path.Base(strings.TrimSuffix(file, deleted))}
}

// mappedObject returns the object in which the memory of a mapping lies. Private memory is
// no object.
func mappedObject(m Mapping) (o Object, ok bool) {
	if !m.Shared {
		return Object{}, false
	}
	if o, ok := fileObject(m.Path); ok {
		return o, true
	}
	file := strings.TrimSuffix(m.Path, deleted)
	switch {
	case strings.HasPrefix(m.Path, "/SYSV") && file != m.Path:
		return identified("shm", m.Inode), true
	case m.Path == "/dev/zero"+deleted: // MAP_SHARED|MAP_ANONYMOUS
		return Object{Kind: "anon", Name: strconv.FormatUint(m.Inode, 10)}, true
	case file == "":
		return Object{}, false
	default:
		return Object{Kind: "file", Name: file}, true
	}
}
