// Package explain turns a kernel error into a sentence about the object: which limit
// was reached and which sysctl raises it, who owns an object that is off limits,
// whether an identifier is stale.
package explain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/sysv"
)

// Error returns the sentence for err: the one from As or Now if there is one, else the
// explanation of an error of package sysv, else err's own text. Joined errors become one
// line.
func Error(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var sentences []string
		for _, err := range joined.Unwrap() {
			sentences = append(sentences, Error(err))
		}
		return strings.Join(sentences, "; ")
	}
	var e *sysv.Error
	switch {
	case errors.As(err, new(explained)):
		return err.Error()
	case errors.As(err, &e):
		if s := creation(e); s != "" {
			return s
		}
		return sentence(e)
	case errors.Is(err, context.Canceled): // only signals cancel what a command does
		return "interrupted"
	}
	return err.Error()
}

func object(e *sysv.Error) string {
	if e.ByKey {
		return fmt.Sprintf("%s with key %v", sysvipc.Noun(e.Kind), e.Key)
	}
	return fmt.Sprintf("%s %d", sysvipc.Noun(e.Kind), e.ID)
}

func sentence(e *sysv.Error) string {
	switch {
	case errors.Is(e, abi.EIDRM):
		return object(e) + " was removed meanwhile"
	case errors.Is(e, fs.ErrNotExist):
		return "there is no " + object(e)
	case errors.Is(e, fs.ErrExist):
		return existing(e) + " exists already"
	case e.Op == "shmctl SHM_LOCK" && errors.Is(e, fs.ErrPermission) && own(e):
		return object(e) + " cannot be locked: RLIMIT_MEMLOCK is 0 (ulimit -l)"
	case e.Op == "shmctl SHM_LOCK" && errors.Is(e, abi.ENOMEM):
		return object(e) + " cannot be locked: that exceeds RLIMIT_MEMLOCK (ulimit -l)"
	case errors.Is(e, fs.ErrPermission):
		return "permission denied: " + existing(e) + owner(e)
	case errors.Is(e, abi.EINVAL) && e.Op == "msgctl IPC_SET":
		return object(e) + " cannot have that owner or that size: either this user namespace does not map the owner, or the size is above 2147483647 bytes"
	case errors.Is(e, abi.EINVAL) && strings.HasSuffix(e.Op, " IPC_SET"):
		return object(e) + " cannot have that owner: this user namespace does not map that user or group"
	case errors.Is(e, abi.EINVAL) && !e.ByKey && !exists(e):
		return "there is no " + object(e)
	case errors.Is(e, sysv.ErrMismatch):
		return existing(e) + strings.TrimPrefix(e.Reason, "it")
	case e.Reason != "":
		return object(e) + ": " + e.Reason
	case errors.Is(e, errors.ErrUnsupported):
		return e.Op + ": " + e.Err.Error()
	default:
		return fmt.Sprintf("%s: %s: %v", object(e), e.Op, e.Err)
	}
}

// facts holds what the sentences need to know about an object.
type facts struct {
	id   int
	perm sysv.Perm
	size int64 // bytes of a segment, semaphores of a set
}

// find looks up the object of e. It works without permission on the object, too.
func find(e *sysv.Error) (found facts, ok bool) {
	id := e.ID
	if e.ByKey {
		var err error
		if id, err = sysvipc.Open(e.Kind, e.Key); err != nil {
			return facts{}, false
		}
	}
	var err error
	switch e.Kind {
	case sysv.Shm:
		var i sysv.SegmentInfo
		i, err = sysvipc.FindSegment(id)
		found = facts{id, i.Perm, i.Size}
	case sysv.Sem:
		var i sysv.SetInfo
		i, err = sysvipc.FindSet(id)
		found = facts{id, i.Perm, int64(i.NSems)}
	case sysv.Msg:
		var i sysv.QueueInfo
		i, err = sysvipc.FindQueue(id)
		found = facts{id, i.Perm, 0}
	}
	return found, err == nil
}

func exists(e *sysv.Error) bool {
	_, ok := find(e)
	return ok
}

// existing names an existing object, with its identifier.
func existing(e *sysv.Error) string {
	f, ok := find(e)
	if e.ByKey && ok {
		return fmt.Sprintf("%s (id %d)", object(e), f.id)
	}
	return object(e)
}

// own reports whether the caller made or owns the object. If it no longer exists, the
// caller made it, failed to lock it, and removed it again.
func own(e *sysv.Error) bool {
	f, ok := find(e)
	me := uint32(os.Geteuid())
	return !ok || f.perm.UID == me || f.perm.CUID == me
}

func owner(e *sysv.Error) string {
	f, ok := find(e)
	if !ok {
		return ""
	}
	return fmt.Sprintf(" belongs to uid %d, its mode is %04o, you are uid %d", f.perm.UID, f.perm.Mode, os.Geteuid())
}
