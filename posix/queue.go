package posix

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strconv"
	"strings"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/interrupt"
)

// A Queue is an open POSIX message queue. It holds a file descriptor and must be closed.
// The queue itself and its messages live until its name is unlinked and no process has it
// open. The queue belongs to the IPC namespace of the process.
//
// Several goroutines may call the methods at once. Close does not end a blocked call; its
// context does.
type Queue struct {
	file *os.File
	fd   uintptr
	uses uses
	name string
}

// QueueOptions holds the options of a new queue. nil means the zero value.
type QueueOptions struct {
	// Mode holds the permission bits: write to send, read to receive. 0 means 0600,
	// NoAccess means none. The umask of the process applies.
	Mode fs.FileMode
	// MaxMsgs is the number of messages that the queue can hold (mq_maxmsg), and MsgSize
	// the largest size of a message in bytes (mq_msgsize). Set both or neither; 0 means
	// the system's default. MqLimits returns the defaults and the maximums.
	MaxMsgs, MsgSize int
	// AnyOwner lets OpenOrCreateQueue return a queue that belongs to another user.
	AnyOwner bool
}

// CreateQueue creates a message queue and opens it for sending and receiving (mq_open(3)
// with O_CREAT and O_EXCL).
//
// A name has at most 255 bytes, an optional leading slash and no other slash. Errors:
// fs.ErrExist (the name is taken), fs.ErrPermission, EINVAL (an invalid name; Mode has
// more than permission bits; sizes above the limits), ENAMETOOLONG, ENOSPC (queues_max
// reached), EMFILE (RLIMIT_MSGQUEUE reached, or too many descriptors).
func CreateQueue(name string, o *QueueOptions) (*Queue, error) {
	if o == nil {
		o = new(QueueOptions)
	}
	mode, err := permissions(o.Mode)
	if err != nil {
		return nil, failed("mq_open", name, err)
	}
	var attr *abi.MqAttr
	if o.MaxMsgs != 0 || o.MsgSize != 0 {
		attr = &abi.MqAttr{MaxMsg: o.MaxMsgs, MsgSize: o.MsgSize}
	}
	return openQueue(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, uint32(mode), attr)
}

// OpenOrCreateQueue opens the queue called name, or creates one as CreateQueue does; made
// reports whether it did. An existing queue must have the sizes in o and belong to the
// caller or root, unless o has AnyOwner.
//
// Errors: ErrMismatch (other sizes, another owner); those of CreateQueue except
// fs.ErrExist, and of OpenQueue except fs.ErrNotExist.
func OpenOrCreateQueue(name string, o *QueueOptions) (q *Queue, made bool, err error) {
	if o == nil {
		o = new(QueueOptions)
	}
	return openOrCreate(
		func() (*Queue, error) { return CreateQueue(name, o) },
		func() (*Queue, error) {
			q, err := OpenQueue(name, ReadWrite)
			if err != nil {
				return nil, err
			}
			if err := q.fits(o); err != nil {
				return nil, errors.Join(failed("mq_open", name, err), q.Close())
			}
			return q, nil
		})
}

// fits checks that an existing queue is what o asks for.
func (q *Queue) fits(o *QueueOptions) error {
	a, err := q.Attributes()
	if err != nil {
		return err
	}
	if o.MaxMsgs != 0 && (a.MaxMsgs != o.MaxMsgs || a.MsgSize != o.MsgSize) {
		return mismatch("it holds %d messages of %d bytes, not %d of %d", a.MaxMsgs, a.MsgSize, o.MaxMsgs, o.MsgSize)
	}
	info, err := q.Stat()
	if err != nil {
		return err
	}
	return info.fits(o.AnyOwner)
}

// OpenQueue opens the queue called name (mq_open(3)). Errors: fs.ErrNotExist,
// fs.ErrPermission, EINVAL (the name), ENAMETOOLONG.
func OpenQueue(name string, access Access) (*Queue, error) {
	flags, err := access.flags()
	if err != nil {
		return nil, failed("mq_open", name, err)
	}
	return openQueue(name, flags, 0, nil)
}

func openQueue(name string, flags int, mode uint32, attr *abi.MqAttr) (*Queue, error) {
	base, err := fileName("", name)
	if err != nil {
		return nil, failed("mq_open", name, err)
	}
	fd, e := abi.MqOpen(base, flags|abi.OCloexec, mode, attr)
	if e != 0 {
		return nil, failed("mq_open", name, creationError(attr, e))
	}
	return &Queue{file: os.NewFile(uintptr(fd), name), fd: uintptr(fd), name: name}, nil
}

// UnlinkQueue removes the name (mq_unlink(3)). The queue is freed when no process has it
// open. Errors: fs.ErrNotExist, fs.ErrPermission.
func UnlinkQueue(name string) error {
	base, err := fileName("", name)
	if err == nil {
		err = errnoOrNil(abi.MqUnlink(base))
	}
	return failed("mq_unlink", name, err)
}

