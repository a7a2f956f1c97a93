package lsipc

import (
	"strconv"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/smartcols"
	"github.com/sysvipc/gipc/posix"
)

// A resource is a row of the summary.
type resource struct {
	name, description string
	limit             uint64
	size              bool // limit is in bytes
	counted           bool // used is known
	used              uint64
}

// global prints limits and their use.
func (l *lister) global() int {
	table := l.newTable("ipclimits")
	for _, kind := range []struct {
		asked     bool
		resources func() ([]resource, error)
	}{
		{l.queues, queueResources},
		{l.mqueues, l.mqueueResources},
		{l.segments, segmentResources},
		{l.sets, setResources},
	} {
		if !kind.asked {
			continue
		}
		resources, err := kind.resources()
		if err != nil {
			return l.FailError("reading limits failed", err)
		}
		for _, r := range resources {
			l.addResource(table, r)
		}
	}
	return l.finish(table)
}

func (l *lister) addResource(table *smartcols.Table, r resource) {
	for _, c := range l.columns {
		b := table.Cell()
		switch c {
		case colResource:
			b = append(b, r.name...)
		case colDescription:
			b = append(b, r.description...)
		case colLimit:
			if r.size {
				b = l.appendSize(b, r.limit)
			} else {
				b = strconv.AppendUint(b, r.limit, 10)
			}
		case colUsed:
			if r.counted {
				b = strconv.AppendUint(b, r.used, 10)
			} else {
				b = append(b, '-')
			}
		case colUsePercent:
			if r.counted && r.limit > 0 {
				b = strconv.AppendFloat(b, float64(r.used)/float64(r.limit)*100, 'f', 2, 64)
				b = append(b, '%')
			} else {
				b = append(b, '-')
			}
		}
		table.Add(b)
	}
}

func queueResources() ([]resource, error) {
	limits, err := sysvipc.MsgLimits()
	if err != nil {
		return nil, err
	}
	usage, err := sysvipc.MsgUsage()
	return []resource{
		{name: "MSGMNI", description: "Number of message queues", limit: uint64(limits.MaxQueues), counted: true, used: uint64(usage.Queues)},
		{name: "MSGMAX", description: "Max size of message (bytes)", limit: uint64(limits.MaxSize), size: true},
		{name: "MSGMNB", description: "Default max size of queue (bytes)", limit: uint64(limits.MaxBytes), size: true},
	}, err
}

// mqueueResources returns the limits even if the queues cannot be counted.
func (l *lister) mqueueResources() ([]resource, error) {
	limits, err := posix.MqLimits()
	if err != nil {
		return nil, err
	}
	queues := resource{name: "MQUMNI", description: "Number of POSIX message queues", limit: uint64(limits.QueuesMax), counted: true}
	for _, err := range posix.Queues() {
		if err != nil {
			l.failListing(err)
			queues.counted = false
			break
		}
		queues.used++
	}
	return []resource{
		queues,
		{name: "MQUMAX", description: "Max size of POSIX message (bytes)", limit: uint64(limits.MsgSizeMax), size: true},
		{name: "MQUMNB", description: "Number of messages in POSIX message queue", limit: uint64(limits.MsgMax)},
	}, nil
}

func segmentResources() ([]resource, error) {
	limits, err := sysvipc.ShmLimits()
	if err != nil {
		return nil, err
	}
	usage, err := sysvipc.ShmUsage()
	return []resource{
		{name: "SHMMNI", description: "Shared memory segments", limit: limits.MaxSegments, counted: true, used: uint64(usage.Segments)},
		{name: "SHMALL", description: "Shared memory pages", limit: limits.MaxPages, counted: true, used: usage.Pages},
		{name: "SHMMAX", description: "Max size of shared memory segment (bytes)", limit: limits.MaxSize, size: true},
		{name: "SHMMIN", description: "Min size of shared memory segment (bytes)", limit: limits.MinSize, size: true},
	}, err
}

func setResources() ([]resource, error) {
	limits, err := sysvipc.SemLimits()
	if err != nil {
		return nil, err
	}
	usage, err := sysvipc.SemUsage()
	return []resource{
		{name: "SEMMNI", description: "Number of semaphore identifiers", limit: uint64(limits.MaxSets), counted: true, used: uint64(usage.Sets)},
		{name: "SEMMNS", description: "Total number of semaphores", limit: uint64(limits.MaxSemaphores), counted: true, used: uint64(usage.Semaphores)},
		{name: "SEMMSL", description: "Max semaphores per semaphore set.", limit: uint64(limits.MaxPerSet)},
		{name: "SEMOPM", description: "Max number of operations per semop(2)", limit: uint64(limits.MaxOps)},
		{name: "SEMVMX", description: "Semaphore max value", limit: uint64(limits.MaxValue)},
	}, err
}
