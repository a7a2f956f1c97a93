// Package limits puts the limits of System V IPC beside what is in use of them.
package limits

import (
	"github.com/sysvipc/gipc/internal/ref"
	"github.com/sysvipc/gipc/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// A Limit is a limit of the caller's IPC namespace.
type Limit struct {
	Name   string // as the manual has it, such as SHMMNI
	Kind   ref.Kind
	About  string
	Sysctl string // that changes it, "" if none does
	Value  uint64
	// Use is how much of Value is in use. Of a limit for each object (Counted is
	// false) there is no such thing.
	Use     uint64
	Counted bool
}

// Share returns the part of the limit that is in use, 1 being all of it.
func (l Limit) Share() float64 {
	if l.Value == 0 {
		return 0
	}
	return float64(l.Use) / float64(l.Value)
}

// Read returns all limits.
func Read() ([]Limit, error) {
	var all []Limit
	for _, read := range []func() ([]Limit, error){segments, sets, queues} {
		limits, err := read()
		if err != nil {
			return nil, err
		}
		all = append(all, limits...)
	}
	return all, nil
}

func segments() ([]Limit, error) {
	l, err := sysvipc.ShmLimits()
	if err != nil {
		return nil, err
	}
	u, err := sysv.ShmUsage()
	return []Limit{
		{"SHMMNI", ref.Shm, "segments", "kernel.shmmni", l.MaxSegments, uint64(u.Segments), true},
		{"SHMALL", ref.Shm, "pages of all segments", "kernel.shmall", l.MaxPages, u.Pages, true},
		{"SHMMAX", ref.Shm, "bytes of a segment", "kernel.shmmax", l.MaxSize, 0, false},
	}, err
}

func sets() ([]Limit, error) {
	l, err := sysv.SemLimits()
	if err != nil {
		return nil, err
	}
	u, err := sysv.SemUsage()
	return []Limit{
		{"SEMMNI", ref.Sem, "semaphore sets", "kernel.sem[4]", uint64(l.MaxSets), uint64(u.Sets), true},
		{"SEMMNS", ref.Sem, "semaphores of all sets", "kernel.sem[2]", uint64(l.MaxSemaphores), uint64(u.Semaphores), true},
		{"SEMMSL", ref.Sem, "semaphores of a set", "kernel.sem[1]", uint64(l.MaxPerSet), 0, false},
		{"SEMOPM", ref.Sem, "operations of a semop", "kernel.sem[3]", uint64(l.MaxOps), 0, false},
		{"SEMVMX", ref.Sem, "value of a semaphore", "", uint64(l.MaxValue), 0, false},
	}, err
}

func queues() ([]Limit, error) {
	l, err := sysv.MsgLimits()
	if err != nil {
		return nil, err
	}
	u, err := sysv.MsgUsage()
	if err != nil {
		return nil, err
	}
	fullest := Limit{"MSGMNB", ref.Msg, "bytes in a queue; the use is the fullest one's", "kernel.msgmnb", uint64(l.MaxBytes), 0, true}
	for q, err := range sysvipc.Queues() {
		if err != nil {
			return nil, err
		}
		// A queue has a limit of its own, which began as MSGMNB.
		if own := (Limit{Value: q.QBytes, Use: q.CBytes}); own.Share() > fullest.Share() {
			fullest.Value, fullest.Use = own.Value, own.Use
		}
	}
	return []Limit{
		{"MSGMNI", ref.Msg, "message queues", "kernel.msgmni", uint64(l.MaxQueues), uint64(u.Queues), true},
		fullest,
		{"MSGMAX", ref.Msg, "bytes of a message", "kernel.msgmax", uint64(l.MaxSize), 0, false},
	}, nil
}
