package shmring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/sysvipc/gipc/internal/lifeline"
	"github.com/sysvipc/gipc/internal/memory"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmsync"
	"github.com/sysvipc/gipc/sysv"
)

// A spot is where processes look for a ring: a name or a key.
type spot interface {
	// find maps the object at the spot, if its owner is admitted. It returns fs.ErrNotExist
	// if there is none, and notYet if it is still being made.
	find(m *meeting) (place, error)
	// create makes a ring there, or returns fs.ErrExist.
	create(m *meeting) (place, error)
}

// A place is the memory of a ring with a name or a key, as this process has it mapped.
type place interface {
	memory() shmsync.Memory
	prefault() error
	// death returns which file has the locks: byFile or byNamespace.
	death() uint32
	// keep takes over the file that Open opened for the locks, and returns the file to use.
	keep(opened *os.File) (*os.File, error)
	// removed reports whether this memory has lost its name or key.
	removed() (bool, error)
	unlink() error
	// takeTurn keeps other processes from calling unlink at the same time, until done is
	// called; done is nil if another process has the turn.
	takeTurn(l line) (done func(), err error)
	// close unmaps the memory and closes the files. If the memory is pinned, it does
	// nothing and returns EBUSY.
	close() error
}

// byName is a spot in /dev/shm.
type byName string

// An objectPlace is a POSIX object.
type objectPlace struct {
	object  *posix.Object
	mapping *posix.Mapping
}

func (n byName) find(m *meeting) (place, error) {
	object, err := posix.OpenObject(string(n), posix.ReadWrite)
	if err != nil {
		return nil, err
	}
	info, err := object.Stat()
	if err == nil {
		err = m.admit("/"+strings.TrimPrefix(string(n), "/"), info.UID)
	}
	if err == nil && info.Size == 0 {
		err = fmt.Errorf("shmring: %w: the object is empty", ErrNotRing)
		if !m.create {
			err = notYet{err}
		}
	}
	if err != nil {
		return nil, errors.Join(err, object.Close())
	}
	return mapObject(object)
}

func mapObject(object *posix.Object) (place, error) {
	mapping, err := object.Map(nil)
	if err != nil {
		return nil, errors.Join(err, object.Close())
	}
	return &objectPlace{object, mapping}, nil
}

func (n byName) create(m *meeting) (place, error) {
	if m.HugePages != 0 {
		return nil, fmt.Errorf("shmring: huge pages of a ring with a name: %w", errors.ErrUnsupported)
	}
	fill := func(f *os.File) error {
		mapping, err := posix.MapFile(f, nil)
		if err != nil {
			return err
		}
		return errors.Join(m.fill(mapping), mapping.Unmap(), f.Chmod(m.mode()))
	}
	object, err := posix.CreateObject(string(n), int64(m.size), &posix.ObjectOptions{
		Reserve: !m.Sparse, Fill: fill,
	})
	if err != nil {
		return nil, err
	}
	return mapObject(object)
}

func (p *objectPlace) memory() shmsync.Memory { return p.mapping }
func (p *objectPlace) prefault() error        { return p.mapping.Prefault() }
func (p *objectPlace) death() uint32          { return byFile }

// keep returns the object's own open file, which allows exclusive locks and shows whether
// the name still leads to it.
func (p *objectPlace) keep(opened *os.File) (*os.File, error) {
	return p.object.File(), opened.Close()
}

func (p *objectPlace) removed() (bool, error) {
	info, err := p.object.Stat()
	return err == nil && info.Links == 0, err
}

func (p *objectPlace) unlink() error { return posix.UnlinkObject(p.object.Name()) }

func (p *objectPlace) takeTurn(l line) (done func(), err error) {
	turn := lifeline.Line{FD: l.FD, Base: l.Base + removing}
	if ok, err := turn.Exclude(1); !ok || err != nil {
		return nil, err
	}
	return func() { turn.Release(0) }, nil
}

func (p *objectPlace) close() error {
	if err := p.mapping.Unmap(); err != nil {
		return err
	}
	return p.object.Close()
}

// byKey is a spot in the IPC namespace.
type byKey sysv.Key

// A segmentPlace is a System V segment.
type segmentPlace struct {
	attachment *sysv.Attachment
	anchor     *os.File // nil before keep
}

const (
	// unfinished is the mode of a segment until its ring is complete. The kernel ignores
	// the execute bit.
	unfinished fs.FileMode = 0o601
	// makers is the byte of key 0 in the file of the IPC namespace. A process that makes a
	// ring holds the byte of its key. The bytes of rings and of the locks of package
	// shmsync are below.
	makers = 3 << 61
)

var errMaking = errors.New("another process is making the ring")

func (k byKey) find(m *meeting) (place, error) {
	s, err := sysv.OpenSegment(sysv.Key(k))
	if err != nil {
		return nil, err
	}
	info, err := s.Stat()
	if errors.Is(err, fs.ErrPermission) { // other users may not look at an unfinished segment
		if err = k.beingMade(); err == nil {
			info, err = s.Stat()
		}
	}
	if err == nil {
		err = m.admit(fmt.Sprintf("segment %d", s), info.UID, info.CUID)
	}
	if err == nil && info.Mode == unfinished {
		err = k.inherit(m, s)
	}
	var mem *sysv.Attachment
	if err == nil {
		mem, err = s.Attach(nil)
	}
	if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
		err = notYet{err}
	}
	if err != nil {
		return nil, err
	}
	return &segmentPlace{attachment: mem}, nil
}

