package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/explain"
	"github.com/sysvipc/gipc/sysv"
)

// The keys under which writers and readers meet unless they are told others. They
// read "GSHM" and "GSEM".
const (
	DefaultKey    sysv.Key = 0x4753484d
	DefaultSemKey sysv.Key = 0x4753454d
)

// The semaphores of a session.
const (
	semFree = iota
	semFull
	semWriter
	semReader
	semUsers
	semClosed
	semCount
)

// initialValues returns the values of a new set.
func initialValues() []uint16 {
	values := make([]uint16, semCount)
	values[semFree], values[semWriter], values[semReader] = 1, 1, 1
	return values
}

func down(num uint16) sysv.Op     { return sysv.Op{Num: num, Add: -1} }
func up(num uint16) sysv.Op       { return sysv.Op{Num: num, Add: 1} }
func downUndo(num uint16) sysv.Op { return sysv.Op{Num: num, Add: -1, Undo: true} }
func upUndo(num uint16) sysv.Op   { return sysv.Op{Num: num, Add: 1, Undo: true} }

// zero requires that a semaphore is zero, without waiting for it.
func zero(num uint16) sysv.Op { return sysv.Op{Num: num, NoWait: true} }

// magic marks the segment of a session.
const magic uint64 = 0x31_30_6f_6d_65_64_73_67 // "gsdemo01" in memory, if little-endian

// header stands at the beginning of the segment. All but Magic describes the chunk
// behind it, and belongs to whoever holds free or full.
type header struct {
	Magic  atomic.Uint64
	PID    int32  // of the writer
	Line   uint32 // the writer's count of its lines
	Total  uint64 // length of the line
	Offset uint64 // of the chunk within the line
	Length uint64 // of the chunk
}

const headerSize = 64

// MinSize is the size of the smallest segment that a session can do with.
const MinSize = headerSize + 1

// Config says where a session is.
type Config struct {
	Key    sysv.Key // of the segment
	SemKey sysv.Key // of the semaphore set
	Size   int64    // of the segment, if it has to be made
}

// A Session is this process's part in the exchange.
type Session struct {
	config  Config
	set     sysv.Set
	mem     *sysv.Attachment
	segment sysv.Segment
	head    *header
	chunk   []byte
}

// Join enters the session at config, and makes it if there is none. It waits while
// a previous session there is being removed. Objects that belong to another user,
// or that are no session's, are refused.
func Join(ctx context.Context, config Config) (*Session, error) {
	if config.Size < MinSize {
		return nil, fmt.Errorf("size %d is too small: the demo needs at least %d bytes", config.Size, MinSize)
	}
	for {
		s := &Session{config: config}
		err := s.join(ctx)
		// A session whose last user has just left is gone, or closed and about to go.
		if !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return nil, err
			}
			return s, nil
		}
	}
}

func (s *Session) join(ctx context.Context) (err error) {
	s.set, err = sysv.OpenOrCreateSet(s.config.SemKey, initialValues(), sysv.SetOptions{Mode: 0o600})
	if err != nil {
		return &explain.Creation{NSems: semCount, Err: err}
	}
	info, err := s.set.Stat()
	if err != nil {
		return err
	}
	if err := refuseForeign(info.Perm, "semaphore set", s.config.SemKey, "--sem-key"); err != nil {
		return err
	}
	if err := s.stale(s.set.Do(ctx, sysv.Op{Num: semClosed}, upUndo(semUsers))); err != nil {
		return err
	}
	if err := s.attach(ctx); err != nil {
		return errors.Join(err, s.leave())
	}
	return nil
}

// stale makes an identifier that is gone fs.ErrNotExist: semop says EINVAL to it,
// which here can mean nothing else.
func (s *Session) stale(err error) error {
	if errors.Is(err, abi.EINVAL) {
		return fs.ErrNotExist
	}
	return err
}

func refuseForeign(p sysv.Perm, what string, key sysv.Key, flag string) error {
	if me := uint32(os.Geteuid()); p.CUID != me {
		return fmt.Errorf("the %s with key %v was made by uid %d, you are uid %d; choose another key with %s", what, key, p.CUID, me, flag)
	}
	return nil
}

// attach maps the segment, and makes it if this is the first user. The writer
// semaphore keeps others from doing the same meanwhile.
func (s *Session) attach(ctx context.Context) error {
	if err := s.set.Do(ctx, downUndo(semWriter)); err != nil {
		return err
	}
	err := s.openSegment()
	return errors.Join(err, s.set.Do(ctx, upUndo(semWriter)))
}

func (s *Session) openSegment() (err error) {
	s.segment, err = sysv.CreateSegment(s.config.Key, s.config.Size, sysv.SegmentOptions{Mode: 0o600, Exclusive: true})
	if errors.Is(err, fs.ErrExist) {
		s.segment, err = sysv.OpenSegment(s.config.Key)
	}
	if err != nil {
		return &explain.Creation{Size: s.config.Size, Err: err}
	}
	info, err := s.segment.Stat()
	if err != nil {
		return err
	}
	if err := refuseForeign(info.Perm, "segment", s.config.Key, "--key"); err != nil {
		return err
	}
	mem, err := s.segment.Attach(sysv.AttachOptions{})
	if err != nil {
		return err
	}
	if err := s.mapHeader(mem); err != nil {
		return errors.Join(err, mem.Detach())
	}
	return nil
}

func (s *Session) mapHeader(mem *sysv.Attachment) error {
	head, err := sysv.View[header](mem, 0)
	if err != nil || mem.Len() < MinSize || !head.Magic.CompareAndSwap(0, magic) && head.Magic.Load() != magic {
		return fmt.Errorf("the segment with key %v is not one of the demo; choose another key with --key", s.config.Key)
	}
	s.mem, s.head, s.chunk = mem, head, mem.Bytes()[headerSize:]
	return nil
}

// Segment returns the segment of the session.
func (s *Session) Segment() sysv.Segment { return s.segment }

// Set returns the semaphore set of the session.
func (s *Session) Set() sysv.Set { return s.set }

// Leave leaves the session. The last one out removes the segment and the set.
func (s *Session) Leave() error {
	return errors.Join(s.mem.Detach(), s.leave())
}

func (s *Session) leave() error {
	for {
		// Either this is the only user, and closes the session in the same step …
		last, err := s.set.TryDo(downUndo(semUsers), zero(semUsers), upUndo(semClosed))
		if err != nil {
			return err
		}
		if last {
			return s.remove()
		}
		// … or there are two at least, and one of them goes.
		ok, err := s.set.TryDo(sysv.Op{Num: semUsers, Add: -2}, sysv.Op{Num: semUsers, Add: 2}, downUndo(semUsers))
		if ok || err != nil {
			return err
		}
	}
}

// remove removes segment and set; one that somebody else has removed already is
// as good. The set goes last: whoever is waiting to join waits for that.
func (s *Session) remove() error {
	var err error
	if s.mem != nil {
		err = s.segment.Remove()
	}
	return errors.Join(ignoreGone(err), ignoreGone(s.set.Remove()))
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
