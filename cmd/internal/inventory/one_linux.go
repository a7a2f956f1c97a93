package inventory

import (
	"errors"
	"io/fs"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// CollectOne finds out what o asks for about one object. It collects other objects only
// where they matter for that object; o.Kinds then says which. If the object is gone, the
// inventory is empty.
func CollectOne(name ref.Object, o Options) (*Inventory, error) {
	o.only = &name
	inv, err := Collect(o)
	if err != nil || len(inv.Objects) == 0 || inv.Objects[0].standsAlone() {
		return inv, err
	}
	o.only = nil
	return Collect(o)
}

// standsAlone reports whether no other object can change what is known about an object
// that was collected alone.
func (o *Object) standsAlone() bool {
	switch {
	case o.Use == nil:
		return true
	case o.Use.Verdict == Orphan: // unless it belongs to the family of one that is needed
		return false
	case o.Kind == ref.Sem && len(o.Use.Waiting) > 0: // it may be in a deadlock
		return false
	default:
		return !mayBeFakeroots(o)
	}
}

// listOne fills Inventory.Objects with one object, if it is there.
func (c *collector) listOne(name ref.Object) error {
	if err := c.o.Missing[name.Kind]; err != nil {
		return err
	}
	object, err := Look(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	c.inv.Objects = []Object{object}
	return nil
}

// mayBeFakeroots reports whether faked(1) may have created the object. Its neighbours
// decide that.
func mayBeFakeroots(o *Object) bool {
	if o.Kind.POSIX() || o.Kind == ref.Shm {
		return false
	}
	perm := o.Perm()
	return perm.Key != sysv.Private && perm.Mode == 0o600 && (o.Kind == ref.Msg || o.Set.NSems == 1)
}
