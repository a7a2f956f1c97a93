// Package ref parses REFs. A REF is how a user of the commands names an object:
//
//	65538, id:65538         identifier
//	0x000004d2, key:1234    key; after key: any C integer
//	ftok:PATH[:PROJ]        the key that ftok(3) returns for PATH and PROJ
//	/name                   POSIX object
//
// If a command works with several kinds, a REF begins with its kind: shm:65538,
// sem:0x4d2, msg:7, pshm:/name, psem:/name, pmsg:/name.
package ref

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/sysv"
)

// A Form is how a Ref names its object.
type Form int

// The forms of a Ref.
const (
	ByID Form = iota
	ByKey
	ByName // a POSIX object
)

// A Ref names an object, which need not exist.
type Ref struct {
	Form Form
	ID   int      // ByID
	Key  sysv.Key // ByKey, never Private
	Name string   // ByName, with its slash
	text string
}

// String returns the Ref as it was written.
func (r Ref) String() string { return r.text }

// ErrForm means that a text has none of the forms of a REF.
var ErrForm = errors.New("names no object")

// Parse parses a REF without a kind. For ftok: it reads the file's inode.
func Parse(s string) (Ref, error) {
	r, err := parse(s)
	if err == nil && r.Form == ByKey && r.Key == sysv.Private {
		err = fmt.Errorf("%q: %w", s, sysv.ErrPrivateKey)
	}
	if err != nil {
		return Ref{}, err
	}
	r.text = s
	return r, nil
}

func parse(s string) (Ref, error) {
	scheme, rest, _ := strings.Cut(s, ":")
	switch {
	case scheme == "id" && rest != "":
		id, err := units.ParseID(rest)
		return Ref{Form: ByID, ID: id}, err
	case scheme == "key" && rest != "":
		key, err := sysv.ParseKey(rest)
		return Ref{Form: ByKey, Key: key}, err
	case scheme == "ftok" && rest != "":
		key, err := parseFtok(rest)
		return Ref{Form: ByKey, Key: key}, err
	case strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X"):
		key, err := sysv.ParseKey(s)
		return Ref{Form: ByKey, Key: key}, err
	case strings.HasPrefix(s, "/"):
		return Ref{Form: ByName, Name: s}, nil
	case s != "" && strings.Trim(s, "0123456789") == "":
		id, err := units.ParseID(s)
		return Ref{Form: ByID, ID: id}, err
	default:
		return Ref{}, fmt.Errorf("%q %w; write an identifier (65538), a key (0x4d2 or key:1234) or ftok:PATH[:PROJ]", s, ErrForm)
	}
}

// parseFtok parses PATH[:PROJ]. The text after the last colon is the project if it
// looks like one; a path that ends like that needs an explicit project.
func parseFtok(s string) (sysv.Key, error) {
	path, proj := s, byte(1)
	if i := strings.LastIndexByte(s, ':'); i > 0 {
		p, ok, err := parseProj(s[i+1:])
		if err != nil {
			return 0, err
		}
		if ok {
			path, proj = s[:i], p
		}
	}
	return sysv.Ftok(path, proj)
}

// ParseProj parses a project of ftok: a number from 1 to 255, or one character.
func ParseProj(s string) (byte, error) {
	p, ok, err := parseProj(s)
	if err == nil && !ok {
		err = errProj(s)
	}
	return p, err
}

// parseProj also reports whether s looks like a project at all.
func parseProj(s string) (proj byte, ok bool, err error) {
	n, err := strconv.ParseUint(s, 10, 8)
	switch {
	case err == nil && n != 0:
		return byte(n), true, nil
	case err == nil || errors.Is(err, strconv.ErrRange):
		return 0, false, errProj(s)
	case len(s) == 1:
		return s[0], true, nil
	default:
		return 0, false, nil
	}
}

func errProj(s string) error {
	return fmt.Errorf("project %q is neither a number from 1 to 255 nor another single character", s)
}

// ParseKind parses a REF that begins with its kind. POSIX objects must have a name,
// System V objects must not.
func ParseKind(s string) (Kind, Ref, error) {
	word, rest, ok := strings.Cut(s, ":")
	for _, kind := range Kinds() {
		if word != kind.String() {
			continue
		}
		if !ok {
			return 0, Ref{}, fmt.Errorf("%q does not say which %s it means; write %s", s, kind.Noun(), kind.example())
		}
		if kind.POSIX() && !strings.HasPrefix(rest, "/") {
			return 0, Ref{}, fmt.Errorf("%q is not the name of a %s; write %v:/NAME", rest, kind.Noun(), kind)
		}
		r, err := Parse(rest)
		if err == nil {
			err = r.fits(kind)
		}
		if err != nil {
			return 0, Ref{}, err
		}
		return kind, r, nil
	}
	return 0, Ref{}, fmt.Errorf("%q does not say which kind of object it means; write shm:REF, sem:REF or msg:REF, such as shm:65538, or pshm:/NAME, psem:/NAME or pmsg:/NAME", s)
}

// example returns an example of a REF of the kind.
func (k Kind) example() string {
	if k.POSIX() {
		return k.String() + ":/NAME"
	}
	return fmt.Sprintf("%v:REF, such as %[1]v:65538 or %[1]v:0x4d2", k)
}

// fits returns an error if r cannot name an object of the kind.
func (r Ref) fits(kind Kind) error {
	switch {
	case !kind.POSIX() && r.Form == ByName:
		return fmt.Errorf("%q is a POSIX name, but a %s has none; write p%v:%s", r.text, kind.Noun(), kind, r.text)
	case !kind.POSIX():
		return nil
	}
	most := 255 // NAME_MAX
	if kind == PSem {
		most -= len("sem.") // prefix of the file's name
	}
	switch name := r.Name[1:]; {
	case name == "" || strings.Contains(name, "/"):
		return fmt.Errorf("%q is not a POSIX name: it must have one slash, at the beginning", r.text)
	case kind != PSem && (name == "." || name == ".."):
		return fmt.Errorf("%q is not a POSIX name", r.text)
	case len(name) > most:
		return fmt.Errorf("the name of a %s has at most %d bytes, not %d", kind.Noun(), most, len(name))
	}
	return nil
}

// errPOSIX is the error for a POSIX name where a System V object is needed.
func (r Ref) errPOSIX() error {
	return fmt.Errorf("%q is a POSIX name, not a System V object", r.text)
}

// Segment returns the segment that r names. It does not check an identifier.
func (r Ref) Segment() (sysv.Segment, error) { return resolve(r, sysv.OpenSegment) }

// Set returns the semaphore set that r names. It does not check an identifier.
func (r Ref) Set() (sysv.Set, error) { return resolve(r, sysv.OpenSet) }

// Queue returns the message queue that r names. It does not check an identifier.
func (r Ref) Queue() (sysv.Queue, error) { return resolve(r, sysv.OpenQueue) }

func resolve[T ~int](r Ref, open func(sysv.Key) (T, error)) (T, error) {
	switch r.Form {
	case ByID:
		return T(r.ID), nil
	case ByKey:
		return open(r.Key)
	default:
		return -1, r.errPOSIX()
	}
}
