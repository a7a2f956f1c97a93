// Package limits compares the limits of IPC objects with their use.
package limits

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/posix"
)

// A Limit is a limit of the caller's IPC namespace, or of its /dev/shm.
type Limit struct {
	Name   string // name in the manual: SHMMNI, queues_max, or nr_inodes of tmpfs(5)
	Kind   ref.Kind
	About  string
	Sysctl string // name of the sysctl that sets it, "" if there is none
	Value  uint64
	// Use is how much of Value is in use, if Counted is set. Limits per object have no total
	// use, and a few other limits cannot be counted.
	Use     uint64
	Counted bool
	// Preset is the value of Sysctl, the default for new queues, if Value is the
	// fullest queue's own limit; otherwise 0.
	Preset uint64
	// Place names where the limit applies; "" is the caller's own place. Read leaves it
	// empty.
	Place string
}

func counted(name string, kind ref.Kind, about, sysctl string, value, use uint64) Limit {
	return Limit{Name: name, Kind: kind, About: about, Sysctl: sysctl, Value: value, Use: use, Counted: true}
}

// each returns a limit that applies to each object.
func each(name string, kind ref.Kind, about, sysctl string, value uint64) Limit {
	return Limit{Name: name, Kind: kind, About: about, Sysctl: sysctl, Value: value}
}

// High is the share of a limit that deserves a warning.
const High = 0.8

// Share returns the used part of the limit; 1 is all of it. A limit of zero counts as
// full.
func (l Limit) Share() float64 {
	if l.Value == 0 {
		return 1
	}
	return float64(l.Use) / float64(l.Value)
}

// Unlimited reports whether the value is no real limit: the kernel's default of SHMMAX
// and SHMALL is ULONG_MAX - (1 << 24), and RLIM_INFINITY is the largest number.
func (l Limit) Unlimited() bool { return l.Value >= math.MaxUint-1<<24 }

// PerProcess reports whether the limit belongs to each process, which inherits it.
func (l Limit) PerProcess() bool { return l.Name == rlimitMsgQueue }

// OfOneQueue reports whether Use is the use of the fullest queue. Such a limit may be
// reached at any time: senders then wait for the receiver.
func (l Limit) OfOneQueue() bool { return l.Name == msgMnb || l.Name == msgMax }

// take replaces the limit by a queue's own limit if that queue is fuller.
func (l *Limit) take(own Limit) {
	if own.Share() <= l.Share() {
		return
	}
	if l.Preset == 0 {
		l.Preset = l.Value
	}
	l.Value, l.Use = own.Value, own.Use
}

// Concerns reports whether objects of a kind count against the limit. POSIX semaphores
// count against /dev/shm too.
func (l Limit) Concerns(kind ref.Kind) bool {
	return l.Kind == kind || l.Kind == ref.PShm && kind == ref.PSem
}

// Read returns the limits for objects of the given kinds. If the system lacks POSIX
// objects their limits are left out (see Absent). With an error it still returns the
// limits that could be read.
func Read(kinds []ref.Kind) ([]Limit, error) {
	var all []Limit
	var errs []error
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
		if err != nil && !isAbsent(l.kinds[0], err) {
			errs = append(errs, fmt.Errorf("the limits of %ss cannot be read: %w", l.kinds[0].Noun(), err))
			if !errors.Is(err, inventory.ErrForeignQueues) { // with ErrForeignQueues only the use is unknown
				continue
			}
		}
		all = append(all, limits...)
	}
	return all, errors.Join(errs...)
}

// isAbsent reports whether err means that the system lacks objects of a kind, not
// merely that there is no /proc.
func isAbsent(kind ref.Kind, err error) bool {
	if !kind.POSIX() || !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err = os.Stat("/proc/sys/kernel")
	return kind != ref.PMsg || err == nil
}

// Absent says which limits Read leaves out because the system has no such objects.
func Absent(kinds []ref.Kind) (why []error) {
	if slices.Contains(kinds, ref.PShm) {
		if _, err := posix.ShmUsage(); errors.Is(err, fs.ErrNotExist) {
			why = append(why, errors.New("there is no /dev/shm, hence no POSIX shared memory and no named semaphore"))
		}
	}
	if slices.Contains(kinds, ref.PMsg) {
		if _, err := posix.MqLimits(); isAbsent(ref.PMsg, err) {
			why = append(why, errors.New("this kernel has no POSIX message queues: there is no /proc/sys/fs/mqueue"))
		}
	}
	return why
}

func segments() ([]Limit, error) {
	l, err := sysvipc.ShmLimits()
	if err != nil {
		return nil, err
	}
	u, err := sysvipc.ShmUsage()
	return []Limit{
		counted("SHMMNI", ref.Shm, "segments", "kernel.shmmni", l.MaxSegments, uint64(u.Segments)),
		counted("SHMALL", ref.Shm, "pages of all segments", "kernel.shmall", l.MaxPages, u.Pages),
		each("SHMMAX", ref.Shm, "bytes of a segment", "kernel.shmmax", l.MaxSize),
	}, err
}

