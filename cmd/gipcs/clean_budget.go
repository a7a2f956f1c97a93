//go:build linux

package main

import (
	"errors"
	"fmt"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// A budget is how much a run may still remove.
type budget struct {
	maxObjects, maxBytes int64             // 0: no limit
	objects, bytes       int64             // removed so far
	last                 *inventory.Object // the object that was taken last
	spent                bool
}

// errLeft is the error (errors.Is) for an object that is left for the next run.
var errLeft = errors.New("it is left for the next run")

// An overLimit says why an object is over a limit.
type overLimit string

func (e overLimit) Error() string { return string(e) }

func (overLimit) Is(target error) bool { return target == errLeft }

// take takes an object out of the budget. Once an object does not fit, no later one does:
// otherwise small objects could keep a large one waiting for ever. An object that is larger
// than the whole budget is passed over.
func (b *budget) take(o *inventory.Object) error {
	size := bytesOf(o)
	switch {
	case !b.spent && b.maxBytes > 0 && size > b.maxBytes:
		return overLimit(fmt.Sprintf("its %d bytes are more than max-bytes; no run removes it", size))
	case b.spent || b.maxObjects > 0 && b.objects == b.maxObjects || b.maxBytes > 0 && size > b.maxBytes-b.bytes:
		b.spent = true
		return overLimit("it is over the limit of a run")
	}
	b.objects++
	b.bytes += size
	b.last = o
	return nil
}

// giveBack undoes take for an object that was not removed, if it was the last one taken.
func (b *budget) giveBack(o *inventory.Object) {
	if o == b.last {
		b.last = nil
		b.objects--
		b.bytes -= bytesOf(o)
	}
}

// bytesOf returns what gipcs ls shows as the size: the bytes of memory, or in a queue.
func bytesOf(o *inventory.Object) int64 {
	switch {
	case o.Kind == ref.Shm:
		return int64(o.Segment.Size)
	case o.Kind == ref.Msg:
		return int64(o.Queue.CBytes)
	case o.Kind == ref.PShm:
		return o.PShm.Size
	case o.Kind == ref.PMsg && o.PMsg.Known:
		return int64(o.PMsg.Bytes)
	default:
		return 0
	}
}
