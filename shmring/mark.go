package shmring

import (
	"encoding/binary"
	"sync/atomic"
)

// A Mark is a note that a producer leaves in the memory together with messages: both are
// there, or neither, whenever its process dies. A program that copies messages from
// elsewhere notes how far it has got, and its successor goes on from there, so that no
// message is copied twice or left out. The bytes mean what the program wants.
type Mark [MarkSize]byte

// MarkSize is the number of bytes of a Mark.
const MarkSize = 32

// A markSlot holds a mark in the memory.
type markSlot struct {
	// since is where the messages of the mark end: the mark holds once there are messages
	// up to there. 0 means that there is no mark.
	since atomic.Uint64
	words [MarkSize / 8]atomic.Uint64
	_     [24]byte
}

// marks holds the last mark, and room for the next one.
type marks [2]markSlot

// resume returns the slot of the mark that holds when the messages end at end, or -1. It
// removes a mark whose messages its producer did not commit before it died; the next
// messages that end there are not those of the mark.
func (m *marks) resume(end uint64) int {
	last := -1
	for i := range m {
		switch since := m[i].since.Load(); {
		case since > end:
			m[i].since.Store(0)
		case since != 0 && (last < 0 || since > m[last].since.Load()):
			last = i
		}
	}
	return last
}

// write stores a mark that will hold once the messages up to since are committed, and
// returns its slot. last is the slot of the mark that holds until then, or -1.
func (m *marks) write(last int, since uint64, mark Mark) int {
	next := 0
	if last == 0 {
		next = 1
	}
	s := &m[next]
	s.since.Store(0)
	for i := range s.words {
		s.words[i].Store(binary.NativeEndian.Uint64(mark[8*i:]))
	}
	s.since.Store(since)
	return next
}

// read returns the mark in a slot; ok is false if last is -1.
func (m *marks) read(last int) (mark Mark, ok bool) {
	if last < 0 {
		return mark, false
	}
	for i := range m[last].words {
		binary.NativeEndian.PutUint64(mark[8*i:], m[last].words[i].Load())
	}
	return mark, true
}
