package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/sysvipc/gipc/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// version is the version of the format.
const version = 1

// An Entry is an object in a backup.
type Entry struct {
	Version int       `json:"version"`
	Kind    string    `json:"kind"`
	ID      int       `json:"id"`
	Key     uint32    `json:"key"`
	UID     uint32    `json:"uid"`
	GID     uint32    `json:"gid"`
	Mode    uint32    `json:"mode"`
	CUID    uint32    `json:"cuid"`  // CUID, CGID and CTime are not restored; by
	CGID    uint32    `json:"cgid"`  // them an object is known that was saved and
	CTime   int64     `json:"ctime"` // then not removed
	Saved   time.Time `json:"saved"`
	Segment *Segment  `json:"segment,omitempty"`
	Set     *Set      `json:"set,omitempty"`
	Queue   *Queue    `json:"queue,omitempty"`

	sum string // of what it was decoded from
}

// A Segment is what is saved of a segment beside its contents.
type Segment struct {
	Size   int64  `json:"size"`
	Locked bool   `json:"locked"`
	SHA256 string `json:"sha256"` // of the contents
}

// A Set is what is saved of a semaphore set.
type Set struct {
	Values []uint16 `json:"values"`
	Ready  bool     `json:"ready"` // sem_otime was not zero
}

// A Queue is what is saved of a message queue.
type Queue struct {
	QBytes   uint64    `json:"qbytes"`
	Messages []Message `json:"messages"` // in order
}

// A Message is a message of a queue.
type Message struct {
	Type int    `json:"type"`
	Text []byte `json:"text"`
}

func newEntry(o *object) *Entry {
	return &Entry{
		Version: version, Kind: o.kind.String(), ID: o.id, Key: uint32(o.Key),
		UID: o.UID, GID: o.GID, Mode: uint32(o.Mode), CUID: o.CUID, CGID: o.CGID,
		CTime: o.ctime.Unix(), Saved: time.Now(),
	}
}

// String returns the object as a REF with its kind.
func (e *Entry) String() string { return fmt.Sprintf("%s:%d", e.Kind, e.ID) }

func (e *Entry) key() sysv.Key { return sysv.Key(e.Key) }

func (e *Entry) kind() ref.Kind {
	switch {
	case e.Segment != nil:
		return ref.Shm
	case e.Set != nil:
		return ref.Sem
	default:
		return ref.Msg
	}
}

// size returns bytes of a segment, or semaphores.
func (e *Entry) size() int64 {
	switch {
	case e.Segment != nil:
		return e.Segment.Size
	case e.Set != nil:
		return int64(len(e.Set.Values))
	default:
		return 0
	}
}

func (e *Entry) ownership() sysv.Ownership {
	return sysv.Ownership{UID: e.UID, GID: e.GID, Mode: fs.FileMode(e.Mode)}
}

// name returns the name of the object's files without their ending.
func (e *Entry) name() string { return fileName(e.Kind, e.ID) }

func fileName(kind string, id int) string { return fmt.Sprintf("%s-%d", kind, id) }

// A .json file is JSON, but its frame is compared rather than parsed, since there
// are many ways to write the same JSON and every changed byte has to be found.
const (
	frameHead  = `{"sha256":"`
	frameEntry = `","entry":`
	frameTail  = "}\n"
)

func encode(e *Entry) ([]byte, error) {
	entry, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return frame(entry), nil
}

func frame(entry []byte) []byte {
	return bytes.Join([][]byte{[]byte(frameHead), []byte(checksum(entry)), []byte(frameEntry), entry, []byte(frameTail)}, nil)
}

func checksum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

var errDamaged = errors.New("is damaged, or no file of a backup")

// decode reads what encode made. It trusts nothing of it.
func decode(b []byte) (*Entry, error) {
	const sumLen = 2 * sha256.Size
	rest, okHead := bytes.CutPrefix(b, []byte(frameHead))
	rest, okTail := bytes.CutSuffix(rest, []byte(frameTail))
	if !okHead || !okTail || len(rest) < sumLen {
		return nil, errDamaged
	}
	sum := string(rest[:sumLen])
	entry, ok := bytes.CutPrefix(rest[sumLen:], []byte(frameEntry))
	if !ok || checksum(entry) != sum {
		return nil, errDamaged
	}
	e := &Entry{sum: sum}
	if err := json.Unmarshal(entry, e); err != nil {
		return nil, fmt.Errorf("makes no sense: %w", err)
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}

// check refuses what can not come from Save.
func (e *Entry) check() error {
	if e.Version != version {
		return fmt.Errorf("has version %d; this program reads version %d", e.Version, version)
	}
	kinds := 0
	for _, is := range []bool{e.Segment != nil, e.Set != nil, e.Queue != nil} {
		if is {
			kinds++
		}
	}
	const nobody = math.MaxUint32 // chown's "leave it as it is"
	switch {
	case kinds != 1 || e.Kind != e.kind().String():
		return fmt.Errorf("makes no sense: an object of kind %q with what belongs to another", e.Kind)
	case e.ID < 0 || e.ID > math.MaxInt32:
		return fmt.Errorf("makes no sense: identifier %d", e.ID)
	case e.Mode > uint32(fs.ModePerm) || e.UID == nobody || e.GID == nobody:
		return fmt.Errorf("makes no sense: mode %#o, uid %d, gid %d", e.Mode, e.UID, e.GID)
	case e.Segment != nil:
		return e.Segment.check()
	case e.Set != nil:
		return e.Set.check()
	default:
		return e.Queue.check()
	}
}

func (s *Segment) check() error {
	if s.Size < 1 {
		return fmt.Errorf("makes no sense: a segment of %d bytes", s.Size)
	}
	return nil
}

func (s *Set) check() error {
	if len(s.Values) == 0 {
		return errors.New("makes no sense: a set of no semaphores")
	}
	for i, v := range s.Values {
		if v > math.MaxInt16 { // SEMVMX
			return fmt.Errorf("makes no sense: semaphore %d has value %d", i, v)
		}
	}
	return nil
}

func (q *Queue) check() error {
	if q.QBytes > math.MaxInt32 {
		return fmt.Errorf("makes no sense: a queue of %d bytes", q.QBytes)
	}
	for i := range q.Messages {
		if mtype := q.Messages[i].Type; mtype < 1 {
			return fmt.Errorf("makes no sense: message %d has type %d", i, mtype)
		}
	}
	return nil
}
