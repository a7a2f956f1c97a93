package sysv

import (
	"errors"
	"io/fs"
	"strconv"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/memory"
)

// A Kind is one of the three kinds of System V objects. Each kind has its own keys and
// identifiers.
type Kind int

// The kinds, in the order in which ipcs(1) options name them.
const (
	Shm Kind = iota // shared memory segment
	Sem             // semaphore set
	Msg             // message queue
)

// String returns shm, sem or msg.
func (k Kind) String() string { return [...]string{"shm", "sem", "msg"}[k] }

// An Error says which call failed on which object. It unwraps to the kernel's error
// number, so errors.Is works with unix.EIDRM, fs.ErrExist, fs.ErrPermission and so on. If
// a context ended the call, it unwraps to the context's error.
//
// errors.Is(err, fs.ErrNotExist) holds if no object has the key, if the object was removed
// during the call (EIDRM), and if the identifier does not exist. For the last, the kernel
// returns EINVAL, as for other errors. Where EINVAL is ambiguous, the library asks
// IPC_STAT, which needs read permission.
type Error struct {
	Op    string // the call and its command, such as "semop" or "shmctl IPC_STAT"
	Kind  Kind
	ByKey bool // Key, not ID, names the object
	Key   Key
	ID    int
	Size  int64 // requested bytes, of a segment, a message or a buffer
	Count int   // requested semaphores or operations
	// Reason says which limit was reached and its value, or another fact that the error
	// number does not tell. It is "" if there is none.
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

// Is reports whether target is fs.ErrNotExist and the object does not exist.
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
	// ErrFault is returned by an access to a page that the kernel cannot provide, such as
	// a huge page if the pool is empty.
	ErrFault = memory.ErrFault
	// ErrPointers is returned by a View of a type that holds Go pointers.
	ErrPointers = memory.ErrPointers
	// ErrAlignment is returned by a View whose address is not aligned for its type.
	ErrAlignment = memory.ErrAlignment
)

// keyError returns the *Error of a call that was given a key, or nil if it succeeded.
func keyError(op string, kind Kind, key Key, e abi.Errno) error {
	if e == 0 {
		return nil
	}
	return &Error{Op: op, Kind: kind, ByKey: true, Key: key, Err: e}
}

// idError returns the *Error of a call that was given an identifier, or nil if it
// succeeded.
func idError(op string, kind Kind, id int, e abi.Errno) error {
	if e == 0 {
		return nil
	}
	return &Error{Op: op, Kind: kind, ID: id, Err: e}
}

// lookupError is idError for commands that return EINVAL only if the identifier does not
// exist.
func lookupError(op string, kind Kind, id int, e abi.Errno) error {
	if e == 0 {
		return nil
	}
	return &Error{Op: op, Kind: kind, ID: id, Err: e, unknownID: e == abi.EINVAL}
}

// vagueError is idError for commands whose EINVAL may mean something else. It calls stat
// to learn whether the object exists.
func vagueError(op string, kind Kind, id int, e abi.Errno, stat func(int) abi.Errno) error {
	if e == abi.EINVAL && stat(id) == abi.EINVAL {
		return lookupError(op, kind, id, e)
	}
	return idError(op, kind, id, e)
}

func statSegment(id int) abi.Errno { _, _, e := abi.Shmstat(id, abi.IPCStat); return e }
func statSet(id int) abi.Errno     { _, _, e := abi.Semstat(id, abi.IPCStat); return e }
func statQueue(id int) abi.Errno   { _, _, e := abi.Msgstat(id, abi.IPCStat); return e }
