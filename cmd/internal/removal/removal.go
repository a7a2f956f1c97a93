// Package removal removes objects in two steps. What is to be removed is a list of
// targets first: values that can be shown, tested and thought over. Removing looks at
// each object again just before, and leaves alone what is no longer what was chosen.
//
// # What is compared
//
// An object that was selected by what it is (Select) must still be in all respects
// what it was: its owner, mode, size and times, who used it last, how often it is
// attached, and, as far as that was looked up, the values of its semaphores and who
// waits. All of that costs one system call, and four for each semaphore. Who waits on
// a queue is told by no such call; all processes are looked at for it, once in a second
// at the most. Whether anybody has a POSIX object mapped or open the kernel tells its
// owner and root, also of processes that they can't see; where it does not, processes
// are looked at.
//
// An object that was named (Find) must still be the same one, whatever happened to
// it: identifiers are used again. The kernel makes them of an index and a sequence
// number that it compares, so for a target that was not even looked at (Name) that
// comparison is enough. A POSIX object goes by its name, and is the same as long as its
// file is.
//
// # What remains
//
// The kernel has no call that compares and removes at once. Between the look and the
// removal passes about a microsecond, and two things can happen in it unseen: somebody
// begins to use the object, or somebody removes it and makes another one under the
// very same identifier. The latter takes a privileged program that chooses identifiers
// (sysctl kernel.sem_next_id and its like, made for checkpoints); otherwise an
// identifier returns only after tens of thousands of creations. A name of a POSIX object
// any program may use again at once.
//
// Both are likely where things are in motion, and the kernel's times, in seconds,
// would not show it. So an object that was selected is removed only after it was left
// as it is for a second or two; Remove waits for that, once.
package removal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// A Target is an object that is to be removed.
type Target struct {
	Kind ref.Kind
	ID   int    // of a System V object
	Name string // of a POSIX object
	// Object is what it was when it was found; nil if it was not looked at.
	Object *inventory.Object

	want     inventory.Want // what of Object.Use was looked up
	hidden   inventory.Hidden
	selected bool
}

// Ref returns what the target is known by.
func (t Target) Ref() ref.Object { return ref.Object{Kind: t.Kind, ID: t.ID, Name: t.Name} }

// String returns the target as a REF with its kind.
func (t Target) String() string { return t.Ref().String() }

// Name returns the target that a REF names, without looking at it.
func Name(kind ref.Kind, r ref.Ref) (Target, error) {
	if kind.POSIX() {
		return Target{Kind: kind, Name: r.Name}, nil
	}
	id, err := identifier(kind, r)
	return Target{Kind: kind, ID: id}, err
}

// Find returns the target that a REF names, as it is now. It needs no permission.
func Find(kind ref.Kind, r ref.Ref) (Target, error) {
	t, err := Name(kind, r)
	if err != nil {
		return Target{}, err
	}
	now, err := inventory.Look(t.Ref())
	t.Object = &now
	return t, err
}

// Select returns the targets for objects of an inventory that was collected with
// want, in their order. Those that the caller may not remove come apart.
func Select(inv *inventory.Inventory, want inventory.Want, objects []inventory.Object) (targets, foreign []Target) {
	may := permission{uint32(os.Geteuid()), mayRemoveAll(), mayUnlinkAll()}
	for i := range objects {
		o := &objects[i]
		name := o.Ref()
		t := Target{Kind: o.Kind, ID: name.ID, Name: name.Name, Object: o, want: want, hidden: inv.Hidden, selected: true}
		if may.remove(o) {
			targets = append(targets, t)
		} else {
			foreign = append(foreign, t)
		}
	}
	return targets, foreign
}

// permission is what the caller may remove.
type permission struct {
	uid        uint32
	all, files bool // whoever owns it: System V objects, files
}

func (p permission) remove(o *inventory.Object) bool {
	switch owner := o.Ownership().UID; {
	case o.Kind.POSIX():
		return p.files || p.uid == owner // their directories are sticky
	default:
		return p.all || p.uid == owner || p.uid == o.Perm().CUID
	}
}

func identifier(kind ref.Kind, r ref.Ref) (int, error) {
	switch kind {
	case ref.Shm:
		s, err := r.Segment()
		return int(s), err
	case ref.Sem:
		s, err := r.Set()
		return int(s), err
	default:
		q, err := r.Queue()
		return int(q), err
	}
}

// A Skipped is the reason why an object was left alone: it is not what was chosen
// any more.
type Skipped struct {
	Target Target
	Why    string
}

func (s *Skipped) Error() string { return fmt.Sprintf("%v was left alone: %s", s.Target, s.Why) }

