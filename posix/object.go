package posix

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/sysvipc/gipc/internal/abi"
)

// An Object is an open shared-memory object, or an open memory file without a name
// (CreateMemfd). It holds a file descriptor and must be closed. Closing it does not affect
// its mappings. The object itself lives until its name is unlinked and no process has it
// open or mapped.
//
// Several goroutines may call the methods at once.
type Object struct {
	file *os.File
	name string
}

// Access is the access for which an object is opened.
type Access int

// The kinds of access.
const (
	ReadWrite Access = iota
	ReadOnly
	WriteOnly // message queues only: memory cannot be mapped without read access
)

// flags returns the flags of open(2).
func (a Access) flags() (int, error) {
	switch a {
	case ReadWrite:
		return os.O_RDWR, nil
	case ReadOnly:
		return os.O_RDONLY, nil
	case WriteOnly:
		return os.O_WRONLY, nil
	default:
		return 0, refused("access %d", int(a))
	}
}

// ObjectOptions holds the options of a new object. nil means the zero value.
type ObjectOptions struct {
	// Mode holds the permission bits. 0 means 0600, NoAccess means none. The umask of the
	// process applies; Chmod ignores it.
	Mode fs.FileMode
	// Reserve reserves all of the memory, so that a full /dev/shm is an error (ENOSPC) now
	// and not a fault at a later access.
	Reserve bool
	// AnyOwner lets OpenOrCreateObject return an object that belongs to another user.
	AnyOwner bool
	// Fill writes the first contents of a new object before the object gets its name, so
	// no process finds it without them. An error ends the creation. If another process
	// creates the object first, Fill may have been called in vain.
	Fill func(*os.File) error
}

// CreateObject creates an object of size bytes, filled with zeros, and opens it for
// reading and writing (shm_open(3) with O_CREAT and O_EXCL, and ftruncate(2)). The object
// appears under its name complete, with its size and reserved memory.
//
// A name has at most 255 bytes, an optional leading slash and no other slash. Errors:
// fs.ErrExist (the name is taken), fs.ErrPermission, EINVAL (an invalid name; size below
// 0, or below 1 with Reserve; Mode has more than permission bits), ENAMETOOLONG, ENOSPC
// (with Reserve), EMFILE, EOPNOTSUPP (/dev/shm is a file system without O_TMPFILE).
func CreateObject(name string, size int64, o *ObjectOptions) (*Object, error) {
	if o == nil {
		o = new(ObjectOptions)
	}
	file, err := createObject(name, size, o)
	if err != nil {
		return nil, failed("shm_open", name, err)
	}
	return &Object{file, name}, nil
}

func createObject(name string, size int64, o *ObjectOptions) (*os.File, error) {
	base, err := fileName("", name)
	if err != nil {
		return nil, err
	}
	if size < 0 {
		return nil, refused("size %d", size)
	}
	fill := func(f *os.File) error {
		if err := resize(f, size, o.Reserve); err != nil || o.Fill == nil {
			return err
		}
		return o.Fill(f)
	}
	return createFile(base, o.Mode, fill)
}

// OpenOrCreateObject opens the object called name, or creates one as CreateObject does;
// made reports whether it did. An existing object must have size bytes and belong to the
// caller or root, unless o has AnyOwner.
//
// Errors: ErrMismatch (another size, another owner); those of CreateObject except
// fs.ErrExist, and of OpenObject except fs.ErrNotExist.
func OpenOrCreateObject(name string, size int64, o *ObjectOptions) (object *Object, made bool, err error) {
	if o == nil {
		o = new(ObjectOptions)
	}
	return openOrCreate(
		func() (*Object, error) { return CreateObject(name, size, o) },
		func() (*Object, error) { return openFitting(name, size, o.AnyOwner) })
}

func openFitting(name string, size int64, anyOwner bool) (*Object, error) {
	object, err := OpenObject(name, ReadWrite)
	if err != nil {
		return nil, err
	}
	info, err := object.Stat()
	if err == nil && info.Size != size {
		err = failed("shm_open", name, mismatch("it has %d bytes, not the %d asked for", info.Size, size))
	}
	if err == nil {
		err = failed("shm_open", name, info.fits(anyOwner))
	}
	if err != nil {
		object.Close()
		return nil, err
	}
	return object, nil
}

func resize(f *os.File, size int64, reserved bool) error {
	if reserved {
		if err := reserve(f, size); err != nil {
			return err
		}
	}
	return f.Truncate(size)
}

