package ipcs

import (
	"errors"
	"io/fs"
	"strconv"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
	"github.com/sysvipc/gipc/sysv"
)

// showOne prints everything about one object.
func (l *lister) showOne() int {
	var err error
	switch {
	case l.segments:
		var s sysv.SegmentInfo
		if s, err = sysvipc.FindSegment(l.id); err == nil {
			l.showSegment(&s)
		}
	case l.queues:
		var q sysv.QueueInfo
		if q, err = sysvipc.FindQueue(l.id); err == nil {
			l.showQueue(&q)
		}
	case l.sets:
		var s sysv.SetInfo
		if s, err = sysvipc.FindSet(l.id); err == nil {
			semaphores, ok := l.Semaphores(&s)
			if !ok {
				return program.Failure
			}
			l.showSet(&s, semaphores)
		}
	}
	switch {
	case err == nil:
		return program.Success
	case errors.Is(err, fs.ErrNotExist):
		return l.Fail("id " + strconv.Itoa(l.id) + " not found")
	}
	return l.FailError("id "+strconv.Itoa(l.id), err)
}
