package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/sysv"
)

// An attempt is the note of a Restore: where and when it began to make an object, and
// its identifier as soon as it was made, -1 before.
type attempt struct {
	Where string    `json:"where"`
	Began time.Time `json:"began"`
	ID    int       `json:"id"`
	// Of a POSIX object its file, as soon as there is one, 0 before.
	Dev uint64 `json:"dev,omitempty"`
	Ino uint64 `json:"ino,omitempty"`
}

// clockSlack is how much the kernel's clock of whole seconds may be behind.
const clockSlack = 2 * time.Second

// note writes the note. It need not be on disk: no object outlives the system.
func (s *Store) note(e *Entry, a attempt) (err error) {
	if a.Where, err = where(); err != nil {
		return err
	}
	a.Began = time.Now()
	content, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return s.replace(e.name()+attemptSuffix, func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
}

// where returns what an IPC namespace is known by for as long as it exists.
func where() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	namespace, err := os.Readlink("/proc/thread-self/ns/ipc")
	return strings.TrimSpace(string(boot)) + " " + namespace, err
}

// lastAttempt returns the note of an earlier Restore in this namespace, nil if there
// is none.
func (s *Store) lastAttempt(e *Entry) (*attempt, error) {
	content, err := s.readFile(e.name() + attemptSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := &attempt{}
	if err := json.Unmarshal(content, a); err != nil {
		return nil, fmt.Errorf("%s/%s%s is damaged: %w", s.dir, e.name(), attemptSuffix, err)
	}
	here, err := where()
	if err != nil || a.Where != here {
		return nil, err
	}
	return a, nil
}

// settle looks for an object that is there already, removes what a Restore that was
// killed left half made, and opens what a removal that was killed had shut.
func (s *Store) settle(e *Entry) (id int, there bool, err error) {
	o, err := s.find(e)
	switch {
	case o == nil || err != nil:
		return -1, false, err
	case o.isHalf(e):
		return -1, false, remove(o.kind, o.id)
	case o.isShut(e):
		return o.id, true, s.reopen(e)
	default:
		return o.id, true, nil
	}
}

// find returns the object that is there already or was left half made, nil if there is
// none.
func (s *Store) find(e *Entry) (*object, error) {
	if o, err := stat(e.kind(), e.ID); err == nil && (o.isSaved(e) || o.isShut(e)) {
		return o, nil
	}
	a, err := s.lastAttempt(e)
	if a == nil || err != nil {
		return nil, err
	}
	for o, err := range objects(e.kind()) {
		if err != nil {
			return nil, err
		}
		// Without an identifier in the note it was not finished for certain.
		if o.isOf(e, a) && (a.ID == o.id || a.ID < 0 && o.isHalf(e)) {
			return o, nil
		}
	}
	return nil, nil
}

// isHalf tells whether the object, if it is of an attempt, was not finished.
func (o *object) isHalf(e *Entry) bool { return o.Mode == unready(e) }

// isSaved tells whether the object is the one that was saved. One that is half made
// is not: its mode is another.
func (o *object) isSaved(e *Entry) bool {
	return o.Mode == e.ownership().Mode && o.isLike(e) && o.ctime.Unix() == e.CTime
}

// isShut tells whether the object is the one that was saved, but nobody may use it,
// since a process was killed between hold.check and its removal.
func (o *object) isShut(e *Entry) bool {
	return o.Mode == shutMode && o.kind != ref.Shm && o.isLike(e) && o.ctime.Unix() >= e.CTime
}

// isLike compares all but the mode and the time of the last change.
func (o *object) isLike(e *Entry) bool {
	return o.UID == e.UID && o.GID == e.GID && o.Key == e.key() && o.CUID == e.CUID && o.CGID == e.CGID && o.size == e.size()
}

// reopen opens what hold.check has shut. Since that changes its ctime, by which it is
// known, it is noted as what a Restore has made.
func (s *Store) reopen(e *Entry) error {
	if err := s.note(e, attempt{ID: e.ID}); err != nil {
		return err
	}
	if e.Set != nil {
		return sysv.Set(e.ID).Set(e.ownership())
	}
	return sysv.Queue(e.ID).Set(e.ownership(), e.Queue.QBytes)
}

// isOf tells whether the object can be what an attempt made.
func (o *object) isOf(e *Entry, a *attempt) bool {
	made := o.CUID == uint32(os.Geteuid()) || o.CUID == e.CUID && o.id == a.ID // or reopened
	return made && o.Key == e.key() && o.size == e.size() && !o.ctime.Before(a.Began.Add(-clockSlack))
}
