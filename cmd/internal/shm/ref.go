package shm

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// A Ref names an object, which need not exist: by an identifier, a key, or the name of a
// POSIX object.
type Ref struct{ ref ref.Ref }

// Parse parses a REF. It may begin with its kind, as gipcs prints it. An error that is
// not a *fs.PathError says what is wrong with the text.
func Parse(s string) (Ref, error) {
	name, isName := strings.CutPrefix(s, ref.PShm.String()+":")
	if isName || strings.HasPrefix(s, "/") {
		_, r, err := ref.ParseKind(ref.PShm.String() + ":" + name)
		return Ref{r}, err
	}
	r, err := ref.Parse(strings.TrimPrefix(s, ref.Shm.String()+":"))
	if err == nil && r.Form == ref.ByName {
		err = fmt.Errorf("%q is the name of a POSIX object, and a segment has none; write %s", s, r)
	}
	if errors.Is(err, ref.ErrForm) {
		err = fmt.Errorf("%w; a POSIX object is /NAME", err)
	}
	return Ref{r}, err
}

// Private returns the Ref that makes a segment without a key. It finds no object.
func Private() Ref { return Ref{ref.Ref{Form: ref.ByKey, Key: sysv.Private}} }

// All returns a REF for each object that exists, leaving out what cannot be listed.
func All() iter.Seq[string] {
	return func(yield func(string) bool) {
		for s, err := range sysvipc.Segments() {
			if err == nil && !yield(strconv.Itoa(s.ID)) {
				return
			}
		}
		for o, err := range posix.Objects() {
			if err == nil && !yield(o.Name) {
				return
			}
		}
	}
}

// Kind returns ref.Shm or ref.PShm.
func (r Ref) Kind() ref.Kind {
	if r.ref.Form == ref.ByName {
		return ref.PShm
	}
	return ref.Shm
}

// ID returns the identifier if the Ref is one. The kernel chooses identifiers, so no
// object can be made under it.
func (r Ref) ID() (id int, ok bool) { return r.ref.ID, r.ref.Form == ref.ByID }

// Key returns the key of a segment, even if the Ref is an identifier. If the segment has no
// key, it returns an error.
func (r Ref) Key() (sysv.Key, error) {
	id, isID := r.ID()
	if !isID {
		return r.ref.Key, nil
	}
	info, err := Segment(id).Info()
	if err == nil && info.Key == sysv.Private {
		err = fmt.Errorf("%v has no key", Segment(id))
	}
	return info.Key, err
}

// Explain turns an error about the object, or about making it with size bytes, into a
// sentence.
func (r Ref) Explain(err error, size int64) error {
	if r.Kind() != ref.PShm {
		return err
	}
	return POSIXObject(r.ref.Name).explain(full(err, size))
}

// String returns the Ref as it was written, without a kind.
func (r Ref) String() string { return r.ref.String() }

// Find returns the object that r names. It does not check an identifier. If there is no
// object the error is fs.ErrNotExist.
func (r Ref) Find() (Object, error) {
	if r.Kind() == ref.PShm {
		return findPOSIX(r.ref.Name)
	}
	s, err := r.ref.Segment()
	if err != nil {
		return nil, err
	}
	return Segment(s), nil
}

// Create makes an object, or finds the existing one unless o.Exclusive is set; made says
// which. The existing object must be large enough and grant what o.Mode asks for. If ctx
// ends while the pages of a segment are made present, Create removes the segment and
// returns the context's error; the pages of a POSIX object are always completed first.
func (r Ref) Create(ctx context.Context, o CreateOptions) (object Object, made bool, err error) {
	_, isID := r.ID()
	switch {
	case isID:
		return nil, false, fmt.Errorf("%v: the kernel chooses identifiers: %w", r, errors.ErrUnsupported)
	case r.Kind() == ref.PShm:
		return createPOSIX(r.ref.Name, o)
	}
	return createSegment(ctx, r.ref.Key, o)
}
