// Package policy reads the policies of gipcs clean: TOML files that say which objects
// an unattended run removes, and how many.
//
// A policy that is wrong in any respect is refused as a whole. The error says where: for
// an expression, the place inside it.
package policy

import (
	"fmt"
	"io"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/account"
	"github.com/sysvipc/gipc/cmd/internal/safepath"
	"github.com/sysvipc/gipc/cmd/internal/selection"
)

// Journal is the value of Policy.Log for the journal of systemd.
const Journal = "journal"

// A Policy is what a file says.
type Policy struct {
	MaxObjects int64  // most objects to remove in a run; 0 if there is no limit
	MaxBytes   int64  // most bytes; 0 if there is no limit
	Log        string // a file or Journal; "" if there is no log
	Lock       string // a file; "" for the default
	Backup     *Backup
	Rules      []Rule // in the order of the file, at least one
	Keep       []Keep
}

// A Backup says where objects are saved before they are removed, and for how long.
type Backup struct {
	Directory string
	MaxAge    time.Duration // 0: for ever
	MaxSize   int64         // of all backups together; 0 if there is no limit
}

// A Rule selects objects to remove.
type Rule struct {
	Name         string
	Selection    selection.Selection
	WithMessages bool // count a queue with unread messages as empty
	IgnoreHidden bool // assume that hidden processes use none of the objects
}

// A Keep protects the objects that may satisfy all of its conditions from every rule.
type Keep struct {
	Selection selection.Selection
}

// An Error is a mistake in a policy.
type Error struct {
	File         string
	Line, Column int // from 1; columns are characters
	Message      string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// maxSize is how large a policy may be. The parsers of TOML and of expressions take time
// that grows with the square of the size: a minute for 1 MiB.
const maxSize = 64 << 10

// Read reads the policy in a file. Only root and the caller may be able to write to the
// file and its directory. A mistake in the policy is an *Error.
func Read(path string, names *account.Directory) (*Policy, error) {
	file, err := safepath.OpenTrusted(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxSize:
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxSize)
	}
	return Parse(path, text, names)
}

// Parse parses the text of a policy. Its errors give the file as name. Users are looked
// up in names.
func Parse(name string, text []byte, names *account.Directory) (*Policy, error) {
	d := &document{name: name, text: text}
	root, err := d.parse()
	if err != nil {
		return nil, err
	}
	r := &reader{document: d, names: names}
	p := r.policy(root)
	if r.err != nil {
		return nil, r.err
	}
	return p, nil
}