// Name returns the name under which the queue was opened.
func (q *Queue) Name() string { return q.name }

// Close closes the descriptor (mq_close(3)). Blocked calls stay blocked; the descriptor is
// closed when the last of them returns.
func (q *Queue) Close() error {
	last, err := q.uses.end()
	if last {
		err = q.file.Close()
	}
	return failed("mq_close", q.name, err)
}

// begin keeps the descriptor open until done.
func (q *Queue) begin(op string) error { return failed(op, q.name, q.uses.begin()) }

func (q *Queue) done() {
	if q.uses.done() {
		_ = q.file.Close() // Close has returned
	}
}

// Send adds a message to the queue, before those with a lower priority and after all
// others (mq_send(3)). msg has at most MsgSize bytes, may be empty, and is copied. prio is
// 0 to 32767. Send blocks while the queue is full, occupying a thread, until ctx is done;
// then the error unwraps to ctx.Err() and nothing was sent.
//
// Errors: EMSGSIZE, EINVAL (the priority), EBADF (opened ReadOnly), ENOMEM, fs.ErrClosed.
func (q *Queue) Send(ctx context.Context, msg []byte, prio uint) error {
	if err := ctx.Err(); err != nil {
		return failed("mq_send", q.name, err)
	}
	ok, err := q.TrySend(msg, prio)
	if ok || err != nil {
		return err
	}
	if err := q.begin("mq_send"); err != nil {
		return err
	}
	defer q.done()
	deadline := never()
	err = interrupt.DoRestarted(ctx, deadline, func() abi.Errno {
		return abi.MqTimedsend(q.fd, msg, priority(prio), deadline)
	})
	if err != nil {
		return q.sendError(len(msg), prio, err)
	}
	return nil
}

// never returns the deadline for a wait that only its context ends. The wait sleeps in the
// kernel's own call, which serves senders and receivers in order. poll(2) would not do: it
// never sees a message that goes to a process sleeping in that call.
func never() *abi.Deadline {
	d := new(abi.Deadline)
	d.Set(1<<40, 0)
	return d
}

// TrySend is Send without blocking. It reports whether the queue had room.
func (q *Queue) TrySend(msg []byte, prio uint) (ok bool, err error) {
	if err := q.begin("mq_send"); err != nil {
		return false, err
	}
	defer q.done()
	switch e := abi.TryMqTimedsend(q.fd, msg, priority(prio)); e {
	case 0:
		return true, nil
	case abi.ETIMEDOUT:
		return false, nil
	default:
		return false, q.sendError(len(msg), prio, e)
	}
}

// priority converts a priority to the 32 bits that the kernel takes. A number that is too
// large stays too large.
func priority(prio uint) uint32 { return uint32(min(prio, 1<<31)) }

// maxPriority is the highest priority of a message.
const maxPriority = 32767

// Receive takes the oldest message of the highest priority off the queue (mq_receive(3)),
// copies it to buf, and returns its length and priority. buf must have at least MsgSize
// bytes, however short the message is. Receive blocks, occupying a thread, until there is
// a message or ctx is done; then the error unwraps to ctx.Err() and nothing was taken.
//
// Errors: EMSGSIZE (buf is too short), EBADF (opened WriteOnly), fs.ErrClosed.
func (q *Queue) Receive(ctx context.Context, buf []byte) (n int, prio uint, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, failed("mq_receive", q.name, err)
	}
	n, prio, ok, err := q.TryReceive(buf)
	if ok || err != nil {
		return n, prio, err
	}
	if err := q.begin("mq_receive"); err != nil {
		return 0, 0, err
	}
	defer q.done()
	deadline := never()
	err = interrupt.DoRestarted(ctx, deadline, func() abi.Errno {
		got, p, e := abi.MqTimedreceive(q.fd, buf, deadline)
		n, prio = max(got, 0), uint(p)
		return e
	})
	if err != nil {
		return 0, 0, q.receiveError(len(buf), err)
	}
	return n, prio, nil
}

// TryReceive is Receive without blocking. ok reports whether there was a message.
func (q *Queue) TryReceive(buf []byte) (n int, prio uint, ok bool, err error) {
	if err := q.begin("mq_receive"); err != nil {
		return 0, 0, false, err
	}
	defer q.done()
	switch n, p, e := abi.TryMqTimedreceive(q.fd, buf); e {
	case 0:
		return n, uint(p), true, nil
	case abi.ETIMEDOUT:
		return 0, 0, false, nil
	default:
		return 0, 0, false, q.receiveError(len(buf), e)
	}
}

