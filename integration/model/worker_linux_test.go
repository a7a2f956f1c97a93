package model_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/sysv"
)

// work is the main function of a process of the Go side. Like testdata/worker.c it
// reads steps from standard input, makes them, and answers each with a line of numbers.
func work() error {
	w := &worker{buf: make([]byte, 64), cancelled: make(chan context.CancelFunc, 1)}
	steps := make(chan []int)
	go func() {
		defer close(steps)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			if in.Text() == "interrupt" {
				w.interrupt()
				continue
			}
			steps <- numbers(in.Text())
		}
	}()
	for step := range steps {
		answer, err := w.make(step[0], step[1:])
		var e unix.Errno
		switch {
		case errors.Is(err, context.Canceled):
			e = unix.EINTR
		case err != nil && !errors.As(err, &e):
			return err
		}
		if e != 0 {
			answer = fail(e)
		}
		fmt.Println(strings.Trim(fmt.Sprint(answer), "[]"))
	}
	return nil
}

// numbers parses the numbers on a line.
func numbers(line string) (all []int) {
	for _, word := range strings.Fields(line) {
		n := 0
		if _, err := fmt.Sscan(word, &n); err != nil {
			panic(err)
		}
		all = append(all, n)
	}
	return all
}

// A worker has attachments, and a call that can be interrupted.
type worker struct {
	attached  [slots]*sysv.Attachment
	buf       []byte
	cancelled chan context.CancelFunc
}

// The verbs, as in testdata/worker.c, which describes their arguments.
const (
	shmget = iota
	shmopen
	shmat
	shmdt
	poke
	peek
	shmset
	shmrm
	shmlook
	semget
	semopen
	semop
	setval
	setall
	semset
	semrm
	semlook
	msgget
	msgopen
	msgsnd
	msgrcv
	msgpeek
	msgset
	msgrm
	msglook
	list
	usage
	clear
)

func (w *worker) make(verb int, a []int) (result, error) {
	switch {
	case verb < semget:
		return w.segment(verb, a)
	case verb < msgget:
		return w.set(verb, a)
	case verb < list:
		return w.queue(verb, a)
	case verb == list:
		return ids(sysv.Kind(a[0]))
	case verb == usage:
		shm, err1 := sysv.ShmUsage()
		sem, err2 := sysv.SemUsage()
		msg, err3 := sysv.MsgUsage()
		return result{shm.Segments, int(shm.Pages), sem.Sets, sem.Semaphores, msg.Queues, msg.Messages, msg.Bytes}, errors.Join(err1, err2, err3)
	default:
		return result{0}, errors.Join(w.detachAll(), removeAll())
	}
}

func (w *worker) segment(verb int, a []int) (result, error) {
	switch verb {
	case shmget:
		s, err := sysv.CreateSegment(sysv.Key(a[0]), int64(a[1]), nil)
		return result{int(s)}, err
	case shmopen:
		s, err := sysv.OpenSegment(sysv.Key(a[0]))
		return result{int(s)}, err
	case shmat:
		mem, err := sysv.Segment(a[0]).Attach(&sysv.AttachOptions{ReadOnly: a[2] != 0})
		w.attached[a[1]] = mem
		return result{0}, err
	case shmdt:
		return result{0}, w.attached[a[0]].Detach()
	case poke:
		_, err := w.attached[a[0]].WriteAt([]byte{byte(a[2])}, int64(a[1]))
		return result{0}, err
	case peek:
		_, err := w.attached[a[0]].ReadAt(w.buf[:1], int64(a[1]))
		return result{int(w.buf[0])}, err
	case shmset:
		return result{0}, sysv.Segment(a[0]).SetOwnership(sysv.Ownership{Mode: fs.FileMode(a[1])})
	case shmrm:
		return result{0}, sysv.Segment(a[0]).Remove()
	default:
		i, err := sysv.Segment(a[0]).Stat()
		dest := 0
		if i.Dest {
			dest = 1
		}
		return result{int(i.Size), int(i.NAttch), i.CPID, i.LPID, dest, int(i.Mode)}, err
	}
}

func (w *worker) set(verb int, a []int) (result, error) {
	s := sysv.Set(a[0])
	switch verb {
	case semget:
		s, err := sysv.CreateSet(sysv.Key(a[0]), a[1], nil)
		return result{int(s)}, err
	case semopen:
		s, err := sysv.OpenSet(sysv.Key(a[0]))
		return result{int(s)}, err
	case semop:
		return result{0}, w.semop(s, a[1], a[2:])
	case setval:
		return result{0}, s.SetValue(a[1], a[2])
	case setall:
		values := make([]uint16, len(a)-1)
		for i := range values {
			values[i] = uint16(a[1+i])
		}
		return result{0}, s.SetValues(values)
	case semset:
		return result{0}, s.SetOwnership(sysv.Ownership{Mode: fs.FileMode(a[1])})
	case semrm:
		return result{0}, s.Remove()
	default:
		return semLook(s)
	}
}

// semop is Do or TryDo.
func (w *worker) semop(s sysv.Set, how int, a []int) error {
	var ops []sysv.Op
	for ; len(a) > 0; a = a[3:] {
		ops = append(ops, sysv.Op{Num: uint16(a[0]), Add: int16(a[1]), Undo: a[2]&1 != 0, NoWait: a[2]&2 != 0})
	}
	switch how {
	case waiting:
		return w.interruptible(func(ctx context.Context) error { return s.Do(ctx, ops...) })
	default:
		ok, err := s.TryDo(ops...)
		return unless(ok, unix.EAGAIN, err)
	}
}

