//go:build linux

package main

import (
	"os"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/logind"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// removers is who removes objects on this system automatically.
type removers struct {
	kernel bool // segments after their last detach
	logind bool // objects of users who have logged out
}

func readRemovers() removers {
	kernel, err := destroysDetached()
	return removers{kernel: kernel && err == nil, logind: logind.Removes(os.DirFS("/"))}
}

// of returns who will remove an object, and when.
func (r removers) of(o *inventory.Object, names *account.Directory) (list []string) {
	if r.kernel && o.Kind == ref.Shm {
		list = append(list, "the kernel, at its last detach (kernel.shm_rmid_forced=1)")
	}
	if owner := o.Ownership().UID; r.logind && !logind.SystemUser(os.DirFS("/"), owner) {
		list = append(list, "systemd-logind, when the last session of "+names.UserOrID(owner)+" ends (RemoveIPC=yes)")
	}
	return list
}

// ofAny returns who will remove objects of the given kinds.
func (r removers) ofAny(objects []inventory.Object, concerns func(ref.Kind) bool) (list []string) {
	users := false
	for i := range objects {
		o := &objects[i]
		users = users || concerns(o.Kind) && !logind.SystemUser(os.DirFS("/"), o.Ownership().UID)
	}
	if r.kernel && concerns(ref.Shm) {
		list = append(list, "the kernel, at the last detach of a segment (kernel.shm_rmid_forced=1)")
	}
	if r.logind && users {
		list = append(list, "systemd-logind, when the last session of an owner ends (RemoveIPC=yes)")
	}
	return list
}
