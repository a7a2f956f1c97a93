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

// An attempt is the note that Restore keeps: where it makes the object, when it began,
// and the object's identifier (-1 until there is one).
type attempt struct {
	Where string    `json:"where"`
	Began time.Time `json:"began"`
	ID    int       `json:"id"`
	// Device and inode of a POSIX object's file, 0 until there is one.
	Dev uint64 `json:"dev,omitempty"`
	Ino uint64 `json:"ino,omitempty"`
}

// clockSlack is how far the kernel's timestamps, in whole seconds, may lag.
const clockSlack = 2 * time.Second

// note writes the note. It is not synced: no object survives a crash of the system.
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

// where returns a string that identifies the IPC namespace for as long as it exists.
func where() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	namespace, err := os.Readlink("/proc/thread-self/ns/ipc")
	return strings.TrimSpace(string(boot)) + " " + namespace, err
}

// lastAttempt returns the note that an earlier Restore left in this namespace, or nil.
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

// settle looks for the object of e. It removes one that a killed Restore left
// unfinished, and reopens one that a killed removal left shut.
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

// find returns the object of e, finished or not, or nil.
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
		// A note without an identifier means that the object was never finished.
		if o.isOf(e, a) && (a.ID == o.id || a.ID < 0 && o.isHalf(e)) {
			return o, nil
		}
	}
	return nil, nil
}

// isHalf reports whether the object, if an attempt made it, is unfinished.
func (o *object) isHalf(e *Entry) bool { return o.Mode == unready(e) }

// isSaved reports whether the object is the one that was saved. An unfinished one has
// another mode.
func (o *object) isSaved(e *Entry) bool {
	return o.Mode == e.ownership().Mode && o.isLike(e) && o.ctime.Unix() == e.CTime
}

// isShut reports whether the object is the one that was saved, left shut by a process
// that was killed between hold.check and the removal.
func (o *object) isShut(e *Entry) bool {
	return o.Mode == shutMode && o.kind != ref.Shm && o.isLike(e) && o.ctime.Unix() >= e.CTime
}

// isLike compares everything but the mode and ctime.
func (o *object) isLike(e *Entry) bool {
	return o.UID == e.UID && o.GID == e.GID && o.Key == e.key() && o.CUID == e.CUID && o.CGID == e.CGID && o.size == e.size()
}

// reopen undoes what hold.check did. That changes the ctime, so the object is then
// recorded like one that Restore made.
func (s *Store) reopen(e *Entry) error {
	if err := s.note(e, attempt{ID: e.ID}); err != nil {
		return err
	}
	if e.Set != nil {
		return sysv.Set(e.ID).SetOwnership(e.ownership())
	}
	return sysv.Queue(e.ID).SetOwnership(e.ownership(), e.Queue.QBytes)
}

// isOf reports whether the attempt can have made the object.
func (o *object) isOf(e *Entry, a *attempt) bool {
	made := o.CUID == uint32(os.Geteuid()) || o.CUID == e.CUID && o.id == a.ID // or reopened
	return made && o.Key == e.key() && o.size == e.size() && !o.ctime.Before(a.Began.Add(-clockSlack))
}
