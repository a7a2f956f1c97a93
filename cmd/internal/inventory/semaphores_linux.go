package inventory

import (
	"errors"
	"os"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// semaphoresEach is the maximum number of semaphores that are read for one user, in whole
// sets. Those of root and of the caller are always read. Each semaphore takes at least one
// call, and any user can make up to a million.
const semaphoresEach = 1 << 15

var errTooManySemaphores = errors.New("its creator has too many semaphores to look at")

func (c *collector) readSemaphores() {
	spent := make(map[uint32]int)
	for i := range c.inv.Objects {
		o := &c.inv.Objects[i]
		if o.Kind != ref.Sem {
			continue
		}
		if uid := o.Set.CUID; !trusted(uid) {
			if spent[uid]+o.Set.NSems > semaphoresEach {
				o.Use.Unread = errTooManySemaphores
				continue
			}
			spent[uid] += o.Set.NSems
		}
		o.Use.Semaphores, o.Use.Unread = sysvipc.Semaphores(o.ID(), o.Set.NSems)
	}
}

// trusted reports whether objects of a user may cost any amount of time.
func trusted(uid uint32) bool { return uid == 0 || uid == uint32(os.Geteuid()) }

// semaphores returns the semaphores of a set, or nil if the set cannot be read or is gone.
func semaphores(info *sysv.SetInfo) []Semaphore {
	list, err := sysvipc.Semaphores(info.ID, info.NSems)
	if err != nil {
		return nil
	}
	return list
}
