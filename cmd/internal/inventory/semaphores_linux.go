package inventory

import (
	"errors"
	"os"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// semaphoresEach is how many semaphores of one user are looked at, in whole sets; those
// of root and of the caller always are. It takes a call or more for each of them, and
// any user may make as many as a million.
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

// trusted reports whether what a user makes may cost what it costs.
func trusted(uid uint32) bool { return uid == 0 || uid == uint32(os.Geteuid()) }

// semaphores returns nil if the set may not be read or is gone.
func semaphores(info *sysv.SetInfo) []Semaphore {
	list, err := sysvipc.Semaphores(info.ID, info.NSems)
	if err != nil {
		return nil
	}
	return list
}
