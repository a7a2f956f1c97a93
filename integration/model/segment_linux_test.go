package model_test

import "golang.org/x/sys/unix"

// slots is the maximum number of attachments of a process.
const slots = 2

type segment struct {
	header
	bytes       []byte
	dest        bool // destroyed at its last detach
	cpid, lpid  int
	attachments map[attachment]bool // whether they are read-only
}

// An attachment is a slot in which a process has a segment attached.
type attachment struct{ proc, slot int }

func (s *system) pages() (n int) {
	for _, h := range live(s.segments) {
		n += (len(s.segments[h].bytes) + pageSize - 1) / pageSize
	}
	return n
}

// shmget creates a segment, unless there is one under the key.
func (s *system) shmget(proc, key, size int) result {
	if lookup(s.segments, key) >= 0 {
		return fail(unix.EEXIST)
	}
	switch {
	case size < 1 || size > shmmax:
		return fail(unix.EINVAL)
	case s.pages()+(size+pageSize-1)/pageSize > shmall || len(live(s.segments)) >= shmmni:
		return fail(unix.ENOSPC)
	}
	s.segments = append(s.segments, &segment{
		header: header{key: key, mode: 0o600}, bytes: make([]byte, size), cpid: proc, attachments: map[attachment]bool{},
	})
	return result{len(s.segments) - 1}
}

// attached returns the segment in a slot of a process, or nil.
func (s *system) attached(proc, slot int) *segment {
	for _, segment := range s.segments {
		if _, ok := segment.attachments[attachment{proc, slot}]; ok {
			return segment
		}
	}
	return nil
}

// shmat attaches a segment, even a removed one, in a free slot.
func (s *system) shmat(proc, h, slot int, readOnly bool) result {
	segment := s.segments[h]
	if segment.gone {
		return fail(unix.EINVAL)
	}
	segment.attachments[attachment{proc, slot}] = readOnly
	segment.lpid = proc
	return result{0}
}

func (s *system) shmdt(proc, slot int) result {
	segment := s.attached(proc, slot)
	if segment == nil {
		return fail(unix.EINVAL)
	}
	delete(segment.attachments, attachment{proc, slot})
	segment.lpid = proc
	segment.gone = segment.dest && len(segment.attachments) == 0
	return result{0}
}

// shmrm is IPC_RMID: the key disappears at once, the rest at the last detach.
func (s *system) shmrm(h int) result {
	segment := s.segments[h]
	if segment.gone {
		return fail(unix.EINVAL)
	}
	segment.dest, segment.key = true, 0
	segment.gone = len(segment.attachments) == 0
	return result{0}
}

// shmlook is IPC_STAT.
func (s *system) shmlook(h int) result {
	segment := s.segments[h]
	if segment.gone {
		return fail(unix.EINVAL)
	}
	dest := 0
	if segment.dest {
		dest = 1
	}
	return result{len(segment.bytes), len(segment.attachments), segment.cpid, segment.lpid, dest, segment.mode}
}
