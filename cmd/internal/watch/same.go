package watch

import (
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// same reports whether after, which has the name that before had in an earlier look, can be
// the same object.
//
// The identifier of a System V object contains a sequence number. It is used again after
// 65,536 objects were created in its slot, or at once if a program asks for it (sysctl
// kernel.shm_next_id). Then something differs that never changes, or a time of last use is
// gone. A later ctime proves nothing, because IPC_SET sets it too, and so do SETVAL and
// SETALL.
func same(before, after *inventory.Object) bool {
	if f := before.File(); f != nil {
		g := after.File()
		return f.Dev == g.Dev && f.Ino == g.Ino
	}
	p, q := before.Perm(), after.Perm()
	marked := after.Kind == ref.Shm && after.Segment.Dest // its key is gone
	if p.CUID != q.CUID || p.CGID != q.CGID || p.Key != q.Key && !marked {
		return false
	}
	switch after.Kind {
	case ref.Shm:
		b, a := before.Segment, after.Segment
		return b.Size == a.Size && b.CPID == a.CPID && kept(b.ATime, a.ATime) && kept(b.DTime, a.DTime) && (a.Dest || !b.Dest)
	case ref.Sem:
		return before.Set.NSems == after.Set.NSems && kept(before.Set.OTime, after.Set.OTime)
	default:
		b, a := before.Queue, after.Queue
		return kept(b.STime, a.STime) && kept(b.RTime, a.RTime)
	}
}

// kept reports whether a time of last use was not lost: a new object begins without one.
func kept(before, after time.Time) bool { return before.IsZero() || !after.IsZero() }
