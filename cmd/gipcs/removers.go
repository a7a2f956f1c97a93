//go:build linux

package main

import (
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/logind"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// removers says who removes objects on this system automatically.
type removers struct {
	kernel bool       // segments after their last detach
	logind []ref.Kind // objects of users who have logged out, of these kinds
}

// readRemovers returns who removes objects where the command works. systemd-logind cleans
// only its own IPC namespace and /dev/shm; readRemovers assumes that the caller shares them.
func readRemovers(c *cli.Context) removers {
	kernel, err := destroysDetached()
	r := removers{kernel: kernel && err == nil}
	if logind.Removes(os.DirFS("/")) {
		r.logind = ownKinds(c)
	}
	return r
}

// logindRemoves reports whether systemd-logind removes objects of a kind and an owner.
func (r removers) logindRemoves(kind ref.Kind, owner uint32) bool {
	return slices.Contains(r.logind, kind) && !logind.SystemUser(os.DirFS("/"), owner)
}

// of returns who will remove an object, and when.
func (r removers) of(o *inventory.Object, names *account.Directory) (list []string) {
	if r.kernel && o.Kind == ref.Shm {
		list = append(list, "the kernel, at its last detach (kernel.shm_rmid_forced=1)")
	}
	if owner := o.Ownership().UID; r.logindRemoves(o.Kind, owner) {
		list = append(list, "systemd-logind, when the last session of "+names.UserOrID(owner)+" ends (RemoveIPC=yes)")
	}
	return list
}

// ofAny returns who will remove objects of the given kinds.
func (r removers) ofAny(objects []inventory.Object, concerns func(ref.Kind) bool) (list []string) {
	users := false
	for i := range objects {
		o := &objects[i]
		users = users || concerns(o.Kind) && r.logindRemoves(o.Kind, o.Ownership().UID)
	}
	if r.kernel && concerns(ref.Shm) {
		list = append(list, "the kernel, at the last detach of a segment (kernel.shm_rmid_forced=1)")
	}
	if users {
		list = append(list, "systemd-logind, when the last session of an owner ends (RemoveIPC=yes)")
	}
	return list
}
