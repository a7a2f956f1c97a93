package sysvipc

import (
	"errors"
	"io/fs"
	"iter"

	"github.com/sysvipc/gipc/sysv"
)

// A Refusal is a call that the listings and limits try first, and that the kernel refused.
type Refusal struct {
	Call string // such as "shmctl SHM_STAT_ANY"
	Err  error
}

// Refusals calls the commands of shmctl, semctl and msgctl that list objects regardless of
// their permissions and that report limits, and returns those that the kernel refused.
// Before Linux 4.17, *_STAT_ANY fails as it does for an empty table, so while the table is
// empty the refusal is not found.
func Refusals() (refused []Refusal) {
	refused = append(refused, refusals(segments(), "SHM", errOf(sysv.ShmLimits), errOf(sysv.ShmUsage))...)
	refused = append(refused, refusals(sets(), "SEM", errOf(sysv.SemLimits), errOf(sysv.SemUsage))...)
	return append(refused, refusals(queues(), "MSG", errOf(sysv.MsgLimits), errOf(sysv.MsgUsage))...)
}

func errOf[T any](call func() (T, error)) error {
	_, err := call()
	return err
}

func refusals[T any](s source[T], prefix string, limits, usage error) (refused []Refusal) {
	call := s.kind.String() + "ctl "
	if limits != nil {
		refused = append(refused, Refusal{call + "IPC_INFO", limits})
	}
	if usage != nil {
		refused = append(refused, Refusal{call + prefix + "_INFO", usage})
	}
	_, err := Slot(s.kind, 0)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
		if limits == nil { // the walk needs the limits
			err = firstError(s.walk)
		}
	}
	if err != nil {
		refused = append(refused, Refusal{call + prefix + "_STAT_ANY", err})
	}
	return refused
}

// firstError returns the error of a listing up to its first object.
func firstError[T any](objects iter.Seq2[T, error]) error {
	for _, err := range objects {
		return err
	}
	return nil
}

// ProcError returns why /proc/sysvipc, the other way to list objects, cannot be read. It is
// nil if it can.
func ProcError() error {
	return errors.Join(firstError(segments().rows()), firstError(sets().rows()), firstError(queues().rows()))
}
