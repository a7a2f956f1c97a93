//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// A place is what a REF means before there is an object: where a System V segment or
// a POSIX object is looked for and made.
type place interface {
	find() (object, error)
	// create makes an object, or finds the one that is there if that may be. It tells
	// which.
	create(creation) (o object, made bool, err error)
	// mayAppear tells whether there is any point in waiting for an object.
	mayAppear() bool
	// columns are the fields of what object.stat returns.
	columns() []render.Column
}

// An object is a System V segment or a POSIX object. Its String is what messages call
// it.
type object interface {
	fmt.Stringer
	ref() string // a REF that names it
	attach(attachOptions) (mapping, error)
	stat() ([]render.Cell, error)
	state() (state, error)
	set(change func(*sysv.Ownership)) error
	remove() error
}

// A state is what decides whether an object may be used.
type state struct {
	mode    fs.FileMode // permission bits
	changed time.Time   // when mode or owner were changed last
	owners  []uint32    // all users who may change the mode: of a segment also its creator
}

// A mapping is an object in the memory of this process.
type mapping interface {
	io.ReaderAt
	io.WriterAt
	Bytes() []byte
	Len() int
	Addr() uintptr
	ReadOnly() bool
	Prefault() error
	Detach() error
	// state is that of the object in memory, whatever its name leads to by now.
	state() (state, error)
	// discard removes the object, unless somebody has done so, and put another in its
	// place perhaps.
	discard() error
}

// A creation says what object is to be made.
type creation struct {
	size      int64
	mode      fs.FileMode
	exclusive bool
	huge      int64 // as sysv.SegmentOptions.HugePages
	noReserve bool
	populate  bool
	lock      bool
	// interrupted is closed when making the object is to be given up; nil if it never is.
	interrupted <-chan struct{}
	// reserve sets the memory of a POSIX object aside, so that no access can fail for
	// want of it. That of a segment is anyway.
	reserve bool
}

// unlessInterrupted waits for f, which may take long, no longer than until the creation
// is given up.
func (c creation) unlessInterrupted(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-c.interrupted:
		return errInterrupted
	}
}

type attachOptions struct {
	readOnly bool
	addr     uintptr // 0 lets the kernel choose
	populate bool
}

// parseRef reads a REF. The kind in front, as gipcs prints it, may stay.
func parseRef(arg string) (place, error) {
	name, isName := strings.CutPrefix(arg, ref.PShm.String()+":")
	if isName || strings.HasPrefix(arg, "/") {
		_, r, err := ref.ParseKind(ref.PShm.String() + ":" + name)
		return namedPlace(r.Name), command.Usage(err)
	}
	r, err := ref.Parse(strings.TrimPrefix(arg, ref.Shm.String()+":"))
	if err == nil && r.Form == ref.ByName {
		err = fmt.Errorf("%q is the name of a POSIX object, and a segment has none; write %s", arg, r)
	}
	if errors.Is(err, ref.ErrForm) {
		err = fmt.Errorf("%w; a POSIX object is /NAME", err)
	}
	// A REF may be written as it should be, but its file be missing.
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return nil, err
	}
	return segmentPlace{r}, command.Usage(err)
}

// everyRef returns the objects that there are, for completion.
func everyRef() (refs []string) {
	for s, err := range sysvipc.Segments() {
		if err == nil {
			refs = append(refs, strconv.Itoa(s.ID))
		}
	}
	for o, err := range posix.Objects() {
		if err == nil && command.IsPlain(o.Name) {
			refs = append(refs, o.Name)
		}
	}
	return refs
}

// findObject returns the object that a REF names.
func findObject(arg string) (object, error) {
	p, err := parseRef(arg)
	if err != nil {
		return nil, err
	}
	return p.find()
}

// oneObject returns the object that the only operand names.
func oneObject(c *cli.Context) (object, error) {
	args, err := command.Operands(c, 1, 1, "REF")
	if err != nil {
		return nil, err
	}
	return findObject(args[0])
}

// places returns what all operands mean.
func places(c *cli.Context) ([]place, error) {
	args, err := command.Operands(c, 1, -1, "REF")
	if err != nil {
		return nil, err
	}
	all := make([]place, len(args))
	for i, arg := range args {
		if all[i], err = parseRef(arg); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// eachObject calls do for the object of every operand. It goes on behind one that
// fails; a REF that can not be read fails before anything is done.
func eachObject(c *cli.Context, do func(object) error) error {
	all, err := places(c)
	if err != nil {
		return err
	}
	return eachIn(c, all, do)
}

func eachIn(c *cli.Context, all []place, do func(object) error) error {
	failed := false
	for _, p := range all {
		o, err := p.find()
		if err == nil {
			err = do(o)
		}
		if err != nil {
			command.Report(c.App.ErrWriter, c.App.Name, err)
			failed = true
		}
	}
	if failed {
		return command.Exit(command.Failed)
	}
	return nil
}
