package sysvipc

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/sysv"
)

// Segments yields all segments of the caller's IPC namespace, regardless of
// permissions, in the order of the kernel's table. The listing is not atomic. Seq is 0
// for objects read from /proc. An error ends the sequence; it is an *Incomplete if
// everything that could be listed came before.
func Segments() iter.Seq2[sysv.SegmentInfo, error] { return segments().all }

func segments() source[sysv.SegmentInfo] {
	return source[sysv.SegmentInfo]{
		kind: sysv.Shm, id: func(s *sysv.SegmentInfo) int { return s.ID },
		read: ParseSegments, walk: sysv.Segments(),
		one:    func(id int) (sysv.SegmentInfo, error) { return sysv.Segment(id).Stat() },
		oneAny: func(id int) (sysv.SegmentInfo, error) { return sysv.Segment(id).StatAny() },
		top: func() (int, abi.Errno) {
			_, top, e := abi.Shmlimits()
			return top, e
		},
		inUse: func() (int, error) {
			usage, err := sysv.ShmUsage()
			return usage.Segments, err
		},
	}
}

// Sets is Segments for semaphore sets.
func Sets() iter.Seq2[sysv.SetInfo, error] { return sets().all }

func sets() source[sysv.SetInfo] {
	return source[sysv.SetInfo]{
		kind: sysv.Sem, id: func(s *sysv.SetInfo) int { return s.ID },
		read: ParseSets, walk: sysv.Sets(),
		one:    func(id int) (sysv.SetInfo, error) { return sysv.Set(id).Stat() },
		oneAny: func(id int) (sysv.SetInfo, error) { return sysv.Set(id).StatAny() },
		top: func() (int, abi.Errno) {
			_, top, e := abi.Seminfos(abi.IPCInfo)
			return top, e
		},
		inUse: func() (int, error) {
			usage, err := sysv.SemUsage()
			return usage.Sets, err
		},
	}
}

// UnknownQBytes is the QBytes of a queue read from /proc, which does not show it.
const UnknownQBytes = math.MaxUint64

// Queues is Segments for message queues. If the QBytes of some queues are unknown, the
// sequence ends with an *Incomplete.
func Queues() iter.Seq2[sysv.QueueInfo, error] { return queues().all }

func queues() source[sysv.QueueInfo] {
	return source[sysv.QueueInfo]{
		kind: sysv.Msg, id: func(q *sysv.QueueInfo) int { return q.ID },
		read: ParseQueues, walk: sysv.Queues(),
		one:    func(id int) (sysv.QueueInfo, error) { return sysv.Queue(id).Stat() },
		oneAny: func(id int) (sysv.QueueInfo, error) { return sysv.Queue(id).StatAny() },
		top: func() (int, abi.Errno) {
			_, top, e := abi.Msginfos(abi.IPCInfo)
			return top, e
		},
		inUse: func() (int, error) {
			usage, err := sysv.MsgUsage()
			return usage.Queues, err
		},
		complete: completeQueue,
	}
}

// completeQueue adds what /proc does not show.
func completeQueue(q *sysv.QueueInfo) error {
	info, err := sysv.Queue(q.ID).StatAny()
	if err != nil {
		var ownErr error
		if info, ownErr = sysv.Queue(q.ID).Stat(); ownErr != nil {
			return fmt.Errorf("%w; %w", err, ownErr)
		}
	}
	q.QBytes = info.QBytes
	return nil
}

// An Incomplete is the error of a listing that misses something that the kernel, or a
// security policy, did not reveal.
type Incomplete struct {
	What string // what is missing
	Err  error  // why
}

func (e *Incomplete) Error() string { return e.What + ": " + e.Err.Error() }

// A source provides the ways to list one kind of objects.
type source[T any] struct {
	kind        sysv.Kind
	id          func(*T) int
	read        func(io.Reader) iter.Seq2[T, error] // /proc/sysvipc
	walk        iter.Seq2[T, error]                 // the table, by *_STAT_ANY
	one, oneAny func(id int) (T, error)             // IPC_STAT, *_STAT_ANY
	top         func() (int, abi.Errno)             // the highest index in use
	inUse       func() (int, error)                 // the number of objects
	complete    func(*T) error                      // adds what /proc does not show; may be nil
}

func (s source[T]) all(yield func(T, error) bool) {
	l := &listing[T]{source: s, yield: yield}
	ways := []func() error{l.byTable, l.byProc, l.byPermission}
	if s.sparse() {
		ways[0], ways[1] = ways[1], ways[0]
	}
	var refused []error
	for _, way := range ways {
		err := way()
		if err == nil || l.over {
			l.finish()
			return
		}
		refused = append(refused, err)
		l.switchOver()
	}
	var none T
	yield(none, errors.Join(refused...))
}

