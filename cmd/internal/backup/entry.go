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
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// version is the format version that is written. Version 1, whose .data files include
// the zeros, can still be read.
const version = 2

// An Entry is an object in a backup.
type Entry struct {
	Version int       `json:"version"`
	Kind    string    `json:"kind"`
	ID      int       `json:"id"`
	Name    []byte    `json:"name,omitempty"` // of a POSIX object; may hold any bytes
	Key     uint32    `json:"key"`
	UID     uint32    `json:"uid"`
	GID     uint32    `json:"gid"`
	Mode    uint32    `json:"mode"`
	CUID    uint32    `json:"cuid"`  // CUID, CGID and CTime are not restored; they
	CGID    uint32    `json:"cgid"`  // identify an object that was saved but not
	CTime   int64     `json:"ctime"` // removed
	Saved   time.Time `json:"saved"`
	File    *File     `json:"file,omitempty"` // of a POSIX object
	// Exactly one of these is set.
	Segment   *Segment   `json:"segment,omitempty"` // also for POSIX shared memory
	Set       *Set       `json:"set,omitempty"`
	Queue     *Queue     `json:"queue,omitempty"`
	Semaphore *Semaphore `json:"semaphore,omitempty"`
	MQueue    *MQueue    `json:"mqueue,omitempty"`

	sum string // checksum of the encoding it was read from
}

// A File identifies a POSIX object that was saved but not removed.
type File struct {
	Dev  uint64    `json:"dev"`
	Ino  uint64    `json:"ino"`
	Time time.Time `json:"time"` // of the last change; of a queue, the last use
}

// A Segment holds what is saved of memory, besides its contents.
type Segment struct {
	Size   int64  `json:"size"`
	Locked bool   `json:"locked"`
	SHA256 string `json:"sha256"` // of the .data file
}

// A Set holds what is saved of a semaphore set.
type Set struct {
	Values []uint16 `json:"values"`
	Ready  bool     `json:"ready"` // sem_otime was not zero
}

// A Queue holds what is saved of a message queue.
type Queue struct {
	QBytes   uint64    `json:"qbytes"`
	Messages []Message `json:"messages"` // in order
}

// A Message is a message of a queue.
type Message struct {
	Type int    `json:"type"`
	Text []byte `json:"text"`
}

// A Semaphore holds what is saved of a POSIX semaphore.
type Semaphore struct {
	Value int `json:"value"`
}

// An MQueue holds what is saved of a POSIX message queue, which must be empty.
type MQueue struct {
	MaxMsgs int `json:"maxmsgs"`
	MsgSize int `json:"msgsize"`
}

func newEntry(o *object) *Entry {
	return &Entry{
		Version: version, Kind: o.kind.String(), ID: o.id, Key: uint32(o.Key),
		UID: o.UID, GID: o.GID, Mode: uint32(o.Mode), CUID: o.CUID, CGID: o.CGID,
		CTime: o.ctime.Unix(), Saved: time.Now(),
	}
}

func newFileEntry(kind ref.Kind, i *posix.FileInfo) *Entry {
	return &Entry{
		Version: version, Kind: kind.String(), Name: []byte(i.Name),
		UID: i.UID, GID: i.GID, Mode: uint32(i.Mode), Saved: time.Now(), File: newFile(kind, i),
	}
}

func newFile(kind ref.Kind, i *posix.FileInfo) *File {
	if kind == ref.PMsg { // any stat of a queue changes its ctime
		return &File{i.Dev, i.Ino, i.MTime}
	}
	return &File{i.Dev, i.Ino, i.CTime}
}

// Ref returns the object's name or identifier at the time it was saved.
func (e *Entry) Ref() ref.Object { return ref.Object{Kind: e.kind(), ID: e.ID, Name: string(e.Name)} }

// String formats the object as a REF with its kind.
func (e *Entry) String() string { return e.Ref().String() }

func (e *Entry) key() sysv.Key { return sysv.Key(e.Key) }

func (e *Entry) kind() ref.Kind {
	switch {
	case e.Segment != nil && e.File != nil:
		return ref.PShm
	case e.Segment != nil:
		return ref.Shm
	case e.Set != nil:
		return ref.Sem
	case e.Semaphore != nil:
		return ref.PSem
	case e.MQueue != nil:
		return ref.PMsg
	default:
		return ref.Msg
	}
}

