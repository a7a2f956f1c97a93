package rendezvous

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/shmring"
)

// An OwnerError reports an object of a user other than the caller, root and
// Options.Ring.Owners.
type OwnerError struct {
	Object string
	UID    uint32
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("%s belongs to user %d, and not to you or root", e.Object, e.UID)
}

// A ProducersError reports a ring for another number of producers.
type ProducersError struct {
	Object    string
	Producers shmring.Producers // of the ring
}

func (e *ProducersError) Error() string {
	return fmt.Sprintf("the ring in %s is for %v", e.Object, e.Producers)
}

// object returns the name of the object in messages. The object need not exist.
func (o *Options) object() string {
	if found, err := o.Ref.Find(); err == nil {
		return found.String()
	}
	return o.Ref.String()
}

// explain turns an error of shmring into a sentence.
func (k kind[T]) explain(o *Options, err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s (waited %v for it)", o.missing(k.what, err), o.Wait)
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, shmring.ErrMismatch):
		return k.explainMismatch(o, err)
	case errors.Is(err, shmring.ErrNotRing):
		return explain.As(err, fmt.Sprintf("%s holds no %s, but something else; it is left as it is", o.object(), k.what))
	}
	for _, unusable := range []error{
		shmring.ErrVersion, shmring.ErrByteOrder, shmring.ErrSize, shmring.ErrAlignment,
		shmring.ErrStale, shmring.ErrForeign, shmring.ErrFault, shmring.ErrCorrupt,
	} {
		if errors.Is(err, unusable) {
			return fmt.Errorf("%s is not to be used: %w", o.object(), err)
		}
	}
	return o.Ref.Explain(err, int64(k.size(max(o.Ring.Capacity, MinCapacity))))
}

// missing explains why a wait for a ring or broadcast has timed out.
func (o *Options) missing(what string, err error) string {
	found, notThere := o.Ref.Find()
	switch {
	case errors.Is(err, errLeft) && notThere == nil:
		return fmt.Sprintf("the %s in %v was left by processes that have died; gshm rm %s removes it", what, found, found.Ref())
	case notThere != nil:
		return explain.Error(notThere)
	}
	if s, err := found.State(); err == nil && s.Mode == Unfinished {
		return fmt.Sprintf("somebody has begun to make a %s in %v, and may have died; gshm rm %s removes it", what, found, found.Ref())
	}
	return fmt.Sprintf("%v holds no %s", found, what)
}

// explainMismatch returns an OwnerError if shmring.ErrMismatch is about the owner, and
// calls k.mismatch otherwise.
func (k kind[T]) explainMismatch(o *Options, err error) error {
	found, notThere := o.Ref.Find()
	if notThere != nil {
		return err
	}
	s, notThere := found.State()
	if notThere != nil {
		return err
	}
	for _, uid := range s.Owners {
		if int(uid) != os.Geteuid() && uid != 0 && !slices.Contains(o.Ring.Owners, int(uid)) {
			return &OwnerError{found.String(), uid}
		}
	}
	return k.mismatch(o, found.String(), err)
}

// producers is kind.mismatch for rings.
func (o *Options) producers(object string, _ error) error {
	other := shmring.One
	if o.Ring.Producers == shmring.One {
		other = shmring.Many
	}
	return &ProducersError{object, other}
}