// The ways to make a call that may have to wait.
const (
	waiting = iota
	trying
)

// unless returns err, or e if the call did not fail but could not be done at once.
func unless(ok bool, e unix.Errno, err error) error {
	if !ok && err == nil {
		return e
	}
	return err
}

func semLook(s sysv.Set) (result, error) {
	info, err := s.Stat()
	if err != nil {
		return nil, err
	}
	values, err := s.Values()
	if err != nil {
		return nil, err
	}
	look := result{info.NSems, 0, int(info.Mode)}
	if !info.OTime.IsZero() {
		look[1] = 1
	}
	for _, v := range values {
		look = append(look, int(v))
	}
	for _, query := range []func(int) (int, error){s.PID, s.NCount, s.ZCount} {
		for num := range values {
			n, err := query(num)
			if err != nil {
				return nil, err
			}
			look = append(look, n)
		}
	}
	return look, nil
}

func (w *worker) queue(verb int, a []int) (result, error) {
	q := sysv.Queue(a[0])
	switch verb {
	case msgget:
		q, err := sysv.CreateQueue(sysv.Key(a[0]), nil)
		return result{int(q)}, err
	case msgopen:
		q, err := sysv.OpenQueue(sysv.Key(a[0]))
		return result{int(q)}, err
	case msgsnd:
		return result{0}, w.send(q, message{a[2], a[3], a[4]}, a[1] != waiting)
	case msgrcv:
		return w.receive(q, receive{a[2], a[3], a[4] != 0, a[5] != 0}, a[1] != waiting)
	case msgpeek:
		n, kind, ok, err := q.Peek(a[1], w.buf[:a[2]], false)
		return w.text(n, kind), unless(ok, unix.ENOMSG, err)
	case msgset:
		return result{0}, q.SetOwnership(sysv.Ownership{Mode: fs.FileMode(a[1])}, uint64(a[2]))
	case msgrm:
		return result{0}, q.Remove()
	default:
		i, err := q.Stat()
		return result{int(i.QNum), int(i.CBytes), int(i.QBytes), i.LSPID, i.LRPID, int(i.Mode)}, err
	}
}

func (w *worker) send(q sysv.Queue, m message, try bool) error {
	text := make([]byte, m.length)
	for i := range text {
		text[i] = byte(m.tag)
	}
	if try {
		ok, err := q.TrySend(m.kind, text)
		return unless(ok, unix.EAGAIN, err)
	}
	return w.interruptible(func(ctx context.Context) error { return q.Send(ctx, m.kind, text) })
}

func (w *worker) receive(q sysv.Queue, r receive, try bool) (result, error) {
	var n, kind int
	o := sysv.ReceiveOptions{Type: r.kind, Except: r.except, Truncate: r.truncate}
	if try {
		n, kind, ok, err := q.TryReceive(w.buf[:r.size], o)
		return w.text(n, kind), unless(ok, unix.ENOMSG, err)
	}
	err := w.interruptible(func(ctx context.Context) (err error) {
		n, kind, err = q.Receive(ctx, w.buf[:r.size], o)
		return err
	})
	return w.text(n, kind), err
}

// text describes a message of length n in the buffer.
func (w *worker) text(n, kind int) result {
	sum := 0
	for _, b := range w.buf[:n] {
		sum += int(b)
	}
	return result{n, kind, sum}
}

// interruptible makes a call that the next interrupt cancels.
func (w *worker) interruptible(f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.cancelled <- cancel
	defer func() {
		select {
		case <-w.cancelled: // it was not interrupted
		default:
		}
	}()
	return f(ctx)
}

// interrupt cancels the sleeping call.
func (w *worker) interrupt() { (<-w.cancelled)() }

// ids returns the identifiers of all objects of a kind.
func ids(kind sysv.Kind) (all result, err error) {
	all = result{}
	switch kind {
	case sysv.Shm:
		for i, err := range sysv.Segments() {
			if err != nil {
				return nil, err
			}
			all = append(all, i.ID)
		}
	case sysv.Sem:
		for i, err := range sysv.Sets() {
			if err != nil {
				return nil, err
			}
			all = append(all, i.ID)
		}
	default:
		for i, err := range sysv.Queues() {
			if err != nil {
				return nil, err
			}
			all = append(all, i.ID)
		}
	}
	return all, nil
}

func (w *worker) detachAll() (err error) {
	for slot, mem := range w.attached {
		if mem != nil && mem.Len() > 0 {
			err = errors.Join(err, mem.Detach())
		}
		w.attached[slot] = nil
	}
	return err
}

// removeAll removes everything in the namespace.
func removeAll() error {
	var failed []error
	for _, kind := range []sysv.Kind{sysv.Shm, sysv.Sem, sysv.Msg} {
		all, err := ids(kind)
		failed = append(failed, err)
		for _, id := range all {
			switch kind {
			case sysv.Shm:
				failed = append(failed, sysv.Segment(id).Remove())
			case sysv.Sem:
				failed = append(failed, sysv.Set(id).Remove())
			default:
				failed = append(failed, sysv.Queue(id).Remove())
			}
		}
	}
	return errors.Join(failed...)
}
