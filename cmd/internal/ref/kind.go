package ref

import (
	"fmt"
)

// A Kind is a kind of object.
type Kind int

// The kinds of objects: those of System V, and their POSIX twins.
const (
	Shm  Kind = iota // System V shared memory segment
	Sem              // System V semaphore set
	Msg              // System V message queue
	PShm             // POSIX shared-memory object
	PSem             // POSIX named semaphore
	PMsg             // POSIX message queue
)

// Kinds returns all kinds, those of System V first.
func Kinds() []Kind { return []Kind{Shm, Sem, Msg, PShm, PSem, PMsg} }

// SystemV returns the kinds of System V objects.
func SystemV() []Kind { return Kinds()[:PShm] }

// POSIX returns the kinds of POSIX objects.
func POSIX() []Kind { return Kinds()[PShm:] }

// String returns the prefix that stands for the kind in a REF.
func (k Kind) String() string { return [...]string{"shm", "sem", "msg", "pshm", "psem", "pmsg"}[k] }

// KindNamed returns the kind whose String is name.
func KindNamed(name string) (Kind, error) {
	for _, kind := range Kinds() {
		if kind.String() == name {
			return kind, nil
		}
	}
	return 0, fmt.Errorf("there is no kind %q", name)
}

// Noun returns the kind's name for use in a sentence.
func (k Kind) Noun() string {
	return [...]string{
		"shared memory segment", "semaphore set", "message queue",
		"POSIX shared-memory object", "POSIX semaphore", "POSIX message queue",
	}[k]
}

// POSIX reports whether the kind is a POSIX one: its objects have names instead of
// identifiers and keys.
func (k Kind) POSIX() bool { return k >= PShm }

// An Object identifies an object the way the kernel does. Identifiers and names are
// reused, so later it may be another object.
type Object struct {
	Kind Kind
	ID   int    // of a System V object, else 0
	Name string // of a POSIX object, with its slash, else ""
}

// String formats the object as a REF with its kind.
func (o Object) String() string {
	if o.Kind.POSIX() {
		return o.Kind.String() + ":" + o.Name
	}
	return fmt.Sprintf("%v:%d", o.Kind, o.ID)
}
