package inventory

import (
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// confirmWaiters drops threads that seem to wait but cannot: a tracer can stop its child
// at the entry of any call, with any arguments.
func (c *collector) confirmWaiters() {
	for i := range c.inv.Objects {
		o := &c.inv.Objects[i]
		switch {
		case len(o.Use.Waiting) == 0:
		case o.Kind == ref.Sem:
			confirmByCounts(o)
		default:
			o.Use.Waiting = slices.DeleteFunc(o.Use.Waiting, func(w Waiter) bool { return w.Credentials != nil && !mayUse(o.Perm(), w.Credentials, w.Sending) })
		}
	}
}

// confirmByCounts compares the waiters with the kernel's counts for each semaphore. It
// reads the counts again, because they were read before the threads were inspected.
func confirmByCounts(o *Object) {
	if o.Use.Semaphores == nil {
		return
	}
	now, err := sysvipc.Semaphores(o.ID(), len(o.Use.Semaphores))
	if err != nil {
		return
	}
	o.Use.Semaphores = now
	waited := func(op sysv.Op) bool {
		return int(op.Num) < len(now) && now[op.Num].NCount+now[op.Num].ZCount > 0
	}
	o.Use.Waiting = slices.DeleteFunc(o.Use.Waiting, func(w Waiter) bool {
		if len(w.Ops) == 0 {
			return waiters(now) == 0
		}
		return !slices.ContainsFunc(w.Ops, waited)
	})
}

// mayUse reports whether a thread has permission to send to, or receive from, a queue
// (ipcperms in the kernel). When permissions change, the kernel wakes all waiters and
// checks them again.
func mayUse(perm *sysv.Perm, c *procfs.Credentials, sending bool) bool {
	const effective, fileSystem = 1, 3
	group := func(gid uint32) bool { return gid == c.GIDs[fileSystem] || slices.Contains(c.Groups, gid) }
	granted := perm.Mode
	switch {
	case c.UIDs[effective] == perm.UID || c.UIDs[effective] == perm.CUID:
		granted >>= 6
	case group(perm.GID) || group(perm.CGID):
		granted >>= 3
	}
	if c.Caps&capIPCOwner != 0 {
		return true
	}
	if sending {
		return granted&2 != 0
	}
	return granted&4 != 0
}
