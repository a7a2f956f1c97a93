// Package spool has the names and the memory layout that the logger and its clients share.
// C programs with the same declarations can share the memory.
package spool

import (
	"bytes"
	"fmt"
)

// The names of the objects.
const (
	Memory  = "/posix-shared-mem-example"
	Mutex   = "/sem-mutex"        // 1 if no client is filling a slot
	Free    = "/sem-buffer-count" // counts the slots that may be filled
	Waiting = "/sem-spool-signal" // counts the slots that wait to be logged
)

// Slots is the number of messages that can wait.
const Slots = 10

// A Slot holds a line of text that ends with a zero byte.
type Slot [256]byte

// Shared is the memory. Slots are filled and logged in turn.
type Shared struct {
	Slots  [Slots]Slot
	Fill   int32 // the slot to fill next; belongs to the holder of the mutex
	Logged int32 // the slot to log next; belongs to the logger
}

// Next returns the slot at index and advances index. Another process wrote the index, so
// Next checks it.
func (s *Shared) Next(index *int32) (*Slot, error) {
	i := *index
	if i < 0 || i >= Slots {
		return nil, fmt.Errorf("%s is damaged: there is no slot %d", Memory, i)
	}
	*index = (i + 1) % Slots
	return &s.Slots[i], nil
}

// Text returns a copy of the text, up to the zero byte or the end of the slot.
func (s *Slot) Text() []byte {
	text, _, _ := bytes.Cut(s[:], []byte{0})
	return bytes.Clone(text)
}

// SetText stores as much of text as fits into the slot, and a zero byte.
func (s *Slot) SetText(text string) {
	n := copy(s[:len(s)-1], text)
	s[n] = 0
}