func sets() ([]Limit, error) {
	l, err := sysvipc.SemLimits()
	if err != nil {
		return nil, err
	}
	u, err := sysvipc.SemUsage()
	return []Limit{
		counted("SEMMNI", ref.Sem, "semaphore sets", "kernel.sem[4]", uint64(l.MaxSets), uint64(u.Sets)),
		counted("SEMMNS", ref.Sem, "semaphores of all sets", "kernel.sem[2]", uint64(l.MaxSemaphores), uint64(u.Semaphores)),
		each("SEMMSL", ref.Sem, "semaphores of a set", "kernel.sem[1]", uint64(l.MaxPerSet)),
		each("SEMOPM", ref.Sem, "operations of a semop", "kernel.sem[3]", uint64(l.MaxOps)),
		each("SEMVMX", ref.Sem, "value of a semaphore", "", uint64(l.MaxValue)),
	}, err
}

func queues() ([]Limit, error) {
	l, err := sysvipc.MsgLimits()
	if err != nil {
		return nil, err
	}
	u, err := sysvipc.MsgUsage()
	if err != nil {
		return nil, err
	}
	fullest := counted(msgMnb, ref.Msg, "bytes in a queue, or messages if there are more; USE is that of the fullest", "kernel.msgmnb", uint64(l.MaxBytes), 0)
	unknown := false
	for q, err := range sysvipc.Queues() {
		if incomplete := (*sysvipc.Incomplete)(nil); errors.As(err, &incomplete) {
			break
		}
		if err != nil {
			return nil, err
		}
		own, ok := ownOfQueue(&q)
		if ok {
			fullest.take(own)
		}
		unknown = unknown || !ok && q.QNum > 0
	}
	if unknown && fullest.Share() < High {
		fullest = each(fullest.Name, fullest.Kind, fullest.About, fullest.Sysctl, uint64(l.MaxBytes))
	}
	return []Limit{
		counted("MSGMNI", ref.Msg, "message queues", "kernel.msgmni", uint64(l.MaxQueues), uint64(u.Queues)),
		fullest,
		each("MSGMAX", ref.Msg, "bytes of a message", "kernel.msgmax", uint64(l.MaxSize)),
	}, nil
}

// devShm returns the limits of /dev/shm, which may have none.
func devShm() (list []Limit, err error) {
	u, err := posix.ShmUsage()
	if u.Size > 0 {
		list = append(list, counted(devShmSize, ref.PShm, "bytes of memory in /dev/shm", "", u.Size, u.Used))
	}
	if u.Files > 0 {
		list = append(list, counted(devShmFiles, ref.PShm, "files in /dev/shm", "", u.Files, u.Files-u.FreeFiles))
	}
	return list, err
}

// mqueues returns the limits of queues, even if the queues cannot be counted.
func mqueues() ([]Limit, error) {
	l, err := posix.MqLimits()
	if err != nil {
		return nil, err
	}
	number := counted("queues_max", ref.PMsg, "POSIX message queues", "fs.mqueue.queues_max", uint64(l.QueuesMax), 0)
	fullest := counted(msgMax, ref.PMsg, "messages in a POSIX queue; USE is that of the fullest", "fs.mqueue.msg_max", uint64(l.MsgMax), 0)
	users := counted(rlimitMsgQueue, ref.PMsg, "bytes of one user's POSIX queues; the limit is gipcs's own", "", 0, 0)
	if users.Value, err = rlimit(); err != nil {
		return nil, err
	}
	unknown := false
	var foreign error // stays nil if the file system is merely not mounted
	bytes := make(map[uint32]uint64)
	for q, err := range inventory.Queues() {
		if err != nil {
			if errors.Is(err, inventory.ErrForeignQueues) {
				foreign = err
			}
			number.Use, number.Counted, fullest.Counted, users.Counted = 0, false, false, false
			clear(bytes)
			break
		}
		number.Use++
		if q.Known {
			fullest.take(Limit{Value: uint64(q.MaxMsgs), Use: uint64(q.CurMsgs)})
			bytes[q.UID] += QueueBytes(uint64(q.MaxMsgs), uint64(q.MsgSize))
			users.Use = max(users.Use, bytes[q.UID])
		}
		unknown = unknown || !q.Known
	}
	// A queue that cannot be read may be fuller than the others.
	if unknown && fullest.Share() < High {
		fullest = each(fullest.Name, fullest.Kind, fullest.About, fullest.Sysctl, uint64(l.MsgMax))
	}
	if unknown && users.Share() < High {
		users = each(users.Name, users.Kind, users.About, users.Sysctl, users.Value)
	}
	return []Limit{
		number,
		fullest,
		users,
		each("msgsize_max", ref.PMsg, "bytes of a message in a POSIX queue", "fs.mqueue.msgsize_max", uint64(l.MsgSizeMax)),
	}, foreign
}

// Names of the limits of a single queue, and of limits in tmpfs(5).
const (
	msgMnb      = "MSGMNB"
	msgMax      = "msg_max"
	devShmSize  = "size"
	devShmFiles = "nr_inodes"
)

// rlimitMsgQueue is the limit of getrlimit(2) on all queues that a user has made, in all
// IPC namespaces together. It is reached long before queues_max.
const rlimitMsgQueue = "RLIMIT_MSGQUEUE"

// QueueBytes returns how many bytes of RLIMIT_MSGQUEUE a queue takes, even while it is
// empty, if it has room for so many messages of the given size. getrlimit(2) has the
// formula.
func QueueBytes(messages, size uint64) uint64 {
	const (
		word       = 4 << (^uint(0) >> 63)
		sizeOfMsg  = 6 * word // struct msg_msg
		sizeOfNode = 6 * word // struct posix_msg_tree_node
		priorities = 32768    // MQ_PRIO_MAX
	)
	return messages*sizeOfMsg + min(messages, priorities)*sizeOfNode + messages*size
}