// createFile creates a file in /dev/shm. fill writes its contents before the file gets its
// name.
func createFile(base string, mode fs.FileMode, fill func(*os.File) error) (*os.File, error) {
	mode, err := permissions(mode)
	if err != nil {
		return nil, err
	}
	// If the name is taken, fail before memory is allocated.
	if _, err := lstat(shmDir + "/" + base); err == nil {
		return nil, abi.EEXIST
	}
	file, err := unnamedFile(shmDir, mode)
	if err != nil {
		return nil, err
	}
	if err = fill(file); err == nil {
		err = linkFile(file, shmDir+"/"+base)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// OpenObject opens the object called name (shm_open(3)). An object opened ReadOnly can
// only be mapped read-only or private. Errors: fs.ErrNotExist, fs.ErrPermission, EINVAL
// (an invalid name; WriteOnly; not a regular file), ENAMETOOLONG, ELOOP (a symbolic link).
func OpenObject(name string, access Access) (*Object, error) {
	base, err := fileName("", name)
	if err == nil && access == WriteOnly {
		err = refused("memory cannot be mapped without read access")
	}
	if err != nil {
		return nil, failed("shm_open", name, err)
	}
	file, err := openFile(shmDir+"/"+base, access)
	if err != nil {
		return nil, failed("shm_open", name, err)
	}
	return &Object{file, name}, nil
}

// UnlinkObject removes the name (shm_unlink(3)). The object is freed when no process has
// it open or mapped. Only its owner and root may unlink it, because /dev/shm is sticky.
// Errors: fs.ErrNotExist, fs.ErrPermission.
func UnlinkObject(name string) error {
	base, err := fileName("", name)
	if err == nil {
		err = unlinkFile(shmDir + "/" + base)
	}
	return failed("shm_unlink", name, err)
}

// Name returns the name under which the object was opened.
func (o *Object) Name() string { return o.name }

// File returns the open file, for reading and writing without a mapping. A write that does
// not fit into /dev/shm is ENOSPC. The file belongs to the object: do not close it, and do
// not use it after Close.
func (o *Object) File() *os.File { return o.file }

// Close closes the descriptor. Mappings stay.
func (o *Object) Close() error { return failed("close", o.name, o.file.Close()) }

// Size returns the current size in bytes (fstat(2)).
func (o *Object) Size() (int64, error) {
	info, err := o.file.Stat()
	if err != nil {
		return 0, failed("fstat", o.name, err)
	}
	return info.Size(), nil
}

// Truncate sets the size of the object in bytes (ftruncate(2)). If it shrinks, the
// contents beyond size are lost, and processes that have them mapped fault there. If it
// grows, zeros are added, which take no memory until they are written; Reserve allocates
// it. Errors: EINVAL (size below 0; opened ReadOnly), EPERM (sealed), EFBIG.
func (o *Object) Truncate(size int64) error {
	return failed("ftruncate", o.name, o.file.Truncate(size))
}

// Reserve allocates memory for the first size bytes, and extends the object to size if it
// is shorter (fallocate(2)). Writing to these bytes can no longer fail because there is no
// memory. On ENOSPC, the object keeps what it got until it is truncated to its size or
// freed. Errors: ENOSPC, EINVAL (size below 1), EBADF (opened ReadOnly), EPERM (sealed),
// EFBIG.
func (o *Object) Reserve(size int64) error {
	return failed("fallocate", o.name, reserve(o.file, size))
}

// Chmod sets the permission bits (fchmod(2)), regardless of the umask. Only the
// owner and root may.
func (o *Object) Chmod(mode fs.FileMode) error {
	if mode&^fs.ModePerm != 0 {
		return failed("fchmod", o.name, refused("mode %v holds more than permission bits", mode))
	}
	return failed("fchmod", o.name, o.file.Chmod(mode))
}

// Chown sets owner and group (fchown(2)); -1 leaves either unchanged.
func (o *Object) Chown(uid, gid int) error {
	return failed("fchown", o.name, o.file.Chown(uid, gid))
}

// FileInfo is what the file system reports about an object.
type FileInfo struct {
	Name     string // with the leading slash
	UID, GID uint32
	Mode     fs.FileMode // permission bits
	Size     int64       // bytes
	Memory   int64       // bytes of memory in use; less than Size if parts were never written
	Dev, Ino uint64      // as /proc/PID/maps shows them
	Links    uint64      // 0 once the name is unlinked
	ATime    time.Time   // last read
	MTime    time.Time   // last written by write(2) or resized; not by a write to a mapping
	CTime    time.Time   // created, or last changed in mode, owner or links
}

// Stat returns what the kernel records about the object (fstat(2)).
func (o *Object) Stat() (FileInfo, error) {
	info, err := o.file.Stat()
	if err != nil {
		return FileInfo{}, failed("fstat", o.name, err)
	}
	return fileInfo(o.name, info), nil
}

// Objects returns all shared-memory objects, ordered by name. It leaves files whose names
// begin with "sem." to Semaphores. An object created or unlinked meanwhile may be included
// or not. An error ends the sequence.
func Objects() iter.Seq2[FileInfo, error] {
	return func(yield func(FileInfo, error) bool) {
		for info, err := range files(shmDir) {
			if err != nil {
				yield(FileInfo{}, failed("readdir", shmDir, err))
				return
			}
			if !strings.HasPrefix(info.Name, "/"+semPrefix) && !yield(info, nil) {
				return
			}
		}
	}
}

// files returns the regular files in dir.
func files(dir string) iter.Seq2[FileInfo, error] {
	return func(yield func(FileInfo, error) bool) {
		entries, err := readDir(dir)
		if err != nil {
			yield(FileInfo{}, err)
			return
		}
		for _, entry := range entries {
			if !entry.Type().IsRegular() {
				continue
			}
			info, err := entry.Info()
			switch {
			case errors.Is(err, fs.ErrNotExist): // unlinked this moment
			case err != nil:
				yield(FileInfo{}, err)
				return
			case !yield(fileInfo("/"+entry.Name(), info), nil):
				return
			}
		}
	}
}
