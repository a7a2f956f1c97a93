package posix

import (
	"strconv"
	"strings"
)

// Usage is the usage of a file system.
type Usage struct {
	Size, Used, Free uint64 // bytes; Size is 0 if there is no limit
	Files, FreeFiles uint64 // maximum number of files, and how many are free; 0 if there is no limit
}

// ShmUsage returns the usage of /dev/shm, which limits shared-memory objects and named
// semaphores. It includes objects that are unlinked but still in use, and excludes those
// of CreateMemfd.
func ShmUsage() (Usage, error) {
	u, err := statfs(shmDir)
	return u, failed("statfs", shmDir, err)
}

// QueueLimits holds the limits of message queues (sysctl fs.mqueue).
type QueueLimits struct {
	QueuesMax      int // queues of the IPC namespace (queues_max)
	MsgMax         int // messages of one queue (msg_max)
	MsgSizeMax     int // bytes of one message (msgsize_max)
	MsgDefault     int // messages of a queue that is made without attributes (msg_default)
	MsgSizeDefault int // bytes of a message of such a queue (msgsize_default)
}

// MqLimits returns the limits of the caller's IPC namespace. A process with
// CAP_SYS_RESOURCE may exceed the first three.
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
