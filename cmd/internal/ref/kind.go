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

// String returns the word that stands for the kind in front of a Ref.
func (k Kind) String() string { return [...]string{"shm", "sem", "msg", "pshm", "psem", "pmsg"}[k] }

// Noun returns what an object of the kind is called in a sentence.
func (k Kind) Noun() string {
	return [...]string{
		"shared memory segment", "semaphore set", "message queue",
		"POSIX shared-memory object", "POSIX semaphore", "POSIX message queue",
	}[k]
}

// POSIX tells whether the kind is one of POSIX: its objects have names, and neither
// identifiers nor keys.
func (k Kind) POSIX() bool { return k >= PShm }

// An Object says which object is meant, in the way in which the kernel finds it.
// Identifiers and names are used again, so it may be another one later.
type Object struct {
	Kind Kind
	ID   int    // of a System V object, 0 for others
	Name string // of a POSIX object, with its slash, "" for others
}

// String returns a Ref of the object with its kind.
func (o Object) String() string {
	if o.Kind.POSIX() {
		return o.Kind.String() + ":" + o.Name
	}
	return fmt.Sprintf("%v:%d", o.Kind, o.ID)
}
