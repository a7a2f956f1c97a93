package posix

import (
	"os"
	"strconv"
)

// MemfdOptions says how CreateMemfd makes a memory file.
type MemfdOptions struct {
	// Sealing (MFD_ALLOW_SEALING) makes Seal possible.
	Sealing bool
	// HugePages is the size in bytes of the huge pages to use (MFD_HUGETLB), a power
	// of two; DefaultHugePages for the system's default, 0 for ordinary pages. Sizes
	// of the object and lengths of mappings must be multiples of it.
	HugePages int64
	// Reserve sets all of the memory aside at once; see Object.Reserve.
	Reserve bool
}

// DefaultHugePages stands for the system's default size of huge pages.
const DefaultHugePages = -1

// CreateMemfd makes an object of size bytes without a name (memfd_create(2)). Only
// who is given its descriptor has it: PassTo hands it to a child process. It goes
// with its last descriptor and mapping, so nothing is left behind by a crash. The
// label is seen in /proc alone and need not be unique. Errors: EINVAL (a label
// longer than 249 bytes, a size, an option out of range), ENOMEM (not enough huge
// pages), ENOSPC (with Reserve), EMFILE.
func CreateMemfd(label string, size int64, o MemfdOptions) (*Object, error) {
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

// Seals is a set of the things that nobody can do to a memory file any more.
type Seals int

// The seals. A seal can never be taken off.
const (
	SealSeal        Seals = 1 << iota // F_SEAL_SEAL: add a seal
	SealShrink                        // F_SEAL_SHRINK: make it shorter
	SealGrow                          // F_SEAL_GROW: make it longer
	SealWrite                         // F_SEAL_WRITE: write to it; EBUSY while a writable shared mapping exists
	SealFutureWrite                   // F_SEAL_FUTURE_WRITE: write to it, but through mappings that exist
	SealExec                          // F_SEAL_EXEC: change execute permission (Linux 6.3)
)

// Seal adds seals (F_ADD_SEALS). With SealShrink a mapping of the whole can never
// fault, whatever the processes do that have it. Errors: EPERM (made without
// Sealing, or SealSeal is on), EBUSY, EINVAL (not a memory file).
func (o *Object) Seal(seals Seals) error {
	return failed("fcntl F_ADD_SEALS", o.name, addSeals(o.file, seals))
}

// Seals returns the seals that are on (F_GET_SEALS). Errors: EINVAL (not a memory
// file).
func (o *Object) Seals() (Seals, error) {
	seals, err := getSeals(o.file)
	return seals, failed("fcntl F_GET_SEALS", o.name, err)
}

// PassTo hands the object to a child process: it appends its file to files, the
// ExtraFiles of an exec.Cmd, and returns the number that its descriptor will have
// in the child. Tell the child by an argument or the environment; there Inherit
// makes an Object of it, and a C program uses it as it is.
//
//	fd := obj.PassTo(&cmd.ExtraFiles)
//	cmd.Args = append(cmd.Args, strconv.Itoa(fd))
func (o *Object) PassTo(files *[]*os.File) (fd int) {
	const stdio = 3 // standard input, output and error come before the extra files
	*files = append(*files, o.file)
	return stdio + len(*files) - 1
}

// Inherit makes an Object of a descriptor that the parent process has passed with
// PassTo, or with the fork and exec of C. The object owns it from then on, and
// processes that are started later do not inherit it. Errors: EBADF (no such
// descriptor), EINVAL (it is no regular file).
func Inherit(fd int) (*Object, error) {
	name := "descriptor " + strconv.Itoa(fd)
	file, err := inheritFile(fd, name)
	if err != nil {
		return nil, failed("inherit", name, err)
	}
	return &Object{file, name}, nil
}
