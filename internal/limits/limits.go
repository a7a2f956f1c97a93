// Package limits puts the limits of IPC objects beside what is in use of them.
package limits

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/sysvipc/gipc/internal/ref"
	"github.com/sysvipc/gipc/internal/sysvipc"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// A Limit is a limit of the caller's IPC namespace, or of its /dev/shm.
type Limit struct {
	Name   string // as the manual has it: SHMMNI, queues_max, or nr_inodes of tmpfs(5)
	Kind   ref.Kind
	About  string
	Sysctl string // that changes it, "" if none does
	Value  uint64
	// Use is how much of Value is in use. Of a limit for each object (Counted is
	// false) there is no such thing.
	Use     uint64
	Counted bool
}

// Share returns the part of the limit that is in use, 1 being all of it. A limit of
// zero, which was lowered, is full.
func (l Limit) Share() float64 {
	if l.Value == 0 {
		return 1
	}
	return float64(l.Use) / float64(l.Value)
}

// Concerns tells whether objects of a kind take of the limit. POSIX semaphores are
// files in /dev/shm as well.
func (l Limit) Concerns(kind ref.Kind) bool {
	return l.Kind == kind || l.Kind == ref.PShm && kind == ref.PSem
}

// Read returns the limits that concern objects of some kinds. Those of POSIX objects
// are left out where there is no /dev/shm, or no queues in the kernel.
func Read(kinds []ref.Kind) ([]Limit, error) {
	var all []Limit
	for _, l := range [...]struct {
		kinds []ref.Kind
		read  func() ([]Limit, error)
	}{
		{[]ref.Kind{ref.Shm}, segments},
		{[]ref.Kind{ref.Sem}, sets},
		{[]ref.Kind{ref.Msg}, queues},
		{[]ref.Kind{ref.PShm, ref.PSem}, devShm},
		{[]ref.Kind{ref.PMsg}, mqueues},
	} {
		if !slices.ContainsFunc(kinds, func(k ref.Kind) bool { return slices.Contains(l.kinds, k) }) {
			continue
		}
		limits, err := l.read()
		if err != nil && !(l.kinds[0].POSIX() && errors.Is(err, fs.ErrNotExist)) {
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

// devShm returns the limits of /dev/shm, as far as it has any.
func devShm() (list []Limit, err error) {
	u, err := posix.ShmUsage()
	if u.Size > 0 {
		list = append(list, Limit{devShmSize, ref.PShm, "bytes of memory in /dev/shm", "", u.Size, u.Used, true})
	}
	if u.Files > 0 {
		list = append(list, Limit{devShmFiles, ref.PShm, "files in /dev/shm", "", u.Files, u.Files - u.FreeFiles, true})
	}
	return list, err
}

// mqueues returns the limits of queues also where these can not be counted.
func mqueues() ([]Limit, error) {
	l, err := posix.MqLimits()
	if err != nil {
		return nil, err
	}
	number := Limit{"queues_max", ref.PMsg, "POSIX message queues", "fs.mqueue.queues_max", uint64(l.QueuesMax), 0, true}
	fullest := Limit{"msg_max", ref.PMsg, "messages in a POSIX queue; the use is the fullest one's", "fs.mqueue.msg_max", uint64(l.MsgMax), 0, true}
	for q, err := range posix.Queues() {
		if err != nil {
			number.Use, number.Counted, fullest.Counted = 0, false, false
			break
		}
		number.Use++
		if own := (Limit{Value: uint64(q.MaxMsgs), Use: uint64(q.CurMsgs)}); q.Known && own.Share() > fullest.Share() {
			fullest.Value, fullest.Use = own.Value, own.Use
		}
	}
	return []Limit{
		number,
		fullest,
		{"msgsize_max", ref.PMsg, "bytes of a message in a POSIX queue", "fs.mqueue.msgsize_max", uint64(l.MsgSizeMax), 0, false},
	}, nil
}

// What tmpfs(5) calls its limits.
const (
	devShmSize  = "size"
	devShmFiles = "nr_inodes"
)
