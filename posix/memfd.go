package posix

import (
	"os"
	"strconv"
)

// MemfdOptions holds the options of CreateMemfd.
type MemfdOptions struct {
	// Sealing (MFD_ALLOW_SEALING) allows Seal.
	Sealing bool
	// HugePages is the size in bytes of the huge pages to use (MFD_HUGETLB): a power of
	// two, or DefaultHugePages, or 0 for ordinary pages. The sizes of the object and of
	// its mappings must be multiples of it.
	HugePages int64
	// Reserve reserves all of the memory at once; see Object.Reserve.
	Reserve bool
}

// DefaultHugePages means the system's default size of huge pages.
const DefaultHugePages = -1

// CreateMemfd creates an object of size bytes without a name (memfd_create(2)). Only a
// process that is given its descriptor can use it; PassTo hands it to a child process. The
// object is freed with its last descriptor and mapping, so a crash leaves nothing behind.
// The label is only shown in /proc and need not be unique. Errors: EINVAL (a label longer
// than 249 bytes; size or an option out of range), ENOMEM (not enough huge pages), ENOSPC
// (with Reserve), EMFILE.
func CreateMemfd(label string, size int64, o *MemfdOptions) (*Object, error) {
	if o == nil {
		o = new(MemfdOptions)
	}
	name := "memfd:" + label
	if size < 0 {
		return nil, failed("memfd_create", name, refused("size %d", size))
	}
	file, err := memfdCreate(label, o)
	if err != nil {
		return nil, failed("memfd_create", name, err)
	}
	if err := resize(file, size, o.Reserve); err != nil {
		file.Close()
		return nil, failed("memfd_create", name, err)
	}
	return &Object{file, name}, nil
}

// Seals is a set of operations that are forbidden on a memory file from now on.
type Seals int

// The seals. A seal cannot be removed.
const (
	SealSeal        Seals = 1 << iota // F_SEAL_SEAL: adding seals
	SealShrink                        // F_SEAL_SHRINK: making the file shorter
	SealGrow                          // F_SEAL_GROW: making the file longer
	SealWrite                         // F_SEAL_WRITE: writing; EBUSY while a writable shared mapping exists
	SealFutureWrite                   // F_SEAL_FUTURE_WRITE: writing, except through existing mappings
	SealExec                          // F_SEAL_EXEC: changing execute permission (Linux 6.3)
)

// Seal adds seals (F_ADD_SEALS). With SealShrink, a mapping of the whole object can never
// fault, whatever other processes do. Errors: EPERM (created without Sealing, or SealSeal
// is set), EBUSY, EINVAL (not a memory file).
func (o *Object) Seal(seals Seals) error {
	return failed("fcntl F_ADD_SEALS", o.name, addSeals(o.file, seals))
}

// Seals returns the seals that are set (F_GET_SEALS). Errors: EINVAL (not a memory file).
func (o *Object) Seals() (Seals, error) {
	seals, err := getSeals(o.file)
	return seals, failed("fcntl F_GET_SEALS", o.name, err)
}

// PassTo hands the object to a child process. It appends the object's file to files, the
// ExtraFiles of an exec.Cmd, and returns the descriptor that the file will have in the
// child. Tell the child that number by an argument or the environment. A Go child calls
// Inherit with it; a C program uses it directly.
//
//	fd := obj.PassTo(&cmd.ExtraFiles)
//	cmd.Args = append(cmd.Args, strconv.Itoa(fd))
func (o *Object) PassTo(files *[]*os.File) (fd int) {
	const stdio = 3 // standard input, output and error come before the extra files
	*files = append(*files, o.file)
	return stdio + len(*files) - 1
}

// Inherit returns the Object of a descriptor that the parent process passed with PassTo,
// or a C program by fork and exec. The Object then owns the descriptor, and processes
// started later do not inherit it. Errors: EBADF (no such descriptor), EINVAL (not a
// regular file).
func Inherit(fd int) (*Object, error) {
	name := "descriptor " + strconv.Itoa(fd)
	file, err := inheritFile(fd, name)
	if err != nil {
		return nil, failed("inherit", name, err)
	}
	return &Object{file, name}, nil
}