// A listing is a listing in progress.
type listing[T any] struct {
	source[T]
	yield  func(T, error) bool
	over   bool // the loop has ended
	object T
	ids    []int        // yielded in the current way
	seen   map[int]bool // yielded in earlier ways; nil if nothing was

	incomplete int // objects with unknown attributes
	missing    *Incomplete
}

// give yields the object. It is a field because taking a local variable's address would
// allocate each object on the heap.
func (l *listing[T]) give() {
	id := l.id(&l.object)
	if l.seen[id] {
		return
	}
	l.ids = append(l.ids, id)
	l.over = !l.yield(l.object, nil)
}

func (l *listing[T]) switchOver() {
	if l.seen == nil && len(l.ids) > 0 {
		l.seen = make(map[int]bool)
	}
	for _, id := range l.ids {
		l.seen[id] = true
	}
	l.ids = nil
}

func (l *listing[T]) finish() {
	if l.missing != nil && !l.over {
		var none T
		l.yield(none, l.missing)
	}
}

// byTable is the cheapest way, unless the table is sparse. Linux has it since 4.17.
func (l *listing[T]) byTable() error {
	for object, err := range l.walk {
		if err != nil {
			return err
		}
		l.object = object
		if l.give(); l.over {
			break
		}
	}
	return nil
}

// byProc needs only /proc.
func (l *listing[T]) byProc() error {
	for object, err := range l.rows() {
		if err != nil {
			return err
		}
		l.object = object
		if l.complete != nil {
			if err := l.complete(&l.object); err != nil {
				l.incomplete++
				l.missing = &Incomplete{unknownLimits(l.incomplete), err}
			}
		}
		if l.give(); l.over {
			break
		}
	}
	return nil
}

func unknownLimits(queues int) string {
	if queues == 1 {
		return "the limit of 1 queue is not known"
	}
	return fmt.Sprintf("the limits of %d queues are not known", queues)
}

// byPermission lists what the caller may read, by *_STAT.
func (l *listing[T]) byPermission() error {
	top, e := l.top()
	if e != 0 {
		return fmt.Errorf("%v IPC_INFO: %w", l.kind, e)
	}
	denied := 0
	var why error
	for index := 0; index <= top && !l.over; index++ {
		var object T
		id, err := slot(l.kind, index, false)
		if err == nil {
			object, err = l.one(id)
		}
		switch {
		case err == nil:
			l.object = object
			l.give()
		case !errors.Is(err, fs.ErrNotExist):
			denied++
			why = err
		}
	}
	none := len(l.ids) == 0 && len(l.seen) == 0
	switch {
	case none && denied > 0:
		return why
	case none && !l.over: // if *_STAT is refused with EINVAL the table looks empty
		if n, err := l.inUse(); n > 0 || err != nil {
			return errors.Join(err, fmt.Errorf("%v_STAT finds none of the %d %ss", l.kind, n, Noun(l.kind)))
		}
	case denied > 0:
		l.missing = &Incomplete{unlisted(denied, l.kind), why}
	}
	return nil
}

func unlisted(n int, kind sysv.Kind) string {
	if n == 1 {
		return "1 " + Noun(kind) + " that you may not read is not listed"
	}
	return fmt.Sprintf("%d %ss that you may not read are not listed", n, Noun(kind))
}

// rows yields the rows of /proc.
func (s source[T]) rows() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		f, err := os.Open("/proc/sysvipc/" + s.kind.String())
		if err != nil {
			var none T
			yield(none, err)
			return
		}
		defer f.Close()
		s.read(f)(yield)
	}
}

// Measured: an object costs 0.5 us by table and 1.7 us by /proc, an unused index 0.24
// us by table. So /proc is cheaper if less than about a sixth of the indices are in
// use; for a short table it does not matter.
const (
	shortTable  = 512
	sparseRatio = 6
)

// sparse reports whether /proc is cheaper. That depends on the number in use, but to
// count segments the kernel walks them all, a fifth of the cost of listing them. So a
// few indices are tried first, which rules out most tables.
func (s source[T]) sparse() bool {
	top, e := s.top()
	if e != 0 || top < shortTable {
		return false
	}
	const samples = 60
	hits := 0
	for i := range samples {
		if _, err := Slot(s.kind, top*i/samples); err == nil {
			hits++
		}
	}
	if hits > 2*samples/sparseRatio {
		return false
	}
	n, err := s.inUse()
	return err == nil && n < top/sparseRatio
}
