package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

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
	Saved   time.Time `json:"saved"`
	Segment *Segment  `json:"segment,omitempty"`
	Set     *Set      `json:"set,omitempty"`
	Queue   *Queue    `json:"queue,omitempty"`
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

func newEntry(kind sysv.Kind, id int, p *sysv.Perm) *Entry {
	return &Entry{
		Version: version, Kind: kind.String(), ID: id, Key: uint32(p.Key),
		UID: p.UID, GID: p.GID, Mode: uint32(p.Mode), Saved: time.Now(),
	}
}

// String returns the object as a REF with its kind.
func (e *Entry) String() string { return fmt.Sprintf("%s:%d", e.Kind, e.ID) }

func (e *Entry) key() sysv.Key { return sysv.Key(e.Key) }

func (e *Entry) ownership() sysv.Ownership {
	return sysv.Ownership{UID: e.UID, GID: e.GID, Mode: fs.FileMode(e.Mode)}
}

// name returns the name of the object's files without their ending.
func (e *Entry) name() string { return fmt.Sprintf("%s-%d", e.Kind, e.ID) }

// envelope is what a .json file holds: an entry and the checksum of its bytes.
type envelope struct {
	Entry  json.RawMessage `json:"entry"`
	SHA256 string          `json:"sha256"`
}

func encode(e *Entry) ([]byte, error) {
	entry, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{entry, checksum(entry)})
}

func checksum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

var errDamaged = errors.New("is damaged: its checksum is wrong")

// decode reads what encode made. It trusts nothing of it.
func decode(b []byte) (*Entry, error) {
	var env envelope
	if err := json.Unmarshal(b, &env); err != nil {
		return nil, fmt.Errorf("is no file of a backup: %w", err)
	}
	if checksum(env.Entry) != env.SHA256 {
		return nil, errDamaged
	}
	e := &Entry{}
	if err := json.Unmarshal(env.Entry, e); err != nil {
		return nil, fmt.Errorf("is no file of a backup: %w", err)
	}
	return e, e.check()
}

// check refuses what can not come from Save.
func (e *Entry) check() error {
	kinds := 0
	for _, is := range []bool{
		e.Segment != nil && e.Kind == sysv.Shm.String(),
		e.Set != nil && e.Kind == sysv.Sem.String(),
		e.Queue != nil && e.Kind == sysv.Msg.String(),
	} {
		if is {
			kinds++
		}
	}
	switch {
	case e.Version != version:
		return fmt.Errorf("has version %d; this program reads version %d", e.Version, version)
	case kinds != 1, e.ID < 0, e.Mode > uint32(fs.ModePerm), e.Segment != nil && e.Segment.Size < 1, e.Set != nil && len(e.Set.Values) == 0:
		return errors.New("makes no sense")
	}
	return nil
}
