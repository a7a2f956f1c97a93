//go:build linux

package main

import (
	"os"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/logind"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// removers is who removes objects here without being asked to.
type removers struct {
	kernel bool // segments that nobody has attached any more
	logind bool // objects of users who have logged out
}

func readRemovers() removers {
	kernel, err := destroysDetached()
	return removers{kernel: kernel && err == nil, logind: logind.Removes(os.DirFS("/"))}
}

// of says who will remove an object, and when.
func (r removers) of(o *inventory.Object, names *account.Directory) (list []string) {
	if r.kernel && o.Kind == ref.Shm {
		list = append(list, "the kernel, when nobody has it attached any more (kernel.shm_rmid_forced=1)")
	}
	if owner := o.Ownership().UID; r.logind && !logind.SystemUser(os.DirFS("/"), owner) {
		list = append(list, "systemd-logind, when "+names.UserOrID(owner)+" has no session any more (RemoveIPC=yes)")
	}
	return list
}

// ofAny says who will remove objects of a kind.
func (r removers) ofAny(objects []inventory.Object, concerns func(ref.Kind) bool) (list []string) {
	users := false
	for i := range objects {
		o := &objects[i]
		users = users || concerns(o.Kind) && !logind.SystemUser(os.DirFS("/"), o.Ownership().UID)
	}
	if r.kernel && concerns(ref.Shm) {
		list = append(list, "the kernel, when nobody has a segment attached any more (kernel.shm_rmid_forced=1)")
	}
	if r.logind && users {
		list = append(list, "systemd-logind, when an owner has no session any more (RemoveIPC=yes)")
	}
	return list
}
