package model_test

import (
	"slices"

	"golang.org/x/sys/unix"
)

type queue struct {
	header
	messages           []message
	qbytes             int
	lspid, lrpid       int
	senders, receivers []*call // sleeping calls, in order of arrival
}

// A message is length bytes, all equal to tag.
type message struct{ kind, length, tag int }

// A receive says which message is wanted, and how.
type receive struct {
	size, kind       int
	except, truncate bool
}

func (q *queue) bytes() (n int) {
	for _, m := range q.messages {
		n += m.length
	}
	return n
}

// msgget creates a queue, unless there is one under the key.
func (s *system) msgget(key int) result {
	if lookup(s.queues, key) >= 0 {
		return fail(unix.EEXIST)
	}
	if len(live(s.queues)) >= msgmni {
		return fail(unix.ENOSPC)
	}
	s.queues = append(s.queues, &queue{header: header{key: key, mode: 0o600}, qbytes: msgmnb})
	return result{len(s.queues) - 1}
}

func (s *system) msgsnd(proc, h int, m message, noWait bool) result {
	queue := s.queues[h]
	switch {
	case m.kind < 1 || m.length > msgmax || queue.gone:
		return fail(unix.EINVAL)
	case queue.fits(m):
		queue.deliver(s, proc, m)
		return result{0}
	case noWait:
		return fail(unix.EAGAIN)
	}
	queue.senders = append(queue.senders, &call{proc: proc, msg: m})
	return nil
}

// fits reports whether there is room: qbytes limits both the bytes and the number of
// messages.
func (q *queue) fits(m message) bool {
	return q.bytes()+m.length <= q.qbytes && len(q.messages)+1 <= q.qbytes
}

// deliver gives a message to the first matching receiver, or else appends it. On the
// way, matching receivers whose buffer is too small fail.
func (q *queue) deliver(s *system, proc int, m message) {
	q.lspid = proc
	for i := 0; i < len(q.receivers); {
		c := q.receivers[i]
		if !c.which.wants(m) {
			i++
			continue
		}
		q.receivers = slices.Delete(q.receivers, i, i+1)
		s.ended[c.proc] = c.which.gets(m)
		if s.ended[c.proc][0] >= 0 {
			q.lrpid = c.proc
			return
		}
	}
	q.messages = append(q.messages, m)
}

// wants reports whether the message can be received.
func (r receive) wants(m message) bool {
	switch {
	case r.kind < 0:
		return m.kind <= -r.kind
	case r.kind > 0 && r.except:
		return m.kind != r.kind
	default:
		return r.kind == 0 || m.kind == r.kind
	}
}

// gets returns the result of msgrcv for the message: its length, type and contents.
func (r receive) gets(m message) result {
	if m.length > r.size && !r.truncate {
		return fail(unix.E2BIG)
	}
	n := min(m.length, r.size)
	return result{n, m.kind, n * m.tag}
}

// choose returns the index of the message to receive, or -1.
func (q *queue) choose(r receive) int {
	chosen := -1
	for i, m := range q.messages {
		if r.wants(m) && (chosen < 0 || r.kind < 0 && m.kind < q.messages[chosen].kind) {
			chosen = i
		}
	}
	return chosen
}

func (s *system) msgrcv(proc, h int, r receive, noWait bool) result {
	queue := s.queues[h]
	if queue.gone {
		return fail(unix.EINVAL)
	}
	i := queue.choose(r)
	switch {
	case i < 0 && noWait:
		return fail(unix.ENOMSG)
	case i < 0:
		queue.receivers = append(queue.receivers, &call{proc: proc, which: r})
		return nil
	}
	got := r.gets(queue.messages[i])
	if got[0] >= 0 {
		queue.messages = slices.Delete(queue.messages, i, i+1)
		queue.lrpid = proc
		queue.retry(s)
	}
	return got
}

// retry wakes senders for whose messages there is now room.
func (q *queue) retry(s *system) {
	q.senders = slices.DeleteFunc(q.senders, func(c *call) bool {
		if !q.fits(c.msg) {
			return false
		}
		s.ended[c.proc] = result{0}
		q.deliver(s, c.proc, c.msg)
		return true
	})
}

// msgpeek is msgrcv with MSG_COPY.
func (s *system) msgpeek(h, index, size int) result {
	queue := s.queues[h]
	switch {
	case queue.gone:
		return fail(unix.EINVAL)
	case index >= len(queue.messages):
		return fail(unix.ENOMSG)
	}
	return receive{size: size}.gets(queue.messages[index])
}

// msgset is IPC_SET.
func (s *system) msgset(h, mode, qbytes int) result {
	queue := s.queues[h]
	r := chmod(queue, mode)
	if r[0] == 0 {
		queue.qbytes = qbytes
		queue.retry(s)
	}
	return r
}

// msglook is IPC_STAT.
func (s *system) msglook(h int) result {
	queue := s.queues[h]
	if queue.gone {
		return fail(unix.EINVAL)
	}
	return result{len(queue.messages), queue.bytes(), queue.qbytes, queue.lspid, queue.lrpid, queue.mode}
}