// inherit removes an unfinished segment if its maker is dead. It always returns an error.
func (k byKey) inherit(m *meeting, s sysv.Segment) error {
	if err := k.beingMade(); err != nil {
		return err
	}
	// The maker gives the segment its mode before it drops the lock.
	if info, err := s.Stat(); err != nil || info.Mode != unfinished {
		return notYet{errors.Join(errMaking, err)}
	}
	mem, err := s.Attach(&sysv.AttachOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	err = nil
	if !leftUnfinished(mem.Bytes()) {
		err = fmt.Errorf("shmring: %w", ErrNotRing)
	}
	if err := errors.Join(err, mem.Detach()); err != nil {
		return err
	}
	if !m.create {
		return notYet{fmt.Errorf("shmring: %w: its maker died", ErrNotRing)}
	}
	if err := s.Remove(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return notYet{fs.ErrNotExist}
}

// beingMade returns a notYet while a process is making the ring.
func (k byKey) beingMade() error {
	f, l, err := k.makers()
	if err != nil {
		return err
	}
	defer f.Close()
	if l.Held(0) {
		return notYet{errMaking}
	}
	return nil
}

// leftUnfinished reports whether a killed maker may have left this memory: it has the size
// of a ring or a broadcast, and holds none that a process has joined.
func leftUnfinished(mem []byte) (left bool) {
	ring, broadcast := hasSize(mem, Size), hasSize(mem, BroadcastSize)
	if !ring && !broadcast {
		return false
	}
	fault := memory.Guard(func() error {
		switch preambleOf(mem).magic.Load() {
		case 0:
			left = true
		case magic:
			left = ring && headerOf(mem).tickets.Load() == 0
		case broadcastMagic:
			left = broadcast && broadcastHeaderOf(mem).tickets.Load() == 0
		}
		return nil
	})
	return fault == nil && left
}

// hasSize reports whether mem has the size of an object of some capacity.
func hasSize(mem []byte, size func(capacity int) int) bool {
	c := uint64(minCapacity)
	for c < maxCapacity && c < uint64(len(mem)) && size(int(c)) < len(mem) {
		c *= 2
	}
	return size(int(c)) == len(mem)
}

// makers opens the file with the locks of makers. Role 0 belongs to the maker of this key.
func (k byKey) makers() (*os.File, lifeline.Line, error) {
	f, _, err := lifeline.OpenNamespace()
	if err != nil {
		return nil, lifeline.Line{}, err
	}
	return f, lifeline.Line{FD: int(f.Fd()), Base: makers + int64(uint32(k))}, nil
}

// create makes the segment unfinished, and gives it its mode when the ring is complete.
func (k byKey) create(m *meeting) (place, error) {
	f, l, err := k.makers()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := l.Hold(0); err != nil {
		return nil, err
	}
	s, err := sysv.CreateSegment(sysv.Key(k), int64(m.size), &sysv.SegmentOptions{
		Mode: unfinished, HugePages: m.HugePages, NoReserve: m.Sparse,
	})
	if err != nil {
		return nil, err
	}
	mem, err := m.fillSegment(s)
	if err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return &segmentPlace{attachment: mem}, nil
}

func (m *meeting) fillSegment(s sysv.Segment) (*sysv.Attachment, error) {
	mem, err := s.Attach(nil)
	if err != nil {
		return nil, err
	}
	err = m.fill(mem)
	var info sysv.SegmentInfo
	if err == nil {
		info, err = s.Stat()
	}
	if err == nil {
		err = s.SetOwnership(sysv.Ownership{UID: info.UID, GID: info.GID, Mode: m.mode()})
	}
	if err != nil {
		return nil, errors.Join(err, mem.Detach())
	}
	return mem, nil
}

func (p *segmentPlace) memory() shmsync.Memory { return p.attachment }
func (p *segmentPlace) prefault() error        { return p.attachment.Prefault() }
func (p *segmentPlace) death() uint32          { return byNamespace }

func (p *segmentPlace) keep(opened *os.File) (*os.File, error) {
	p.anchor = opened
	return opened, nil
}

func (p *segmentPlace) removed() (bool, error) {
	info, err := p.attachment.Segment().Stat()
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && info.Dest, err
}

func (p *segmentPlace) unlink() error {
	err := p.attachment.Segment().Remove()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// takeTurn does nothing: the identifier cannot lead to another segment.
func (p *segmentPlace) takeTurn(line) (done func(), err error) { return func() {}, nil }

func (p *segmentPlace) close() error {
	err := p.attachment.Detach()
	if errors.Is(err, syscall.EBUSY) || p.anchor == nil {
		return err
	}
	return errors.Join(err, p.anchor.Close())
}
