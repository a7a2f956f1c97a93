package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync/atomic"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/sysv"
)

// The default keys of a session. They spell "GSHM" and "GSEM".
const (
	DefaultKey    sysv.Key = 0x4753484d
	DefaultSemKey sysv.Key = 0x4753454d
)

// FreeKeys returns unused keys, so that several demos can run at once.
func FreeKeys() (key, semKey sysv.Key) {
	for {
		key, semKey = sysv.Key(rand.Int32()|1), sysv.Key(rand.Int32()|1)
		_, errSegment := sysv.OpenSegment(key)
		_, errSet := sysv.OpenSet(semKey)
		if errSegment != nil && errSet != nil { // any other error comes again when they are made
			return key, semKey
		}
	}
}

// The semaphores of a session.
const (
	semFree = iota
	semFull
	semWriter
	semReader
	semDoor
	semUsers
	semSegment
	semCount
)

// The values of semSegment. They start at a number that a foreign set is unlikely to
// hold there ("GS").
const (
	noSegment = 0x4753 + iota
	halfMade  // being made or removed, or the process doing so was killed
	made
)

// initialValues returns the values of a new set.
func initialValues() []uint16 {
	values := make([]uint16, semCount)
	for _, num := range []int{semFree, semWriter, semReader, semDoor} {
		values[num] = 1
	}
	values[semSegment] = noSegment
	return values
}

func down(num uint16) sysv.Op     { return sysv.Op{Num: num, Add: -1} }
func up(num uint16) sysv.Op       { return sysv.Op{Num: num, Add: 1} }
func downUndo(num uint16) sysv.Op { return sysv.Op{Num: num, Add: -1, Undo: true} }
func upUndo(num uint16) sysv.Op   { return sysv.Op{Num: num, Add: 1, Undo: true} }

// magic marks the segment of a session.
const magic uint64 = 0x31_30_6f_6d_65_64_73_67 // "gsdemo01" in memory, if little-endian

// header is the start of the segment. The fields after Magic describe the chunk that
// follows it, and belong to the process that holds free or full.
type header struct {
	Magic  atomic.Uint64
	PID    int32  // of the writer
	Line   uint32 // the writer's count of its lines
	Total  uint64 // length of the line
	Offset uint64 // of the chunk within the line
	Length uint64 // of the chunk
}

const headerSize = 64

// MinSize is the smallest possible size of a session's segment.
const MinSize = headerSize + 1

// Config says where to find a session.
type Config struct {
	Key    sysv.Key // of the segment
	SemKey sysv.Key // of the semaphore set
	Size   int64    // of the segment, if it has to be made
}

// A Session is this process's membership in the exchange.
type Session struct {
	config  Config
	set     sysv.Set
	mem     *sysv.Attachment
	segment sysv.Segment
	head    *header
	chunk   []byte
}

// Join enters the session at config, and makes it if there is none. It blocks while a
// previous session there is being removed. It rejects objects that belong to another
// user or to no session, and leaves them unchanged.
func Join(ctx context.Context, config Config) (*Session, error) {
	if config.Size < MinSize {
		return nil, fmt.Errorf("size %d is too small: the demo needs at least %d bytes", config.Size, MinSize)
	}
	for {
		s := &Session{config: config}
		err := s.join(ctx)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, errGone) {
			return nil, err
		}
	}
}

// errGone means that the session disappeared before this process could enter it.
var errGone = errors.New("the session is gone")

func (s *Session) join(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	err := s.openSegment()
	_, errDoor := s.set.TryDo(upUndo(semDoor))
	if err = errors.Join(err, errDoor); err == nil {
		return nil
	}
	if s.mem != nil {
		err = errors.Join(err, s.mem.Detach())
	}
	return errors.Join(err, s.leave())
}

// enter makes this process a user and closes the door. Only the last user leaves the
// door closed.
func (s *Session) enter(ctx context.Context) (err error) {
	s.set, _, err = sysv.OpenOrCreateSet(ctx, s.config.SemKey, initialValues(), &sysv.SetOptions{AnyOwner: true})
	if err != nil {
		return err
	}
	info, err := s.set.Stat()
	if err != nil {
		return orGone(err)
	}
	if err := refuseForeign(info.Perm, "semaphore set", s.config.SemKey, "--sem-key"); err != nil {
		return err
	}
	state, err := s.set.Value(semSegment)
	if err != nil {
		return orGone(err)
	}
	if state < noSegment || state > made {
		return fmt.Errorf("the semaphore set with key %v is not one of the demo; choose another key with --sem-key", s.config.SemKey)
	}
	return orGone(s.set.Do(ctx, downUndo(semDoor), upUndo(semUsers)))
}

// orGone returns errGone if a call found no set. Some calls report that as EINVAL,
// which can mean nothing else here.
func orGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, abi.EINVAL) {
		return errGone
	}
	return err
}

func refuseForeign(p sysv.Perm, what string, key sysv.Key, flag string) error {
	if me := uint32(os.Geteuid()); p.CUID != me {
		return fmt.Errorf("the %s with key %v was made by uid %d, you are uid %d; choose another key with %s", what, key, p.CUID, me, flag)
	}
	return nil
}