// A Hold is what a step before a removal keeps of the object until its end.
type Hold interface {
	// Check is called just before the object is removed, after every other look at it;
	// an error keeps the object from being removed.
	Check() error
	// Exclusive reports whether Check sees every use of the object, so that no other
	// look is needed, and none may be had.
	Exclusive() bool
	// Removed or Kept is called when that is what has become of the object.
	Removed() error
	Kept() error
}

// Options says how Remove goes about it.
type Options struct {
	// Before, if it is not nil, is called for each object just before it is removed, as
	// soon as it was found to be what was chosen; an error of it keeps the object from
	// being removed, and is yielded. It may take long: the object is looked at once more
	// after it. It needs targets of Find or Select. The Hold may be nil.
	Before func(*Target) (Hold, error)
	// Again collects the objects as they were collected when the targets were selected. If
	// it is nil all processes count that can't be looked into.
	Again func() (*inventory.Inventory, error)
}

// Remove removes targets in their order and yields each when it is done with it.
// The error is nil if the target was removed, or is marked for removal as a segment
// is while somebody is attached. It is a *Skipped if it was left alone or, having been
// selected, is gone; fs.ErrPermission if it may not be removed. Remove goes on after
// an error; ending the loop, or ctx, ends it. If selected objects were used or changed
// just now it waits for up to two seconds.
func Remove(ctx context.Context, targets []Target, o Options) iter.Seq2[Target, error] {
	return func(yield func(Target, error) bool) {
		r := newRemover(ctx, targets, o)
		for i := range targets {
			t := &targets[i]
			if ctx.Err() != nil || !yield(*t, r.remove(t)) {
				return
			}
		}
	}
}

func newRemover(ctx context.Context, targets []Target, o Options) *remover {
	r := &remover{Options: o, ctx: ctx, settled: settled, began: time.Now()}
	var want inventory.Want
	for i := range targets {
		t := &targets[i]
		want |= t.want
		if t.needsScan() && !slices.Contains(r.scanned, t.Kind) {
			r.scanned = append(r.scanned, t.Kind)
		}
	}
	if r.Again == nil {
		r.Again = func() (*inventory.Inventory, error) {
			return inventory.Collect(inventory.Options{Kinds: r.scanned, Want: want})
		}
	}
	return r
}

type remover struct {
	Options
	ctx     context.Context
	settled time.Duration
	began   time.Time
	scanned []ref.Kind // that are collected again
	now     *latest
}

func (r *remover) remove(t *Target) error {
	if t.selected {
		if err := r.settle(t.Object); err != nil {
			return err
		}
	}
	if t.Object == nil {
		return t.remove()
	}
	if err := r.check(t); err != nil {
		return err
	}
	if r.Before == nil {
		return t.remove()
	}
	hold, err := r.Before(t)
	if err != nil {
		return err
	}
	if hold == nil {
		if err := r.check(t); err != nil {
			return err
		}
		return t.remove()
	}
	if !hold.Exclusive() {
		err = r.check(t)
	}
	if err == nil {
		err = hold.Check()
	}
	if err == nil {
		err = t.remove()
	}
	if err != nil {
		return errors.Join(err, hold.Kept())
	}
	return hold.Removed()
}

// remove removes the object, and says why not.
func (t *Target) remove() error {
	err := t.destroy()
	switch {
	case err == nil:
		return nil
	case t.selected && (errors.Is(err, abi.EINVAL) || errors.Is(err, abi.EIDRM) || errors.Is(err, fs.ErrNotExist)):
		return &Skipped{*t, isGone}
	case t.Kind.POSIX() && errors.Is(err, fs.ErrNotExist):
		return inventory.NotFound(t.Ref())
	case errors.Is(err, fs.ErrPermission):
		return t.denied(err)
	default:
		return err
	}
}

func (t *Target) destroy() error {
	switch t.Kind {
	case ref.Shm:
		return sysv.Segment(t.ID).Remove()
	case ref.Sem:
		return sysv.Set(t.ID).Remove()
	case ref.Msg:
		return sysv.Queue(t.ID).Remove()
	case ref.PShm:
		return posix.UnlinkObject(t.Name)
	case ref.PSem:
		return posix.UnlinkSemaphore(t.Name)
	default:
		return posix.UnlinkQueue(t.Name)
	}
}

// denied says whose the object is, if that is known or can be.
func (t *Target) denied(err error) error {
	o := t.Object
	if o == nil && t.Kind.POSIX() {
		if now, e := inventory.Look(t.Ref()); e == nil {
			o = &now
		}
	}
	if o == nil {
		return err
	}
	return &denied{t.Ref(), o.Ownership().UID}
}

// denied is fs.ErrPermission for an object of which more is known than its number.
type denied struct {
	object ref.Object
	owner  uint32
}

func (d *denied) Error() string {
	return fmt.Sprintf("permission denied: %v belongs to uid %d, you are uid %d", d.object, d.owner, os.Geteuid())
}

func (d *denied) Is(target error) bool { return target == fs.ErrPermission }
