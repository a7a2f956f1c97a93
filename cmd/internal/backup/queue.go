package backup

import (
	"bytes"
	"errors"
	"slices"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/sysv"
)

// A heldQueue is identified by its messages and the kernel's record of its last use.
type heldQueue struct {
	sysv.Queue
	is       sysv.QueueInfo
	messages []Message
	isShut   bool
}

func saveQueue(queue sysv.Queue) (*Entry, hold, error) {
	h := &heldQueue{Queue: queue}
	before, err := queue.Stat()
	if err != nil {
		return nil, nil, err
	}
	if h.messages, err = peekAll(queue); err != nil {
		return nil, nil, err
	}
	// If a message was taken meanwhile, the next ones moved up, so peekAll may have missed
	// one.
	if h.is, err = queue.Stat(); err != nil {
		return nil, nil, err
	}
	if before != h.is || h.is.QNum != uint64(len(h.messages)) {
		return nil, nil, ErrUsed
	}
	e := newEntry(ofQueue(&h.is))
	e.Queue = &Queue{QBytes: h.is.QBytes, Messages: h.messages}
	return e, h, nil
}

func (h *heldQueue) exclusive() bool { return false }

// check compares before it shuts the queue, so that it does not touch a queue that was
// used, and again afterwards, since a sender may have been faster.
func (h *heldQueue) check() error {
	now, err := h.Stat()
	if err := unchanged(h.is, now, err); err != nil {
		return err
	}
	if err := h.shut(); err != nil {
		return err
	}
	messages, err := peekAll(h.Queue)
	if err != nil {
		return err
	}
	same := func(a, b Message) bool { return a.Type == b.Type && bytes.Equal(a.Text, b.Text) }
	if !slices.EqualFunc(messages, h.messages, same) {
		return ErrUsed
	}
	return nil
}

// shut keeps others from sending. It sets qbytes to 0, which makes even root wait. A qbytes
// above msgmnb is left alone: only root could restore it.
func (h *heldQueue) shut() error {
	owner, qbytes := h.is.Ownership(), h.is.QBytes
	owner.Mode = shutMode
	if limits, err := sysv.MsgLimits(); err == nil && qbytes <= uint64(limits.MaxBytes) {
		qbytes = 0
	}
	err := h.SetOwnership(owner, qbytes)
	h.isShut = err == nil
	return err
}

func (h *heldQueue) kept() error {
	if !h.isShut {
		return nil
	}
	return h.SetOwnership(h.is.Ownership(), h.is.QBytes)
}

func (h *heldQueue) removed(func() error) error { return nil }

// peekAll copies all messages. The buffer grows as needed: msgmax does not bound
// messages that were sent before it was lowered, and is far above the usual size.
func peekAll(queue sysv.Queue) ([]Message, error) {
	messages := []Message{}
	buf := make([]byte, block)
	for {
		n, mtype, ok, err := queue.Peek(len(messages), buf, false)
		switch {
		case errors.Is(err, abi.E2BIG):
			buf = make([]byte, 2*len(buf))
		case err != nil || !ok:
			return messages, err
		default:
			messages = append(messages, Message{mtype, bytes.Clone(buf[:n])})
		}
	}
}
