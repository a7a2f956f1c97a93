package sysv

import (
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/sysvipc/gipc/internal/abi"
)

// Perm is struct ipc_perm: the owner and the permissions of an object.
type Perm struct {
	Key        Key         // Private once a segment is marked for removal
	UID, GID   uint32      // owner, changed by IPC_SET
	CUID, CGID uint32      // creator, never changed
	Mode       fs.FileMode // the nine permission bits; only AttachOptions.Exec uses execute bits
	Seq        uint32      // sequence number; part of the identifier
}

func perm(p abi.Perm) Perm {
	return Perm{
		Key: Key(p.Key), UID: p.UID, GID: p.GID, CUID: p.CUID, CGID: p.CGID,
		Mode: fs.FileMode(p.Mode).Perm(), Seq: p.Seq,
	}
}

// Ownership is the part of an object's permissions that IPC_SET can change.
type Ownership struct {
	UID, GID uint32
	Mode     fs.FileMode // permission bits only
}

// Ownership returns the part of p that IPC_SET can change.
func (p Perm) Ownership() Ownership { return Ownership{UID: p.UID, GID: p.GID, Mode: p.Mode} }

// setFlags returns the mode for IPC_SET. ok is false if o.Mode has more than permission
// bits.
func (o Ownership) setFlags() (mode uint32, ok bool) {
	return uint32(o.Mode.Perm()), o.Mode&^fs.ModePerm == 0
}

// unixTime converts the kernel's seconds to a Time, and 0 to the zero Time.
func unixTime(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// NoAccess as the Mode of options means no permission bits at all: only root has access. A
// Mode of 0 means 0600.
const NoAccess = fs.ModeIrregular

const defaultMode fs.FileMode = 0o600

// permissions returns the permission bits that the Mode of options means. ok is false if
// it has more than permission bits.
func permissions(mode fs.FileMode) (bits fs.FileMode, ok bool) {
	switch {
	case mode == 0:
		return defaultMode, true
	case mode == NoAccess:
		return 0, true
	default:
		return mode.Perm(), mode&^fs.ModePerm == 0
	}
}

// createFlags returns the flags of a *get call that creates an object.
func createFlags(mode fs.FileMode) (flags int, ok bool) {
	bits, ok := permissions(mode)
	return int(bits) | abi.IPCCreat | abi.IPCExcl, ok
}

// fits checks that an existing object was created by, and belongs to, root or the
// effective user.
func (p Perm) fits(kind Kind, key Key, anyOwner bool) error {
	for _, uid := range []uint32{p.UID, p.CUID} {
		if me := uint32(os.Geteuid()); !anyOwner && uid != 0 && uid != me {
			return mismatch(kind, key, "it belongs to uid %d, and you are uid %d", uid, me)
		}
	}
	return nil
}

func mismatch(kind Kind, key Key, format string, args ...any) error {
	return &Error{Op: get[kind], Kind: kind, ByKey: true, Key: key, Err: ErrMismatch, Reason: fmt.Sprintf(format, args...)}
}

// get holds the names of the calls that find and create objects, by kind.
var get = [...]string{Shm: "shmget", Sem: "semget", Msg: "msgget"}
