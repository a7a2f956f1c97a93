package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"math/rand/v2"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// A kind is how a way is made and used.
type kind struct {
	// spins is set if the way spins only if it may run on more than one processor.
	spins bool
	// create makes what the processes share, for messages of a size.
	create func(size int) (*objects, error)
	// open makes a process's link.
	open func(r role) (link, error)
	// orphaned removes objects whose creator was killed; both peers call it.
	orphaned func(names []string) error
}

// objects are what the processes share. Objects without a file have an identifier or
// name.
type objects struct {
	files  []*os.File
	names  []string
	remove func() error
}

func kindOf(w Way) kind {
	switch w {
	case SysVSemaphores:
		return kind{spins: true, create: createSysVSlots, open: openSysVSlots, orphaned: removeSet}
	case POSIXSemaphores:
		return kind{spins: true, create: createPOSIXSlots, open: openPOSIXSlots, orphaned: nothing}
	case Ring:
		return kind{spins: true, create: createRings, open: openRing, orphaned: nothing}
	case Stream:
		return kind{spins: true, create: createRings, open: openStream, orphaned: nothing}
	case Pipe:
		return kind{create: createPipes, open: openPipes, orphaned: nothing}
	case Unix:
		return kind{create: createSockets, open: openSocket, orphaned: nothing}
	case SysVQueue:
		return kind{create: createSysVQueues, open: openSysVQueues, orphaned: removeSysVQueues}
	case POSIXQueue:
		return kind{create: createPOSIXQueues, open: openPOSIXQueues, orphaned: removePOSIXQueues}
	default:
		return kind{create: createNothing, open: openCopies, orphaned: nothing}
	}
}

func nothing([]string) error { return nil }

// capacity returns the memory of one direction: what fits most processors' caches or,
// if larger, four messages. It is a power of two.
func capacity(size int) int { return max(4<<20, 1<<bits.Len(uint(4*size-1))) }

// directions picks from a pair, one element for each direction: side 0 sends through
// the first and side 1 through the second.
func directions[T any](side int, both [2]T) (out, in T) { return both[side], both[1-side] }