// size returns the bytes of a segment or the number of semaphores of a set.
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

// name returns the base name of the object's files, without suffix.
func (e *Entry) name() string { return fileName(e.Ref()) }

func fileName(o ref.Object) string {
	if o.Kind.POSIX() {
		return o.Kind.String() + "-" + escape(o.Name[1:])
	}
	return fmt.Sprintf("%v-%d", o.Kind, o.ID)
}

// escape turns the name of a POSIX object, which may hold any bytes, into a readable
// part of a file name of bounded length.
func escape(name string) string {
	const most = 160
	var b strings.Builder
	for _, c := range []byte(name) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	if b.Len() > most {
		return b.String()[:most-2*sha256.Size] + checksum([]byte(name))
	}
	return b.String()
}

// A .json file is valid JSON, but decode compares its frame instead of parsing it: the
// same JSON can be written in many ways, and every changed byte must be detected.
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

var errDamaged = errors.New("is damaged, or not part of a backup")

// decode parses and checks the output of encode. The input is untrusted.
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
		return nil, fmt.Errorf("is invalid: %w", err)
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}

// check rejects entries that Save cannot have written.
func (e *Entry) check() error {
	if e.Version < 1 || e.Version > version {
		return fmt.Errorf("has version %d; this program reads versions 1 to %d", e.Version, version)
	}
	kinds := 0
	for _, is := range []bool{e.Segment != nil, e.Set != nil, e.Queue != nil, e.Semaphore != nil, e.MQueue != nil} {
		if is {
			kinds++
		}
	}
	const nobody = math.MaxUint32 // means "leave unchanged" to chown(2)
	switch {
	case kinds != 1 || e.Kind != e.kind().String() || (e.File != nil) != e.kind().POSIX() || (e.Name != nil) != e.kind().POSIX():
		return fmt.Errorf("is invalid: kind %q with the fields of another kind", e.Kind)
	case e.kind().POSIX() && !e.named():
		return fmt.Errorf("is invalid: name %q", e.Name)
	case e.ID < 0 || e.ID > math.MaxInt32:
		return fmt.Errorf("is invalid: identifier %d", e.ID)
	case e.Mode > uint32(fs.ModePerm) || e.UID == nobody || e.GID == nobody:
		return fmt.Errorf("is invalid: mode %#o, uid %d, gid %d", e.Mode, e.UID, e.GID)
	case e.Segment != nil:
		return e.Segment.check(e.kind())
	case e.Set != nil:
		return e.Set.check()
	case e.Queue != nil:
		return e.Queue.check()
	case e.Semaphore != nil && (e.Semaphore.Value < 0 || e.Semaphore.Value > posix.MaxSemaphore):
		return fmt.Errorf("is invalid: a semaphore with value %d", e.Semaphore.Value)
	case e.MQueue != nil && (e.MQueue.MaxMsgs < 1 || e.MQueue.MsgSize < 1):
		return fmt.Errorf("is invalid: a queue of %d messages of %d bytes", e.MQueue.MaxMsgs, e.MQueue.MsgSize)
	default:
		return nil
	}
}

// named reports whether the object has a name that its kind allows.
func (e *Entry) named() bool {
	_, r, err := ref.ParseKind(e.String())
	return err == nil && r.Name == string(e.Name) && !strings.Contains(r.Name, "\x00")
}

func (s *Segment) check(kind ref.Kind) error {
	if s.Size < 0 || s.Size == 0 && kind == ref.Shm {
		return fmt.Errorf("is invalid: a segment of %d bytes", s.Size)
	}
	return nil
}

func (s *Set) check() error {
	if len(s.Values) == 0 {
		return errors.New("is invalid: a set of no semaphores")
	}
	for i, v := range s.Values {
		if v > math.MaxInt16 { // SEMVMX
			return fmt.Errorf("is invalid: semaphore %d has value %d", i, v)
		}
	}
	return nil
}

func (q *Queue) check() error {
	if q.QBytes > math.MaxInt32 {
		return fmt.Errorf("is invalid: a queue of %d bytes", q.QBytes)
	}
	for i := range q.Messages {
		if mtype := q.Messages[i].Type; mtype < 1 {
			return fmt.Errorf("is invalid: message %d has type %d", i, mtype)
		}
	}
	return nil
}
