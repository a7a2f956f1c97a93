package inventory

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// A uses holds the objects that a process has mapped, has open and waits on.
type uses struct {
	hits     []hit
	again    bool // hits were found in another process that shares its memory
	opened   []found[Opener]
	waiting  []found[Waiter]
	restless []*restless
	unknown  int // threads that could not be inspected
	why      error
}

// A hit is a mapping of an object.
type hit struct {
	object                  *Object
	number                  uint64 // identifier or inode number
	writable, private, huge bool
}

// errUnnamed hides a process that uses an object but cannot be described.
var errUnnamed = errors.New("its name and user cannot be read")

// record records what a process uses.
func (s *scanner) record(pid int, u *uses) error {
	var p *Process
	if len(u.hits)+len(u.opened)+len(u.waiting) > 0 {
		if p = s.process(pid); p == nil && s.known[pid].hidden {
			return errUnnamed
		} else if p == nil {
			return fs.ErrNotExist
		}
	}
	for rest := u.hits; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(h hit) bool { return h.object != rest[0].object })
		if n < 0 {
			n = len(rest)
		}
		s.mapping(p, rest[:n], u.again)
		rest = rest[n:]
	}
	for _, f := range u.opened {
		f.use.Process = p
		s.open = append(s.open, f)
	}
	for _, f := range u.waiting {
		f.use.Process = p
		s.waiting = append(s.waiting, f)
	}
	s.restless = append(s.restless, u.restless...)
	if u.unknown > 0 {
		s.unsettled(pid, u.unknown, u.why)
	}
	return nil
}

// mapping adds the mappings of one object. The kernel counts the mappings of an address
// space once, even if several processes share it.
func (s *scanner) mapping(p *Process, hits []hit, again bool) {
	o, m, huge := hits[0].object, Mapper{Process: p, ReadOnly: true, Private: true, Mappings: len(hits)}, false
	for _, h := range hits {
		m.ReadOnly, m.Private = m.ReadOnly && !h.writable, m.Private && h.private
		huge = huge || h.huge
	}
	if o.Kind == ref.Shm {
		a := Attacher{Process: p, ReadOnly: m.ReadOnly, Mappings: m.Mappings, HugePages: huge}
		s.attached = append(s.attached, found[Attacher]{o, a})
		if !again {
			s.owed.found(o, len(hits))
		}
		return
	}
	s.mapped = append(s.mapped, found[Mapper]{o, m})
}

// errShared stops the inspection of an address space or descriptor table that was
// inspected before.
var errShared = errors.New("looked at already")

// mappings finds the objects that a process has mapped: POSIX objects, and segments if the
// process is in their namespace.
func (s *scanner) mappings(u *uses, via int, own bool, c *costs) error {
	segment := func(m procfs.Mapping) {
		if own && s.belongs(&m) {
			u.hits = append(u.hits, hit{s.segments[m.ID], uint64(m.ID), m.Writable, false, m.HugePages})
		}
	}
	var ofFile func(procfs.FileMapping)
	if s.want&WantOpen != 0 {
		ofFile = func(m procfs.FileMapping) {
			for _, o := range s.files[file{m.Device, m.Inode}] {
				u.hits = append(u.hits, hit{o, m.Inode, m.Writable, !m.Shared, false})
			}
		}
	}
	once := s.once(s.memories, via, own, c, procfs.SpendEvery*mappingCost)
	err := s.fs.AllMappings(via, procfs.MapVisitor{Segment: segment, File: ofFile, Spend: once.spend})
	if once.found != nil {
		u.hits, u.again = once.found.hits, true
		return once.found.err
	}
	slices.SortFunc(u.hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(a.object.Kind, b.object.Kind), cmp.Compare(a.number, b.number),
			cmp.Compare(a.object.Ref().Name, b.object.Ref().Name))
	})
	if len(u.hits) > 0 || once.asked {
		u.again = once.done(uses{hits: u.hits}, err)
	}
	return err
}

// descriptors finds the POSIX objects that a process has open.
func (s *scanner) descriptors(u *uses, via int, c *costs) error {
	openers := make(map[*Object]int)
	once := s.once(s.tables, via, true, c, procfs.SpendEvery*descriptorCost)
	err := s.fs.Descriptors(via, func(d procfs.Descriptor) {
		for _, o := range s.files[file{d.Device, d.Inode}] {
			i, ok := openers[o]
			if !ok {
				i = len(u.opened)
				openers[o] = i
				u.opened = append(u.opened, found[Opener]{object: o})
			}
			use := &u.opened[i].use
			use.Descriptors++
			if read, write, err := s.fs.Access(via, d.FD); err == nil {
				use.Read, use.Write = use.Read || read, use.Write || write
			}
		}
	}, once.spend)
	if once.found != nil {
		u.opened = once.found.opened
		return once.found.err
	}
	if once.asked {
		once.done(uses{opened: slices.Clone(u.opened)}, err)
	}
	return err
}

// A once inspects a resource of a process unless it was inspected already. It searches the
// known resources only when this one turns out to be large.
type once struct {
	s     *scanner
	among *sharing
	via   int
	own   bool
	costs *costs
	each  int
	asked bool
	found *resource
}

func (s *scanner) once(among *sharing, via int, own bool, c *costs, each int) *once {
	return &once{s: s, among: among, via: via, own: own, costs: c, each: each}
}

func (o *once) spend() error {
	if !o.asked {
		o.asked = true
		if o.found = o.among.find(o.s.fs, o.via, o.own); o.found != nil {
			return errShared
		}
	}
	return o.costs.spend(o.each)
}

// done records what was found, unless the process ended meanwhile, and reports whether
// another process has the same resource.
func (o *once) done(u uses, err error) (again bool) {
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return o.among.add(o.s.fs, &resource{via: o.via, own: o.own, uses: u, err: err})
}

// belongs reports whether a mapping is of a listed segment. A process keeps its mappings
// when it moves to another namespace, where the same identifier may belong to another
// segment, so key and size must match too.
func (s *scanner) belongs(m *procfs.Mapping) bool {
	o := s.segments[m.ID]
	return o != nil && (o.Segment.Key == sysv.Private || o.Segment.Key == sysv.Key(m.Key)) &&
		m.Offset < uint64(o.Segment.Size)
}
