package inventory

import (
	"errors"
	"io/fs"
	"iter"

	"github.com/sysvipc/gipc/posix"
)

// ErrForeignQueues is returned where /dev/mqueue shows the queues of another IPC
// namespace: it was mounted in that one, and shows it wherever it is looked at.
var ErrForeignQueues = errors.New("/dev/mqueue shows the queues of another IPC namespace, in which it was mounted (mount -t mqueue none /dev/mqueue shows those of this one)")

// Queues is posix.Queues, but ends with ErrForeignQueues if /dev/mqueue shows another IPC
// namespace than the caller's. While it shows no queue, only a caller that may mount file
// systems can find that out.
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

// isForeign reports whether the name that /dev/mqueue shows is no queue, or another one,
// for the calls, which go by the IPC namespace of the caller.
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
