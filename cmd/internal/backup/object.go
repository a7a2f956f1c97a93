package backup

import (
	"iter"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// An object holds the attributes that System V objects of all kinds share.
type object struct {
	kind ref.Kind
	id   int
	sysv.Perm
	ctime time.Time
	size  int64 // bytes of a segment, semaphores of a set
}

func ofSegment(i *sysv.SegmentInfo) *object {
	return &object{ref.Shm, i.ID, i.Perm, i.CTime, i.Size}
}

func ofSet(i *sysv.SetInfo) *object {
	return &object{ref.Sem, i.ID, i.Perm, i.CTime, int64(i.NSems)}
}

func ofQueue(i *sysv.QueueInfo) *object {
	return &object{ref.Msg, i.ID, i.Perm, i.CTime, 0}
}

// objects yields all objects of a kind.
func objects(kind ref.Kind) iter.Seq2[*object, error] {
	switch kind {
	case ref.Shm:
		return as(sysv.Segments(), ofSegment)
	case ref.Sem:
		return as(sysv.Sets(), ofSet)
	default:
		return as(sysv.Queues(), ofQueue)
	}
}

func as[Info any](infos iter.Seq2[Info, error], of func(*Info) *object) iter.Seq2[*object, error] {
	return func(yield func(*object, error) bool) {
		for info, err := range infos {
			if !yield(of(&info), err) {
				return
			}
		}
	}
}

// stat returns the object that has an identifier.
func stat(kind ref.Kind, id int) (*object, error) {
	switch kind {
	case ref.Shm:
		i, err := sysv.Segment(id).Stat()
		return ofSegment(&i), err
	case ref.Sem:
		i, err := sysv.Set(id).Stat()
		return ofSet(&i), err
	default:
		i, err := sysv.Queue(id).Stat()
		return ofQueue(&i), err
	}
}

func remove(kind ref.Kind, id int) error {
	switch kind {
	case ref.Shm:
		return sysv.Segment(id).Remove()
	case ref.Sem:
		return sysv.Set(id).Remove()
	default:
		return sysv.Queue(id).Remove()
	}
}

// createEmpty makes the smallest object of a kind, without a key or a permission.
func createEmpty(kind ref.Kind) (int, error) {
	switch kind {
	case ref.Shm:
		s, err := sysv.CreateSegment(sysv.Private, 1, nil)
		return int(s), err
	case ref.Sem:
		s, err := sysv.CreateSet(sysv.Private, 1, nil)
		return int(s), err
	default:
		q, err := sysv.CreateQueue(sysv.Private, nil)
		return int(q), err
	}
}
