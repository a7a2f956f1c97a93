package posix

import (
	"strconv"
	"strings"
)

// Usage tells how full a file system is.
type Usage struct {
	Size, Used, Free uint64 // bytes; Size is 0 if there is no limit
	Files, FreeFiles uint64 // how many files it may hold, and how many more; 0 if there is no limit
}

// ShmUsage returns the usage of /dev/shm, which is what limits shared-memory objects
// and named semaphores. Memory of objects that were unlinked but are still in use
// counts; that of CreateMemfd does not.
func ShmUsage() (Usage, error) {
	u, err := statfs(shmDir)
	return u, failed("statfs", shmDir, err)
}

// QueueLimits is what limits message queues: sysctl fs.mqueue.
type QueueLimits struct {
	QueuesMax      int // queues of the IPC namespace (queues_max)
	MsgMax         int // messages of one queue (msg_max)
	MsgSizeMax     int // bytes of one message (msgsize_max)
	MsgDefault     int // messages of a queue that is made without attributes (msg_default)
	MsgSizeDefault int // bytes of a message of such a queue (msgsize_default)
}

// MqLimits returns the limits of the caller's IPC namespace. A process with
// CAP_SYS_RESOURCE may go beyond the first three.
func MqLimits() (l QueueLimits, err error) {
	const dir = "/proc/sys/fs/mqueue/"
	for _, limit := range []struct {
		name  string
		value *int
	}{
		{"queues_max", &l.QueuesMax},
		{"msg_max", &l.MsgMax},
		{"msgsize_max", &l.MsgSizeMax},
		{"msg_default", &l.MsgDefault},
		{"msgsize_default", &l.MsgSizeDefault},
	} {
		text, err := readFile(dir + limit.name)
		if err == nil {
			*limit.value, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		if err != nil {
			return QueueLimits{}, failed("read", dir+limit.name, err)
		}
	}
	return l, nil
}
