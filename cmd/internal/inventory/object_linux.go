package inventory

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/posix"
)

// Look returns the current state of the object called name. It needs no permission and
// inspects no process. It returns fs.ErrNotExist if there is no such object.
func Look(name ref.Object) (o Object, err error) {
	o.Kind = name.Kind
	switch name.Kind {
	case ref.Shm:
		o.Segment, err = pointer(sysvipc.FindSegment(name.ID))
	case ref.Sem:
		o.Set, err = pointer(sysvipc.FindSet(name.ID))
	case ref.Msg:
		o.Queue, err = pointer(sysvipc.FindQueue(name.ID))
	case ref.PShm:
		o.PShm, err = pointer(posix.StatObject(name.Name))
	case ref.PSem:
		o.PSem, err = pointer(posix.StatSemaphore(name.Name))
	case ref.PMsg:
		o.PMsg, err = pointer(lookAtQueue(name.Name))
	}
	if name.Kind.POSIX() && errors.Is(err, fs.ErrNotExist) && !errors.Is(err, posix.ErrNotMounted) {
		err = NotFound(name)
	}
	return o, err
}

func pointer[T any](v T, err error) (*T, error) { return &v, err }

// lookAtQueue checks that the file that shows a queue belongs to this IPC namespace, from
// which the queue would be removed.
func lookAtQueue(name string) (posix.QueueInfo, error) {
	info, err := posix.StatQueue(name)
	if err != nil {
		return info, err
	}
	q, err := posix.OpenQueue(name, posix.ReadOnly)
	if errors.Is(err, fs.ErrPermission) { // it exists, but its owner denies access
		return info, nil
	}
	if err != nil {
		return info, err
	}
	opened, err := q.Stat()
	if err == nil && (opened.Dev != info.Dev || opened.Ino != info.Ino) {
		err = fmt.Errorf("/dev/mqueue shows another IPC namespace, and %s there: %w", name, fs.ErrNotExist)
	}
	return info, errors.Join(err, q.Close())
}

// A NotFound is the name of an object that does not exist. As an error it is
// fs.ErrNotExist.
type NotFound ref.Object

func (e NotFound) Error() string { return fmt.Sprintf("there is no %s %s", e.Kind.Noun(), e.Name) }

func (e NotFound) Is(target error) bool { return target == fs.ErrNotExist }
