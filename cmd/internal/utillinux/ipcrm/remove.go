package ipcrm

import (
	"errors"
	"io/fs"
	"iter"
	"math"
	"os"
	"strconv"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/getopt"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
	"github.com/sysvipc/gipc/sysv"
)

// legacy handles ipcrm KIND ID...
func (r *remover) legacy(kind sysv.Kind, ids []string) int {
	if len(ids) == 0 {
		r.Warn("not enough arguments")
		return r.Misuse()
	}
	for _, s := range ids {
		id, err := program.ParseID(s)
		if err != nil {
			r.failed = true
			r.Warn("invalid id: " + s)
			continue
		}
		r.remove(kind, id, false)
	}
	if !r.failed {
		_, _ = r.Out.WriteString("resource(s) deleted\n")
	}
	return r.status()
}

// carryOut carries out one option.
func (r *remover) carryOut(m getopt.Match) {
	switch m.Name {
	case "v":
		r.verbose = true
	case "m":
		r.removeID(sysv.Shm, m.Value)
	case "q":
		r.removeID(sysv.Msg, m.Value)
	case "s":
		r.removeID(sysv.Sem, m.Value)
	case "M":
		r.removeKey(sysv.Shm, m.Value)
	case "Q":
		r.removeKey(sysv.Msg, m.Value)
	case "S":
		r.removeKey(sysv.Sem, m.Value)
	case "posix-shmem":
		r.removeName(objects(), m.Value)
	case "posix-mqueue":
		r.removeName(mqueues(), m.Value)
	case "posix-semaphore":
		r.removeName(semaphores(), m.Value)
	}
}

func (r *remover) removeID(kind sysv.Kind, s string) {
	id, err := program.ParseID(s)
	if err != nil {
		r.failed = true
		r.WarnNumber("failed to parse argument", s, err)
		return
	}
	r.remove(kind, id, false)
}

// removeKey accepts a key as a signed or an unsigned number.
func (r *remover) removeKey(kind sysv.Kind, s string) {
	key, err := program.ParseInt(s, 0, math.MinInt32, math.MaxUint32)
	if err != nil {
		r.failed = true
		r.WarnNumber("failed to parse argument", s, err)
		return
	}
	id, err := sysvipc.Open(kind, sysv.Key(uint32(key)))
	switch {
	case err == nil:
		r.remove(kind, id, true)
		return
	case errors.Is(err, sysv.ErrPrivateKey):
		r.Warn("illegal key (" + s + ")")
	case errors.Is(err, syscall.EACCES):
		r.Warn("permission denied for key (" + s + ")")
	case errors.Is(err, syscall.EIDRM):
		r.Warn("already removed key (" + s + ")")
	case errors.Is(err, syscall.ENOENT):
		r.Warn("invalid key (" + s + ")")
	default:
		r.WarnError("key failed ("+s+")", err)
	}
	r.failed = true
}

// remove removes one object. Messages give its identifier even if it was found by key.
func (r *remover) remove(kind sysv.Kind, id int, byKey bool) {
	if r.verbose {
		_, _ = r.Out.WriteString("removing " + noun(kind) + " id `" + strconv.Itoa(id) + "'\n")
	}
	err := sysvipc.Remove(kind, id)
	if err == nil {
		return
	}
	r.failed = true
	what := "id"
	if byKey {
		what = "key"
	}
	number := " (" + strconv.Itoa(id) + ")"
	switch {
	case errors.Is(err, fs.ErrPermission): // EPERM or EACCES
		r.Warn("permission denied for " + what + number)
	case errors.Is(err, syscall.EINVAL):
		r.Warn("invalid " + what + number)
	case errors.Is(err, syscall.EIDRM):
		r.Warn("already removed " + what + number)
	default:
		r.WarnError(what+" failed"+number, err)
	}
}

// mayRead reports whether the kernel shows the object to the caller. util-linux lists
// only such objects, so -a skips the others silently; an ordinary user's "make clean"
// relies on that.
func mayRead(kind sysv.Kind, id int) bool {
	var err error
	switch kind {
	case sysv.Shm:
		_, err = sysv.Segment(id).Stat()
	case sysv.Sem:
		_, err = sysv.Set(id).Stat()
	default:
		_, err = sysv.Queue(id).Stat()
	}
	return !errors.Is(err, syscall.EACCES)
}

func noun(kind sysv.Kind) string {
	if kind == sysv.Sem {
		return "semaphore"
	}
	return sysvipc.Noun(kind)
}

// removeAll removes objects while it is still listing. An object may have been replaced
// since it was listed; the sequence number in its identifier protects the replacement.
func (r *remover) removeAll(kind sysv.Kind) {
	switch kind {
	case sysv.Shm:
		removeEach(r, kind, sysvipc.Segments(), func(s *sysv.SegmentInfo) (int, *sysv.Perm) { return s.ID, &s.Perm })
	case sysv.Sem:
		removeEach(r, kind, sysvipc.Sets(), func(s *sysv.SetInfo) (int, *sysv.Perm) { return s.ID, &s.Perm })
	default:
		removeEach(r, kind, sysvipc.Queues(), func(q *sysv.QueueInfo) (int, *sysv.Perm) { return q.ID, &q.Perm })
	}
}

func removeEach[T any](r *remover, kind sysv.Kind, objects iter.Seq2[T, error], of func(*T) (id int, perm *sysv.Perm)) {
	user := uint32(os.Geteuid())
	err := sysvipc.Batches(objects, func(many []T) {
		for i := range many {
			id, perm := of(&many[i])
			if mine := user == 0 || user == perm.UID || user == perm.CUID; mine || mayRead(kind, id) {
				r.remove(kind, id, false)
			}
		}
	})
	if err != nil {
		r.failed = true
		r.WarnError("listing "+noun(kind)+"s failed", err)
	}
}
