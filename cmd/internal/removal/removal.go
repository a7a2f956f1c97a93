// Package removal removes objects in two steps. First the objects to remove become a
// list of targets: values that can be shown, tested and reconsidered. Remove then
// inspects each object again just before removing it, and leaves it alone if it is no
// longer what was chosen.
//
// # What is compared
//
// An object that was selected by its attributes (Select) must be unchanged in every
// respect: owner, mode, size, times, last user, number of attachments and, if they were
// collected, the semaphores' values and the waiters. That takes one system call, plus
// four for each semaphore. No call reports who waits on a queue, so all processes are
// inspected, at most once a second. The kernel tells the owner of a POSIX object, and
// root, whether a process has it mapped or open, even a process that they cannot see;
// for other users the processes are inspected.
//
// An object that was named (Find) must still be the same object, whatever happened to
// it: identifiers are reused. The kernel builds them from an index and a sequence
// number, and checks both, so that for a target that was not inspected (Name) the
// kernel's check is enough. A POSIX object is the same as long as its name leads to the
// same file.
//
// # What remains
//
// The kernel has no call that compares and removes in one step. About a microsecond passes
// between the inspection and the removal, in which two things can happen unseen. A process
// can begin to use the object. Or a process can remove it and make another under the same
// identifier; that takes a privileged program that chooses identifiers (sysctl
// kernel.sem_next_id and its like, made for checkpoints), since otherwise an identifier
// returns only after tens of thousands of creations. The name of a POSIX object can be
// reused at once.
//
// Both are likely while objects are busy, and the kernel's timestamps, in seconds, would
// not show them. So a selected object is removed only after it was left unchanged for a
// second or two. Remove waits for that once.
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

// A Target is an object to remove.
type Target struct {
	Kind ref.Kind
	ID   int    // of a System V object
	Name string // of a POSIX object
	// Object is the object as it was found; nil if it was not inspected.
	Object *inventory.Object

	want     inventory.Want // what was collected in Object.Use
	hidden   inventory.Hidden
	selected bool
}

// Ref returns the target's name or identifier.
func (t Target) Ref() ref.Object { return ref.Object{Kind: t.Kind, ID: t.ID, Name: t.Name} }

// String formats the target as a REF with its kind.
func (t Target) String() string { return t.Ref().String() }

// Name returns the target that a REF names, without inspecting it.
func Name(kind ref.Kind, r ref.Ref) (Target, error) {
	if kind.POSIX() {
		return Target{Kind: kind, Name: r.Name}, nil
	}
	id, err := identifier(kind, r)
	return Target{Kind: kind, ID: id}, err
}

// Find returns the target that a REF names, in its current state. It needs no
// permission.
func Find(kind ref.Kind, r ref.Ref) (Target, error) {
	t, err := Name(kind, r)
	if err != nil {
		return Target{}, err
	}
	now, err := inventory.Look(t.Ref())
	t.Object = &now
	return t, err
}

// Select returns targets for objects of an inventory, in their order. want is what the
// inventory was collected with. Objects that the caller may not remove are returned in
// foreign.
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

// A permission is what the caller may remove.
type permission struct {
	uid        uint32
	all, files bool // regardless of owner: System V objects, files
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

// A Skipped explains why an object was left alone: it is no longer what was chosen.
type Skipped struct {
	Target Target
	Why    string
}

func (s *Skipped) Error() string { return fmt.Sprintf("%v was left alone: %s", s.Target, s.Why) }

// A Hold watches an object between a step before its removal and the end of the
// removal.
type Hold interface {
	// Check is called just before the removal, after all other checks. If it returns an
	// error the object is kept.
	Check() error
	// Exclusive reports whether Check detects every use of the object, so that no other
	// check is needed, or possible.
	Exclusive() bool
	// Removed or Kept is called at the end, depending on what became of the object.
	Removed() error
	Kept() error
}

// Removed is the error of Hold.Removed. The target itself was removed.
type Removed struct{ Err error }

func (r *Removed) Error() string { return r.Err.Error() }

func (r *Removed) Unwrap() error { return r.Err }

// Options are the options of Remove.
type Options struct {
	// Before, unless nil, is called for each object once it was found unchanged; if it
	// returns an error the object is kept and the error yielded. It may take long: the object
	// is checked again afterwards. The targets must come from Find or Select. The Hold may be
	// nil.
	Before func(*Target) (Hold, error)
	// Again collects the objects in the same way as for the selection. If it is nil,
	// all processes that cannot be inspected count as possible users.
	Again func() (*inventory.Inventory, error)
}

// Remove removes targets in order and yields each one with its result. The error is nil if
// the target was removed or, for a segment that is still attached, marked for removal. It
// is a *Skipped if the target was left alone or, for a selected one, no longer exists; it
// is a *Removed if only Hold.Removed failed, and fs.ErrPermission if the caller may not
// remove it. Remove continues after an error. It stops when the loop or ctx ends. If
// selected objects were used or changed just now it waits up to two seconds.
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
	scanned []ref.Kind // the kinds that scan collects
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
	if err := hold.Removed(); err != nil {
		return &Removed{fmt.Errorf("%v was removed: %w", t, err)}
	}
	return nil
}

// remove removes the object, and explains a failure.
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

// denied names the object's owner if that is known or can be found out.
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

// denied is fs.ErrPermission for an object whose owner is known.
type denied struct {
	object ref.Object
	owner  uint32
}

func (d *denied) Error() string {
	return fmt.Sprintf("permission denied: %v belongs to uid %d, you are uid %d", d.object, d.owner, os.Geteuid())
}

func (d *denied) Is(target error) bool { return target == fs.ErrPermission }
