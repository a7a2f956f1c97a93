package sysv

import (
	"errors"
	"io/fs"
	"strconv"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/memory"
)

// A Kind is one of the three kinds of System V objects. Identifiers and keys of
// different kinds have nothing to do with each other.
type Kind int

// The kinds, in the order in which ipcs(1) options name them.
const (
	Shm Kind = iota // shared memory segment
	Sem             // semaphore set
	Msg             // message queue
)

// String returns shm, sem or msg.
func (k Kind) String() string { return [...]string{"shm", "sem", "msg"}[k] }

// Noun returns what the manual calls an object of this kind.
func (k Kind) Noun() string {
	return [...]string{"shared memory segment", "semaphore set", "message queue"}[k]
}

// An Error tells which call failed on which object. It unwraps to the error
// number of the kernel, so errors.Is(err, unix.EIDRM) works, as do fs.ErrExist
// and fs.ErrPermission; a call whose context was done unwraps to the context's
// error.
//
// errors.Is(err, fs.ErrNotExist) holds for a key under which there is nothing,
// for an object that was removed while the call waited (EIDRM), and for an
// identifier that does not exist, which the kernel calls EINVAL like much else:
// where that can mean something else IPC_STAT is asked, which needs read permission.
type Error struct {
	Op    string // the call and its command, such as "semop" or "shmctl IPC_STAT"
	Kind  Kind
	ByKey bool // tells whether Key or ID names the object
	Key   Key
	ID    int
	Size  int64 // bytes that were asked for: of a segment, a message or a buffer
	Count int   // semaphores or operations that were asked for
	// Reason says which limit was met and how large it is, or what else the kernel does
	// not tell; "" where there is nothing to say.
	Reason string
	Err    error

	unknownID bool // Err is EINVAL because no object has this ID
}

func (e *Error) Error() string {
	object := e.Kind.String() + ":"
	if e.ByKey {
		object += e.Key.String()
	} else {
		object += strconv.Itoa(e.ID)
	}
	text := e.Op + " " + object + ": " + e.Err.Error()
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// Unwrap returns the error number or the context's error.
func (e *Error) Unwrap() error { return e.Err }

// Is tells whether the object turned out not to exist.
func (e *Error) Is(target error) bool {
	return target == fs.ErrNotExist && (e.unknownID || e.Err == error(abi.EIDRM))
}

// Errors of an Attachment.
var (
	// ErrDetached is returned by every use of an Attachment after Detach.
	ErrDetached = errors.New("segment is detached")
	// ErrReadOnly is returned by a write through a read-only attachment.
	ErrReadOnly = memory.ErrReadOnly
	// ErrBounds is returned by an access beyond the end of the segment.
	ErrBounds = memory.ErrBounds
	// ErrFault is returned by an access to a page that the kernel can not provide,
	// such as a huge page when their pool is empty.
	ErrFault = memory.ErrFault
	// ErrPointers is returned by a View of a type that holds Go pointers.
	ErrPointers = memory.ErrPointers
	// ErrAlignment is returned by a View whose address is not aligned for its type.
	ErrAlignment = memory.ErrAlignment
)

// keyError makes an *Error of a call that was given a key, nil if it succeeded.
func keyError(op string, kind Kind, key Key, e abi.Errno) error {
	if e == 0 {
		return nil
	}
	return &Error{Op: op, Kind: kind, ByKey: true, Key: key, Err: e}
}

// idError makes an *Error of a call that was given an identifier, nil if it
// succeeded.
func idError(op string, kind Kind, id int, e abi.Errno) error {
	if e == 0 {
		return nil
	}
	return &Error{Op: op, Kind: kind, ID: id, Err: e}
}

// lookupError is idError for the commands that return EINVAL only for an
// identifier that does not exist.
func lookupError(op string, kind Kind, id int, e abi.Errno) error {
	if e == 0 {
		return nil
	}
	return &Error{Op: op, Kind: kind, ID: id, Err: e, unknownID: e == abi.EINVAL}
}

// vagueError is idError for the commands whose EINVAL may as well mean something
// else. If there is an object is asked by stat.
func vagueError(op string, kind Kind, id int, e abi.Errno, stat func(int) abi.Errno) error {
	if e == abi.EINVAL && stat(id) == abi.EINVAL {
		return lookupError(op, kind, id, e)
	}
	return idError(op, kind, id, e)
}

func statSegment(id int) abi.Errno { _, _, e := abi.Shmstat(id, abi.IPCStat); return e }
func statSet(id int) abi.Errno     { _, _, e := abi.Semstat(id, abi.IPCStat); return e }
func statQueue(id int) abi.Errno   { _, _, e := abi.Msgstat(id, abi.IPCStat); return e }
