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
// (CreateMemfd): a file descriptor. It must be closed. Its mappings stay when it
// is, and the object itself stays until its name is unlinked and nobody has it open
// or mapped.
//
// The methods may be called by several goroutines at once.
type Object struct {
	file *os.File
	name string
}

// Access says for what an object is opened.
type Access int

// The ways to open an object.
const (
	ReadWrite Access = iota
	ReadOnly
	WriteOnly // message queues only: memory can not be mapped without reading
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

// ObjectOptions says how an object is made. nil stands for the zero value.
type ObjectOptions struct {
	// Mode holds the permission bits; 0 stands for 0600, NoAccess for none. The umask of
	// the process takes its bits away (Chmod gives them back).
	Mode fs.FileMode
	// Reserve sets all of the memory aside, so that a full /dev/shm is an error
	// (ENOSPC) now and not a fault at some later access.
	Reserve bool
	// AnyOwner lets OpenOrCreateObject take an object that belongs to another user.
	AnyOwner bool
}

// CreateObject makes an object of size bytes, filled with zeros, and opens it for
// reading and writing (shm_open(3) with O_CREAT and O_EXCL, and ftruncate(2)). It appears
// under its name with its size and its memory, never half made.
//
// A name is up to 255 bytes with or without a slash in front, and without another.
// Errors: fs.ErrExist (the name is taken), fs.ErrPermission, EINVAL (the name, a size
// below 0, or below 1 with Reserve, more than permission bits in Mode), ENAMETOOLONG,
// ENOSPC (with Reserve), EMFILE, EOPNOTSUPP (/dev/shm is a file system without O_TMPFILE).
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
	return createFile(base, o.Mode, func(f *os.File) error { return resize(f, size, o.Reserve) })
}

// OpenOrCreateObject opens the object called name, made as CreateObject does if there was
// none; made reports which. One that exists must have size bytes and belong to the caller
// or root, unless o says AnyOwner.
//
// Errors: ErrMismatch (another size, another owner); those of CreateObject but fs.ErrExist,
// and of OpenObject but fs.ErrNotExist.
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

// createFile makes a file in /dev/shm that has its contents when it gets its name: fill
// writes them.
func createFile(base string, mode fs.FileMode, fill func(*os.File) error) (*os.File, error) {
	mode, err := permissions(mode)
	if err != nil {
		return nil, err
	}
	// What is there already needs no memory to be refused.
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

// OpenObject opens the object called name (shm_open(3)). An object that can be read
// only can be mapped read-only or private. Errors: fs.ErrNotExist,
// fs.ErrPermission, EINVAL (the name, WriteOnly, not a regular file),
// ENAMETOOLONG, ELOOP (a symbolic link).
func OpenObject(name string, access Access) (*Object, error) {
	base, err := fileName("", name)
	if err == nil && access == WriteOnly {
		err = refused("memory can not be mapped without reading")
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

// UnlinkObject removes the name (shm_unlink(3)). The object goes when nobody has
// it open or mapped any more. Only its owner and root may, since /dev/shm is
// sticky. Errors: fs.ErrNotExist, fs.ErrPermission.
func UnlinkObject(name string) error {
	base, err := fileName("", name)
	if err == nil {
		err = unlinkFile(shmDir + "/" + base)
	}
	return failed("shm_unlink", name, err)
}

// Name returns the name under which the object was opened.
func (o *Object) Name() string { return o.name }

// File returns the open file, for reading and writing without a mapping. A write
// that does not fit into /dev/shm is ENOSPC. The file belongs to the object: it
// must not be closed, nor used after Close.
func (o *Object) File() *os.File { return o.file }

// Close closes the descriptor. Mappings stay.
func (o *Object) Close() error { return failed("close", o.name, o.file.Close()) }

// Size returns the size in bytes that the object has now (fstat(2)).
func (o *Object) Size() (int64, error) {
	info, err := o.file.Stat()
	if err != nil {
		return 0, failed("fstat", o.name, err)
	}
	return info.Size(), nil
}

// Truncate makes the object size bytes long (ftruncate(2)). What is cut off is
// lost; who has it mapped faults there. Growing adds zeros and takes no memory
// before they are written: Reserve does. Errors: EINVAL (below 0, opened
// ReadOnly), EPERM (sealed), EFBIG.
func (o *Object) Truncate(size int64) error {
	return failed("ftruncate", o.name, o.file.Truncate(size))
}

// Reserve sets memory aside for the first size bytes and makes the object that
// long if it is shorter (fallocate(2)): none of them can fail for want of memory
// any more. On ENOSPC the object keeps what it got, until it is truncated to its
// size or goes. Errors: ENOSPC, EINVAL (below 1), EBADF (opened ReadOnly), EPERM
// (sealed), EFBIG.
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

// Chown sets owner and group (fchown(2)); -1 leaves one as it is.
func (o *Object) Chown(uid, gid int) error {
	return failed("fchown", o.name, o.file.Chown(uid, gid))
}

// FileInfo is what the file system tells of an object.
type FileInfo struct {
	Name     string // with the slash in front
	UID, GID uint32
	Mode     fs.FileMode // permission bits
	Size     int64       // bytes
	Memory   int64       // bytes of memory taken; less than Size where nothing was written yet
	Dev, Ino uint64      // as /proc/PID/maps shows them
	Links    uint64      // 0 once the name is unlinked
	ATime    time.Time   // last read
	MTime    time.Time   // last written by write(2) or resized; not by a write to a mapping
	CTime    time.Time   // created, or last changed in mode, owner or links
}

// Stat returns all that the kernel knows of the object (fstat(2)).
func (o *Object) Stat() (FileInfo, error) {
	info, err := o.file.Stat()
	if err != nil {
		return FileInfo{}, failed("fstat", o.name, err)
	}
	return fileInfo(o.name, info), nil
}

// Objects returns all shared-memory objects, in the order of their names. Files
// whose names begin with "sem." are left to Semaphores. What is made or unlinked
// meanwhile may be there or not. An error ends the sequence.
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
