//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/command"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// A segmentPlace is a key or an identifier.
type segmentPlace struct{ ref.Ref }

// private is where a segment without a key is made.
func private() place { return segmentPlace{ref.Ref{Form: ref.ByKey, Key: sysv.Private}} }

func (p segmentPlace) find() (object, error) {
	s, err := p.Segment()
	return segment(s), err
}

func (p segmentPlace) create(c creation) (object, bool, error) {
	if p.Form == ref.ByID {
		return nil, false, command.Usagef("%q is an identifier, which the kernel chooses; write key:%d, ftok:PATH or private", p, p.ID)
	}
	o := &sysv.SegmentOptions{Mode: sysvipc.Mode(c.mode), HugePages: c.huge, NoReserve: c.noReserve}
	make := sysvipc.OpenOrCreateSegment
	if c.exclusive {
		make = func(key sysv.Key, size int64, o *sysv.SegmentOptions) (sysv.Segment, bool, error) {
			s, err := sysv.CreateSegment(key, size, o)
			return s, err == nil, err
		}
	}
	s, made, err := make(p.Key, c.size, o)
	if err != nil {
		return nil, false, err
	}
	err = c.unlessInterrupted(func() error { return prepare(segment(s), c.populate, c.lock) })
	if err != nil && made { // nothing half-made stays
		err = errors.Join(command.Explained(err), s.Remove())
	}
	return segment(s), made, err
}

func prepare(s segment, populate, lock bool) error {
	if lock {
		if err := s.lock(); err != nil {
			return err
		}
	}
	if !populate {
		return nil
	}
	mem, err := s.attach(attachOptions{populate: true})
	if err != nil {
		return err
	}
	return mem.Detach()
}

// mayAppear is false for an identifier: the kernel chooses that of a new segment.
func (p segmentPlace) mayAppear() bool { return p.Form != ref.ByID }

// columns are the fields of shmid_ds and ipc_perm, under their names there without
// prefix.
func (segmentPlace) columns() []render.Column {
	return columnsOf(
		"shmid", "key", "uid", "gid", "cuid", "cgid", "mode", "dest", "locked", "seq",
		"segsz", "nattch", "cpid", "lpid", "atime", "dtime", "ctime",
	)
}

// A segment is a System V segment.
type segment sysv.Segment

func (s segment) sysv() sysv.Segment { return sysv.Segment(s) }

func (s segment) String() string { return "segment " + s.ref() }

func (s segment) ref() string { return strconv.Itoa(int(s)) }

func (s segment) attach(o attachOptions) (mapping, error) {
	mem, err := s.sysv().Attach(&sysv.AttachOptions{ReadOnly: o.readOnly, Addr: o.addr})
	if err != nil {
		return nil, s.badAddress(err, o.addr)
	}
	return populated(attachment{mem}, s, o)
}

// populated makes all pages of a mapping present if that is asked for, or ends it.
func populated(mem mapping, o object, options attachOptions) (mapping, error) {
	if !options.populate {
		return mem, nil
	}
	if err := mem.Prefault(); err != nil {
		return nil, errors.Join(fmt.Errorf("%v can not be populated: %w", o, err), mem.Detach())
	}
	return mem, nil
}

// badAddress explains what an address has to be, where that is what is wrong.
func (s segment) badAddress(err error, addr uintptr) error {
	if _, unknown := s.sysv().Stat(); addr == 0 || unknown != nil || !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return errAddress(s, addr)
}

func errAddress(o object, addr uintptr) error {
	return fmt.Errorf("%v can not be attached at %#x: an address has to be a multiple of the page size (%d), and free", o, addr, os.Getpagesize())
}

func (s segment) state() (state, error) {
	info, err := statSegment(s.sysv())
	return state{mode: info.Mode, changed: info.CTime, owners: []uint32{info.UID, info.CUID}}, err
}

func (s segment) set(change func(*sysv.Ownership)) error {
	info, err := statSegment(s.sysv())
	if err != nil {
		return err
	}
	owner := info.Ownership()
	change(&owner)
	return s.sysv().Set(owner)
}

func (s segment) lock() error   { return s.sysv().Lock() }
func (s segment) unlock() error { return s.sysv().Unlock() }
func (s segment) remove() error { return s.sysv().Remove() }

// An attachment is a segment in the memory of this process.
type attachment struct{ *sysv.Attachment }

func (a attachment) state() (state, error) { return segment(a.Segment()).state() }

func (a attachment) discard() error {
	err := a.Segment().Remove()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// statSegment also finds a segment that the caller may not read. Its error is that of
// IPC_STAT.
func statSegment(s sysv.Segment) (sysv.SegmentInfo, error) {
	info, err := s.Stat()
	if err == nil {
		return info, nil
	}
	if found, e := sysvipc.FindSegment(int(s)); e == nil {
		return found, nil
	}
	return info, err
}

func (s segment) stat() ([]render.Cell, error) {
	i, err := statSegment(s.sysv())
	if err != nil {
		return nil, err
	}
	return []render.Cell{
		render.Int(int64(i.ID)), render.Hex(uint64(uint32(i.Key)), 8),
		render.Uint(uint64(i.UID)), render.Uint(uint64(i.GID)),
		render.Uint(uint64(i.CUID)), render.Uint(uint64(i.CGID)),
		render.Octal(uint64(i.Mode), 4), render.Bool(i.Dest), render.Bool(i.Locked), render.Uint(uint64(i.Seq)),
		render.Size(uint64(i.Size)), render.Uint(i.NAttch), pid(i.CPID), pid(i.LPID),
		render.Time(i.ATime), render.Time(i.DTime), render.Time(i.CTime),
	}, nil
}

// pid is unknown where the kernel says 0: nobody, or nobody visible here.
func pid(n int) render.Cell {
	if n == 0 {
		return render.Unknown()
	}
	return render.Int(int64(n))
}