// Wait blocks, occupying a thread, until the queue has a message or ctx is done (poll(2)).
// It does not take the message, and another receiver may take it first: Wait does not see
// a message that goes to a process sleeping in Receive or mq_receive(3). Unlike with
// mq_notify(3), several processes may wait at the same time, and Wait returns at once if
// there is a message already.
func (q *Queue) Wait(ctx context.Context) error {
	if err := q.begin("poll"); err != nil {
		return err
	}
	defer q.done()
	return failed("poll", q.name, interrupt.Do(ctx, func() abi.Errno { return abi.Poll(q.fd, abi.PollIn) }))
}

// Attributes is struct mq_attr.
type Attributes struct {
	MaxMsgs int // number of messages that the queue can hold
	MsgSize int // largest size of a message in bytes
	CurMsgs int // messages in the queue
}

// Attributes returns the attributes of the queue (mq_getattr(3)).
func (q *Queue) Attributes() (Attributes, error) {
	if err := q.begin("mq_getattr"); err != nil {
		return Attributes{}, err
	}
	attr, e := abi.MqGetattr(q.fd)
	q.done()
	if e != 0 {
		return Attributes{}, failed("mq_getattr", q.name, e)
	}
	return Attributes{attr.MaxMsg, attr.MsgSize, attr.CurMsgs}, nil
}

// Stat returns what the file system reports about the queue (fstat(2)).
func (q *Queue) Stat() (FileInfo, error) {
	info, err := q.file.Stat()
	if err != nil {
		return FileInfo{}, failed("fstat", q.name, err)
	}
	return fileInfo(q.name, info), nil
}

// Chmod sets the permission bits (fchmod(2)), regardless of the umask. Only the
// owner and root may.
func (q *Queue) Chmod(mode fs.FileMode) error {
	if mode&^fs.ModePerm != 0 {
		return failed("fchmod", q.name, refused("mode %v holds more than permission bits", mode))
	}
	return failed("fchmod", q.name, q.file.Chmod(mode))
}

// Chown sets owner and group (fchown(2)); -1 leaves either unchanged.
func (q *Queue) Chown(uid, gid int) error {
	return failed("fchown", q.name, q.file.Chown(uid, gid))
}

// QueueInfo is what the mqueue file system and the queue itself report.
type QueueInfo struct {
	FileInfo
	// Known reports whether the queue could be read. This needs read permission, and the
	// caller must be in the IPC namespace of the file system. If it is false, the other
	// fields except FileInfo mean nothing.
	Known bool
	Attributes
	Bytes     uint64 // bytes in all messages together
	NotifyPID int    // process registered with mq_notify(3), 0 if none
}

// Queues returns all message queues of the IPC namespace whose mqueue file system is
// mounted on /dev/mqueue, ordered by name. A queue created or unlinked meanwhile may be
// included or not. An error ends the sequence: ErrNotMounted if the file system is not
// mounted.
func Queues() iter.Seq2[QueueInfo, error] {
	return func(yield func(QueueInfo, error) bool) {
		if err := checkQueueDir(); err != nil {
			yield(QueueInfo{}, failed("readdir", queueDir, err))
			return
		}
		for info, err := range files(queueDir) {
			if err != nil {
				yield(QueueInfo{}, failed("readdir", queueDir, err))
				return
			}
			if !yield(queueInfo(info), nil) {
				return
			}
		}
	}
}

// queueInfo opens a queue to learn what its file does not show.
func queueInfo(info FileInfo) QueueInfo {
	q := QueueInfo{FileInfo: info}
	text, err := os.ReadFile(queueDir + info.Name)
	if err != nil {
		return q
	}
	if q.Bytes, q.NotifyPID, err = parseQueue(string(text)); err != nil {
		return q
	}
	queue, err := OpenQueue(info.Name, ReadOnly)
	if err != nil {
		return q
	}
	defer queue.Close()
	// If the file system belongs to another IPC namespace, the name opens a different
	// queue.
	opened, err := queue.Stat()
	if err != nil || opened.Dev != info.Dev || opened.Ino != info.Ino {
		return q
	}
	q.Attributes, err = queue.Attributes()
	q.Known = err == nil
	return q
}

// parseQueue parses a file of the mqueue file system:
//
//	QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260
func parseQueue(text string) (bytes uint64, notifyPID int, err error) {
	found := false
	for _, field := range strings.Fields(text) {
		key, value, _ := strings.Cut(field, ":")
		switch key {
		case "QSIZE":
			bytes, err = strconv.ParseUint(value, 10, 64)
			found = true
		case "NOTIFY_PID":
			notifyPID, err = strconv.Atoi(value)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("%q: %w", field, err)
		}
	}
	if !found {
		return 0, 0, fmt.Errorf("no QSIZE in %q", text)
	}
	return bytes, notifyPID, nil
}
