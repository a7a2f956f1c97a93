package sysv

import (
	"io/fs"
	"time"

	"github.com/sysvipc/gipc/internal/abi"
)

// Perm is struct ipc_perm: who owns an object and who may use it.
type Perm struct {
	Key        Key         // Private once a segment is marked for removal
	UID, GID   uint32      // owner, changed by IPC_SET
	CUID, CGID uint32      // creator, never changed
	Mode       fs.FileMode // the nine permission bits; execute bits matter to AttachOptions.Exec alone
	Seq        uint32      // sequence number; part of the identifier
}

func perm(p abi.Perm) Perm {
	return Perm{
		Key: Key(p.Key), UID: p.UID, GID: p.GID, CUID: p.CUID, CGID: p.CGID,
		Mode: fs.FileMode(p.Mode).Perm(), Seq: p.Seq,
	}
}

// Ownership is what IPC_SET changes of every kind of object.
type Ownership struct {
	UID, GID uint32
	Mode     fs.FileMode // permission bits only
}

// Ownership returns the part of p that IPC_SET can change, to be altered and set.
func (p Perm) Ownership() Ownership { return Ownership{UID: p.UID, GID: p.GID, Mode: p.Mode} }

// setFlags returns the mode for IPC_SET, false if o.Mode holds more than permission
// bits.
func (o Ownership) setFlags() (mode uint32, ok bool) {
	return uint32(o.Mode.Perm()), o.Mode&^fs.ModePerm == 0
}

// unixTime turns the kernel's seconds into a Time, 0 into the zero Time.
func unixTime(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// createFlags returns the flags of a *get call that creates, false if mode holds
// more than permission bits.
func createFlags(mode fs.FileMode, exclusive bool) (flags int, ok bool) {
	flags = int(mode.Perm()) | abi.IPCCreat
	if exclusive {
		flags |= abi.IPCExcl
	}
	return flags, mode&^fs.ModePerm == 0
}