// openSegment maps the segment, and makes it if necessary. The door is closed, so no
// other process does the same.
func (s *Session) openSegment() error {
	state, err := s.set.Value(semSegment)
	if err != nil {
		return err
	}
	if state != made {
		return s.makeSegment(state)
	}
	segment, err := sysv.OpenSegment(s.config.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the segment with key %v was removed, but the semaphore set with key %v was not; remove it too", s.config.Key, s.config.SemKey)
	}
	if err != nil {
		return err
	}
	return s.attach(segment)
}

// makeSegment makes the segment. It takes over one whose maker or remover was killed;
// any other existing segment is an error.
func (s *Session) makeSegment(state int) error {
	if err := s.set.SetValue(semSegment, halfMade); err != nil {
		return err
	}
	segment, err := sysv.CreateSegment(s.config.Key, s.config.Size, nil)
	if errors.Is(err, fs.ErrExist) && state != noSegment {
		segment, _, err = sysvipc.OpenOrCreateSegment(s.config.Key, s.config.Size, &sysv.SegmentOptions{Mode: 0o600})
	}
	if err == nil {
		err = s.prepare(segment)
	} else {
		err = refuseExisting(s.config, err)
	}
	if err != nil {
		return errors.Join(err, s.set.SetValue(semSegment, state))
	}
	return s.set.SetValue(semSegment, made)
}

// refuseExisting explains what to do about a foreign segment with our key.
func refuseExisting(config Config, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the segment with key %v is not one of the demo; choose another key with --key", config.Key)
	}
	return err
}

// prepare turns a new segment into the segment of a session, or removes it.
func (s *Session) prepare(segment sysv.Segment) error {
	mem, err := segment.Attach(nil)
	if err != nil {
		return errors.Join(err, segment.Remove())
	}
	head, err := sysv.View[header](mem, 0)
	if err != nil {
		return errors.Join(err, mem.Detach(), segment.Remove())
	}
	head.Magic.Store(magic)
	s.use(mem, head)
	return nil
}

// attach maps the segment after checking that it is the session's.
func (s *Session) attach(segment sysv.Segment) error {
	info, err := segment.Stat()
	if err != nil {
		return err
	}
	if err := refuseForeign(info.Perm, "segment", s.config.Key, "--key"); err != nil {
		return err
	}
	mem, err := segment.Attach(nil)
	if err != nil {
		return err
	}
	head, err := sysv.View[header](mem, 0)
	if err != nil || mem.Len() < MinSize || head.Magic.Load() != magic {
		err = fmt.Errorf("the segment with key %v is not one of the demo; choose another key with --key", s.config.Key)
		return errors.Join(err, mem.Detach())
	}
	s.use(mem, head)
	return nil
}

func (s *Session) use(mem *sysv.Attachment, head *header) {
	s.segment, s.mem, s.head, s.chunk = mem.Segment(), mem, head, mem.Bytes()[headerSize:]
}

// Segment returns the segment of the session.
func (s *Session) Segment() sysv.Segment { return s.segment }

// Set returns the semaphore set of the session.
func (s *Session) Set() sysv.Set { return s.set }

// AwaitReader waits until there is a reader.
func (s *Session) AwaitReader(ctx context.Context) error {
	return s.set.Do(ctx, sysv.Op{Num: semReader})
}

// Leave leaves the session. The last process to leave removes the segment and the set.
func (s *Session) Leave() error {
	return errors.Join(s.mem.Detach(), s.leave())
}

func (s *Session) leave() error {
	for {
		done, err := s.leaveLast()
		if done {
			return s.remove()
		}
		if err == nil {
			done, err = s.leaveOthers()
		}
		switch {
		case errors.Is(orGone(err), errGone):
			return s.removeUnused()
		case done || err != nil:
			return err
		}
	}
}

// leaveLast leaves if this is the only user, and closes the door in the same step.
func (s *Session) leaveLast() (bool, error) {
	return s.set.TryDo(downUndo(semUsers), sysv.Op{Num: semUsers}, downUndo(semDoor))
}

// leaveOthers leaves if there are other users.
func (s *Session) leaveOthers() (bool, error) {
	return s.set.TryDo(sysv.Op{Num: semUsers, Add: -2}, sysv.Op{Num: semUsers, Add: 2}, downUndo(semUsers))
}

// remove removes the segment and the set, either of which may already be gone. The set goes
// last: processes at the door sleep until it is removed.
func (s *Session) remove() error {
	var err error
	if s.mem != nil {
		err = errors.Join(ignoreGone(s.set.SetValue(semSegment, halfMade)), ignoreGone(s.segment.Remove()))
	}
	return errors.Join(err, ignoreGone(s.set.Remove()))
}

// removeUnused removes the segment if nobody has it attached. Another process has
// removed the set, so nothing else shows which process is the last.
func (s *Session) removeUnused() error {
	if s.mem == nil {
		return nil
	}
	info, err := s.segment.Stat()
	if err == nil && info.NAttch == 0 {
		err = s.segment.Remove()
	}
	return ignoreGone(err)
}

func ignoreGone(err error) error {
	if errors.Is(orGone(err), errGone) {
		return nil
	}
	return err
}