func createRings(size int) (*objects, error) {
	length := shmring.Size(capacity(size))
	return createMemory(2*length, func(m *posix.Mapping) error {
		for i := range 2 {
			if _, err := shmring.Create(m.Bytes()[i*length:][:length], nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// createMemory makes memory without a name, which ends with its users.
func createMemory(length int, initialize func(*posix.Mapping) error) (*objects, error) {
	object, err := posix.CreateMemfd("gshm bench", int64(length), nil)
	if err != nil {
		return nil, err
	}
	shared := &objects{remove: object.Close}
	object.PassTo(&shared.files)
	m, err := object.Map(nil)
	if err == nil {
		err = errors.Join(m.Prefault(), initialize(m), m.Unmap())
	}
	if err != nil {
		return nil, errors.Join(err, object.Close())
	}
	return shared, nil
}

// mapMemory maps the memory of fd for the life of the process.
func mapMemory(fd int) (*posix.Mapping, error) {
	object, err := posix.Inherit(fd)
	if err != nil {
		return nil, err
	}
	m, err := object.Map(nil)
	if err != nil {
		return nil, err
	}
	return m, m.Prefault()
}

func openRings(r role) (p *shmring.Producer, c *shmring.Consumer, err error) {
	m, err := mapMemory(r.fd)
	if err != nil {
		return nil, nil, err
	}
	var rings [2]*shmring.Ring
	half := m.Len() / 2
	for i := range rings {
		if rings[i], err = shmring.Open(m.Bytes()[i*half:][:half]); err != nil {
			return nil, nil, err
		}
	}
	out, in := directions(r.side, rings)
	if p, err = out.JoinProducer(); err == nil {
		c, err = in.JoinConsumer()
	}
	return p, c, err
}

func openRing(r role) (link, error) {
	p, c, err := openRings(r)
	return &ring{p, c}, err
}

func openStream(r role) (link, error) {
	p, c, err := openRings(r)
	if err != nil {
		return nil, err
	}
	return &stream{p.Writer(forEver()), c.Reader(forEver())}, nil
}

// slotLayout returns the distance between slots for messages of a size, and the number
// of slots of a direction: 16, or fewer if messages are large.
func slotLayout(size int) (stride, n int) {
	const line = 64
	stride = (size + line - 1) / line * line
	return stride, min(16, capacity(size)/stride)
}

// Each direction has a semaphore for free slots and one for full slots.
const slotSemaphores = 4

func createSysVSlots(size int) (*objects, error) {
	stride, n := slotLayout(size)
	length := int64(2 * n * stride)
	segment, err := sysv.CreateSegment(sysv.Private, length, nil)
	if err != nil {
		return nil, err
	}
	mem, err := segment.Attach(nil)
	// A segment can be attached by identifier until the last detach. Marked for removal
	// now, it cannot outlive its users.
	if err = errors.Join(err, segment.Remove()); err != nil {
		return nil, err
	}
	set, err := sysv.CreateSet(sysv.Private, slotSemaphores, nil)
	if err != nil {
		return nil, errors.Join(err, mem.Detach())
	}
	shared := &objects{
		names:  []string{strconv.Itoa(int(segment)), strconv.Itoa(int(set))},
		remove: func() error { return errors.Join(set.Remove(), mem.Detach()) },
	}
	if err := errors.Join(mem.Prefault(), set.SetValues([]uint16{uint16(n), 0, uint16(n), 0})); err != nil {
		return nil, errors.Join(err, shared.remove())
	}
	return shared, nil
}

func openSysVSlots(r role) (link, error) {
	ids, err := identifiers(r.names)
	if err != nil {
		return nil, err
	}
	mem, err := sysv.Segment(ids[0]).Attach(nil)
	if err != nil {
		return nil, err
	}
	return newSlots(r, mem.Bytes(), func(num int) (semaphore, error) {
		s, err := semops.NewSemaphore(sysv.Set(ids[1]), num, nil)
		return sysvSemaphore{s}, err
	})
}

// identifiers parses the two identifiers that name System V objects.
func identifiers(names []string) (ids [2]int, err error) {
	if len(names) != len(ids) {
		return ids, fmt.Errorf("%q are not two identifiers", names)
	}
	for i, name := range names {
		if ids[i], err = strconv.Atoi(name); err != nil {
			return ids, err
		}
	}
	return ids, nil
}

func removeSet(names []string) error {
	ids, err := identifiers(names)
	if err != nil {
		return err
	}
	return gone(sysv.Set(ids[1]).Remove())
}

// gone ignores the error for an object that another process has removed.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// semaphoreSpace is the distance of POSIX semaphores, so that they share no cache line.
const semaphoreSpace = 128

func createPOSIXSlots(size int) (*objects, error) {
	stride, n := slotLayout(size)
	return createMemory(slotSemaphores*semaphoreSpace+2*n*stride, func(m *posix.Mapping) error {
		for i, value := range [slotSemaphores]int{n, 0, n, 0} {
			if _, err := posix.InitSemaphore(m, i*semaphoreSpace, value); err != nil {
				return err
			}
		}
		return nil
	})
}

func openPOSIXSlots(r role) (link, error) {
	m, err := mapMemory(r.fd)
	if err != nil {
		return nil, err
	}
	return newSlots(r, m.Bytes()[slotSemaphores*semaphoreSpace:], func(num int) (semaphore, error) {
		s, err := posix.SemaphoreAt(m, num*semaphoreSpace)
		return posixSemaphore{s}, err
	})
}

func createPipes(int) (*objects, error) {
	var fds [4]int
	if err := unix.Pipe2(fds[:2], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	there := newFiles(fds[:2])
	if err := unix.Pipe2(fds[2:], unix.O_CLOEXEC); err != nil {
		return nil, errors.Join(os.NewSyscallError("pipe2", err), there.remove())
	}
	back := newFiles(fds[2:])
	return &objects{
		files:  append(there.files, back.files...),
		remove: func() error { return errors.Join(there.remove(), back.remove()) },
	}, nil
}

func openPipes(r role) (link, error) {
	out, in := directions(r.side, [2]int{r.fd, r.fd + 2})
	return descriptors{in: in, out: out + 1}, nil
}

func createSockets(int) (*objects, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	return newFiles(pair[:]), nil
}

func openSocket(r role) (link, error) { return descriptors{in: r.fd + r.side, out: r.fd + r.side}, nil }

func newFiles(fds []int) *objects {
	shared := new(objects)
	for _, fd := range fds {
		shared.files = append(shared.files, os.NewFile(uintptr(fd), "gshm bench"))
	}
	shared.remove = func() (err error) {
		for _, f := range shared.files {
			err = errors.Join(err, f.Close())
		}
		return err
	}
	return shared
}

func createSysVQueues(size int) (*objects, error) {
	limits, err := sysvipc.MsgLimits()
	if err != nil {
		return nil, err
	}
	if size > min(limits.MaxSize, limits.MaxBytes) {
		return nil, ErrTooLarge
	}
	shared := new(objects)
	shared.remove = func() error { return removeSysVQueues(shared.names) }
	for range 2 {
		q, err := sysv.CreateQueue(sysv.Private, nil)
		if err != nil {
			return nil, errors.Join(err, shared.remove())
		}
		shared.names = append(shared.names, strconv.Itoa(int(q)))
	}
	return shared, nil
}

func openSysVQueues(r role) (link, error) {
	ids, err := identifiers(r.names)
	out, in := directions(r.side, ids)
	return sysvQueues{in: sysv.Queue(in), out: sysv.Queue(out)}, err
}

func removeSysVQueues(names []string) (err error) {
	for _, name := range names {
		id, notNumber := strconv.Atoi(name)
		if notNumber != nil {
			return notNumber
		}
		err = errors.Join(err, gone(sysv.Queue(id).Remove()))
	}
	return err
}

func createPOSIXQueues(size int) (*objects, error) {
	limits, err := posix.MqLimits()
	if err != nil {
		return nil, err
	}
	if size > limits.MsgSizeMax {
		return nil, ErrTooLarge
	}
	shared := new(objects)
	shared.remove = func() error { return removePOSIXQueues(shared.names) }
	for range 2 {
		name := fmt.Sprintf("/gshm-bench-%d-%08x", os.Getpid(), rand.Uint32())
		q, err := posix.CreateQueue(name, &posix.QueueOptions{Mode: 0o600, MaxMsgs: min(10, limits.MsgMax), MsgSize: size})
		if err != nil {
			return nil, errors.Join(err, shared.remove())
		}
		shared.names = append(shared.names, name)
		if err := q.Close(); err != nil {
			return nil, errors.Join(err, shared.remove())
		}
	}
	return shared, nil
}

func openPOSIXQueues(r role) (_ link, err error) {
	if len(r.names) != 2 {
		return nil, fmt.Errorf("%q are not two names", r.names)
	}
	var l posixQueues
	out, in := directions(r.side, [2]string{r.names[0], r.names[1]})
	if l.out, err = posix.OpenQueue(out, posix.WriteOnly); err == nil {
		l.in, err = posix.OpenQueue(in, posix.ReadOnly)
	}
	return l, err
}

func removePOSIXQueues(names []string) (err error) {
	for _, name := range names {
		err = errors.Join(err, gone(posix.UnlinkQueue(name)))
	}
	return err
}

func createNothing(int) (*objects, error) {
	return &objects{remove: func() error { return nil }}, nil
}

func openCopies(r role) (link, error) {
	memory := make([]byte, capacity(r.size))
	for i := range memory { // makes the pages present
		memory[i] = more
	}
	return &copies{memory: memory}, nil
}
