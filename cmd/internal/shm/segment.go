package shm

import (
	"context"
	"errors"
	"strconv"
	"syscall"

	"github.com/sysvipc/gipc/cmd/internal/explain"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// A Segment is a System V segment.
type Segment sysv.Segment

func createSegment(ctx context.Context, key sysv.Key, o CreateOptions) (Object, bool, error) {
	options := &sysv.SegmentOptions{Mode: sysvipc.Mode(o.Mode), HugePages: o.HugePages, NoReserve: o.NoReserve}
	create := sysvipc.OpenOrCreateSegment
	if o.Exclusive {
		create = func(key sysv.Key, size int64, o *sysv.SegmentOptions) (sysv.Segment, bool, error) {
			s, err := sysv.CreateSegment(key, size, o)
			return s, err == nil, err
		}
	}
	segment, made, err := create(key, o.Size, options)
	if err != nil {
		return nil, false, err
	}
	s := Segment(segment)
	if err = s.prepareUntil(ctx, o); err != nil && made { // leave nothing half-made
		err = errors.Join(explain.Now(err), s.Remove())
	}
	return s, made, err
}

// prepareUntil prepares the segment, but waits only until ctx ends.
func (s Segment) prepareUntil(ctx context.Context, o CreateOptions) error {
	if !o.Lock && !o.Populate {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- s.prepare(o) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s Segment) prepare(o CreateOptions) error {
	if o.Lock {
		if err := s.Lock(); err != nil {
			return err
		}
	}
	if !o.Populate {
		return nil
	}
	mem, err := s.Attach(AttachOptions{Populate: true})
	if err != nil {
		return err
	}
	return mem.Detach()
}

func (s Segment) sysv() sysv.Segment { return sysv.Segment(s) }

func (s Segment) String() string { return "segment " + s.Ref() }

// Ref implements Object.
func (s Segment) Ref() string { return strconv.Itoa(int(s)) }

// Attach implements Object.
func (s Segment) Attach(o AttachOptions) (Mapping, error) {
	mem, err := s.sysv().Attach(&sysv.AttachOptions{ReadOnly: o.ReadOnly, Addr: o.Addr})
	if err != nil {
		return nil, s.badAddress(err, o.Addr)
	}
	return populate(segmentMapping{mem}, s, o)
}

// badAddress explains what an address has to be, if err is about the address.
func (s Segment) badAddress(err error, addr uintptr) error {
	if _, unknown := s.sysv().Stat(); addr == 0 || unknown != nil || !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return errAddress(s, addr)
}

// Info returns what the kernel knows of the segment, even without permission to read it.
// Its error is the error of IPC_STAT.
func (s Segment) Info() (sysv.SegmentInfo, error) {
	info, err := s.sysv().Stat()
	if err == nil {
		return info, nil
	}
	if found, e := sysvipc.FindSegment(int(s)); e == nil {
		return found, nil
	}
	return info, err
}

// State implements Object.
func (s Segment) State() (State, error) {
	info, err := s.Info()
	return State{Mode: info.Mode, Owners: []uint32{info.UID, info.CUID}}, err
}

// Set implements Object.
func (s Segment) Set(change func(*sysv.Ownership)) error {
	info, err := s.Info()
	if err != nil {
		return err
	}
	owner := info.Ownership()
	change(&owner)
	return s.sysv().SetOwnership(owner)
}

// Lock keeps the pages of the segment out of swap space.
func (s Segment) Lock() error { return s.sysv().Lock() }

// Unlock allows the pages to be swapped out.
func (s Segment) Unlock() error { return s.sysv().Unlock() }

// Remove implements Object. A segment that is attached loses its key at once, and its
// memory with the last attachment.
func (s Segment) Remove() error { return s.sysv().Remove() }

// A segmentMapping is an attached segment.
type segmentMapping struct{ *sysv.Attachment }
