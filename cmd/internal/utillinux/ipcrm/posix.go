package ipcrm

import (
	"errors"
	"io/fs"
	"iter"
	"strings"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/utillinux/smartcols"
	"github.com/sysvipc/gipc/posix"
)

// A namedKind is a kind of POSIX object.
type namedKind struct {
	word   string // the argument of -a
	noun   string
	unlink func(name string) error
	names  iter.Seq2[string, error] // of all existing objects, as lsipc prints them
}

func objects() namedKind {
	return namedKind{
		"pshm", "POSIX shared memory", posix.UnlinkObject,
		names(posix.Objects(), func(o *posix.FileInfo) string { return strings.TrimPrefix(o.Name, "/") }),
	}
}

func mqueues() namedKind {
	return namedKind{
		"pmsg", "POSIX message queue", posix.UnlinkQueue,
		names(posix.Queues(), func(q *posix.QueueInfo) string { return q.Name }),
	}
}

func semaphores() namedKind {
	return namedKind{
		"psem", "POSIX semaphore", posix.UnlinkSemaphore,
		names(posix.Semaphores(), func(s *posix.SemaphoreInfo) string { return strings.TrimPrefix(s.Name, "/") }),
	}
}

func names[T any](objects iter.Seq2[T, error], name func(*T) string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for object, err := range objects {
			if !yield(name(&object), err) {
				return
			}
		}
	}
}

// namedKindOf returns the kind that an argument of -a names.
func namedKindOf(word string) (namedKind, bool) {
	for _, kind := range []namedKind{objects(), mqueues(), semaphores()} {
		if word == kind.word {
			return kind, true
		}
	}
	return namedKind{}, false
}

// removeName removes the object called name. If no object can have that name it reports
// "not found".
func (r *remover) removeName(kind namedKind, name string) {
	// Another user may have chosen the name; it must not control the terminal.
	shown := string(smartcols.AppendSafe(nil, []byte(name), r.IsUTF8()))
	if r.verbose {
		_, _ = r.Out.WriteString("removing " + kind.noun + " `" + shown + "'\n")
	}
	err := kind.unlink(name)
	if err == nil {
		return
	}
	r.failed = true
	switch {
	case errors.Is(err, fs.ErrPermission):
		r.Warn("permission denied for name `" + shown + "'")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EINVAL):
		r.Warn("name `" + shown + "' not found")
	case errors.Is(err, syscall.ENAMETOOLONG):
		r.Warn("name `" + shown + "' too long")
	default:
		r.WarnError("name failed (`"+shown+"')", err)
	}
}

func (r *remover) removeAllNamed(kind namedKind) {
	for name, err := range kind.names {
		if err != nil {
			r.failed = true
			r.WarnError("--all="+kind.word, err)
			return
		}
		r.removeName(kind, name)
	}
}
