package lsipc

import (
	"errors"
	"iter"
	"strconv"
	"strings"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

func (l *lister) listObjects() int {
	return listFiles(l, "posix-sharedmemory", "shared memory segment", posix.Objects(),
		func(o *posix.FileInfo) *posix.FileInfo { return o }, l.appendObject)
}

func (l *lister) listMqueues() int {
	return listFiles(l, "posix-messages", "message queue", posix.Queues(),
		func(q *posix.QueueInfo) *posix.FileInfo { return &q.FileInfo }, l.appendMqueue)
}

func (l *lister) listSemaphores() int {
	return listFiles(l, "posix-semaphores", "semaphore", posix.Semaphores(),
		func(s *posix.SemaphoreInfo) *posix.FileInfo { return &s.FileInfo }, l.appendSemaphore)
}

// listFiles lists POSIX objects, or the requested one.
func listFiles[T any](l *lister, name, noun string, objects iter.Seq2[T, error], file func(*T) *posix.FileInfo, value appender[T]) int {
	var all []T
	expect := l.expectations()
	for object, err := range objects {
		f := file(&object)
		switch {
		case err != nil:
			return l.failListing(err)
		case !l.named:
			perm := ownership(f)
			expect(&perm)
			all = append(all, object)
		case bareName(f.Name) == bareName(l.name):
			return printOne(l, name, &object, value)
		}
	}
	if l.named {
		return l.notFound(name, noun+" "+l.name)
	}
	table := l.newTable(name)
	for i := range all {
		addRow(l, table, &all[i], value)
	}
	return l.finish(table)
}

func (l *lister) failListing(err error) int {
	if errors.Is(err, posix.ErrNotMounted) {
		return l.Fail("/dev/mqueue does not seem to be mounted. Use 'mount -t mqueue none /dev/mqueue' to mount it.")
	}
	return l.FailError("listing failed", err)
}

// bareName returns a name without its leading slash. lsipc prints the slash only for
// message queues.
func bareName(name string) string { return strings.TrimPrefix(name, "/") }

// ownership returns the input of appendPerm. The owner counts as the creator, since the
// kernel records no creator.
func ownership(f *posix.FileInfo) sysv.Perm {
	return sysv.Perm{UID: f.UID, GID: f.GID, CUID: f.UID, CGID: f.GID, Mode: f.Mode}
}

func (l *lister) appendObject(dst []byte, c column, o *posix.FileInfo) ([]byte, bool) {
	switch c {
	case colName:
		return append(dst, bareName(o.Name)...), true
	case colSize:
		return l.appendSize(dst, uint64(o.Size)), true
	}
	return l.appendFile(dst, c, o)
}

func (l *lister) appendMqueue(dst []byte, c column, q *posix.QueueInfo) ([]byte, bool) {
	switch {
	case c == colName:
		return append(dst, q.Name...), true
	case c == colUsedBytes && q.Known:
		return l.appendSize(dst, q.Bytes), true
	case c == colMsgs && q.Known:
		return strconv.AppendInt(dst, int64(q.CurMsgs), 10), true
	}
	return l.appendFile(dst, c, &q.FileInfo)
}

func (l *lister) appendSemaphore(dst []byte, c column, s *posix.SemaphoreInfo) ([]byte, bool) {
	switch {
	case c == colName:
		return append(dst, bareName(s.Name)...), true
	case c == colValue && s.Known:
		return strconv.AppendInt(dst, int64(s.Value), 10), true
	}
	return l.appendFile(dst, c, &s.FileInfo)
}

// appendFile appends a column that POSIX objects of all kinds have.
func (l *lister) appendFile(dst []byte, c column, f *posix.FileInfo) ([]byte, bool) {
	switch {
	case c == colMTime:
		return l.appendTime(dst, c, f.MTime)
	case ownershipColumns().contains(c):
		perm := ownership(f)
		return l.appendPerm(dst, c, 0, &perm)
	}
	return dst, false
}
