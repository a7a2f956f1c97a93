package inventory

import (
	"errors"
	"io/fs"
	"iter"

	"github.com/sysvipc/gipc/posix"
)

// ErrForeignQueues means that /dev/mqueue shows the queues of another IPC namespace. It
// was mounted in that namespace, and shows its queues wherever it is read.
var ErrForeignQueues = errors.New("/dev/mqueue shows the queues of another IPC namespace, in which it was mounted (mount -t mqueue none /dev/mqueue shows those of this one)")

// Queues is posix.Queues, but ends with ErrForeignQueues if /dev/mqueue shows another IPC
// namespace than the caller's. If it shows no queue, only a caller that may mount file
// systems can find out.
func Queues() iter.Seq2[posix.QueueInfo, error] {
	return func(yield func(posix.QueueInfo, error) bool) {
		known := false
		for q, err := range posix.Queues() {
			if err == nil && !q.Known && isForeign(&q) {
				yield(posix.QueueInfo{}, ErrForeignQueues)
				return
			}
			known = known || q.Known || err != nil
			if !yield(q, err) {
				return
			}
		}
		if !known && showsForeign() {
			yield(posix.QueueInfo{}, ErrForeignQueues)
		}
	}
}

// isForeign reports whether a name that /dev/mqueue shows is no queue, or a different one,
// in the caller's IPC namespace.
func isForeign(q *posix.QueueInfo) bool {
	queue, err := posix.OpenQueue(q.Name, posix.ReadOnly)
	if err != nil {
		again, gone := posix.StatQueue(q.Name)
		return errors.Is(err, fs.ErrNotExist) && gone == nil && again.Ino == q.Ino
	}
	defer queue.Close()
	opened, err := queue.Stat()
	return err == nil && (opened.Dev != q.Dev || opened.Ino != q.Ino)
}
