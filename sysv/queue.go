package sysv

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"time"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/interrupt"
)

// A Queue is the identifier (msqid) of a message queue. It holds no resources. The queue
// and its messages live until the queue is removed.
type Queue int

// QueueOptions holds the options of a new queue. nil means the zero value.
type QueueOptions struct {
	// Mode holds the permission bits: write to send, read to receive. 0 means 0600,
	// NoAccess means none.
	Mode fs.FileMode
	// AnyOwner lets OpenOrCreateQueue return a queue that belongs to another user.
	AnyOwner bool
}

// CreateQueue creates a queue under key, or without a key if key is Private. Errors:
// fs.ErrExist (the key is taken), EINVAL (Mode has more than permission bits), ENOSPC
// (MSGMNI reached), ENOMEM. See msgget(2).
func CreateQueue(key Key, o *QueueOptions) (Queue, error) {
	if o == nil {
		o = new(QueueOptions)
	}
	flags, ok := createFlags(o.Mode)
	if !ok {
		return -1, queueError(key, abi.EINVAL)
	}
	id, e := abi.Msgget(int32(key), flags)
	return Queue(id), queueError(key, e)
}

// OpenOrCreateQueue returns the queue under key, or creates one as CreateQueue does; made
// reports whether it did. An existing queue must belong to the caller or root, unless o
// has AnyOwner, and the caller must have read permission. Errors: ErrMismatch (another
// owner), fs.ErrPermission; those of CreateQueue except fs.ErrExist.
func OpenOrCreateQueue(key Key, o *QueueOptions) (q Queue, made bool, err error) {
	if o == nil {
		o = new(QueueOptions)
	}
	return openOrCreate(key,
		func() (Queue, error) { return CreateQueue(key, o) },
		func() (Queue, error) { return OpenQueue(key) },
		func(q Queue) error {
			info, err := q.Stat()
			if err != nil {
				return err
			}
			return info.fits(Msg, key, o.AnyOwner)
		})
}

// OpenQueue finds the queue under key. Errors: fs.ErrNotExist, ErrPrivateKey.
func OpenQueue(key Key) (Queue, error) {
	if key == Private {
		return -1, &Error{Op: "msgget", Kind: Msg, ByKey: true, Key: key, Err: ErrPrivateKey}
	}
	id, e := abi.Msgget(int32(key), 0)
	return Queue(id), keyError("msgget", Msg, key, e)
}

// stackText is the longest message text, in bytes, for which no call allocates.
const stackText = 512

// Send appends a message to the queue. mtype is at least 1 and fits a C long, which has 32
// bits on 32-bit architectures. text has at most MSGMAX bytes, may be empty, and is
// copied. Send blocks while the queue is full, occupying a thread, until ctx is done; then
// the error unwraps to ctx.Err() and nothing was sent.
//
// Errors: fs.ErrPermission, EIDRM (removed meanwhile), EINVAL (no such queue; mtype below
// 1; text longer than MSGMAX or than the queue can ever hold), ENOMEM. See msgsnd(2).
func (q Queue) Send(ctx context.Context, mtype int, text []byte) error {
	if err := ctx.Err(); err != nil {
		return sendError(q, mtype, len(text), err)
	}
	ok, err := q.TrySend(mtype, text)
	if ok || err != nil {
		return err
	}
	if err := q.neverFits(len(text)); err != nil {
		return err
	}
	msg := append(make([]byte, abi.MsgHeader, abi.MsgHeader+len(text)), text...)
	abi.PutMsgType(msg, mtype)
	err = interrupt.Do(ctx, func() abi.Errno { return abi.Msgsnd(int(q), msg, 0) })
	if err != nil {
		return sendError(q, mtype, len(text), err)
	}
	return nil
}

// TrySend is Send without blocking. It reports whether the queue had room.
func (q Queue) TrySend(mtype int, text []byte) (bool, error) {
	var buf [abi.MsgHeader + stackText]byte
	msg := append(buf[:abi.MsgHeader], text...)
	abi.PutMsgType(msg, mtype)
	switch e := abi.TryMsgsnd(int(q), msg, 0); e {
	case 0:
		return true, nil
	case abi.EAGAIN:
		return false, nil
	default:
		return false, sendError(q, mtype, len(text), e)
	}
}

// ReceiveOptions selects the message that Receive takes.
type ReceiveOptions struct {
	// Type 0 selects the first message. A type above 0 selects the first message of that
	// type. A type below 0 selects the first message of the lowest type that is not above
	// its absolute value.
	Type int
	// Except (MSG_EXCEPT) selects the first message that is not of Type. Type must be
	// above 0; otherwise the kernel ignores Except.
	Except bool
	// Truncate (MSG_NOERROR) cuts a text that is longer than the buffer; the rest is lost.
	// Without it, such a message stays in the queue, and the error is E2BIG.
	Truncate bool
}

func (o ReceiveOptions) flags() (flags int) {
	if o.Except {
		flags |= abi.MsgExcept
	}
	if o.Truncate {
		flags |= abi.MsgNoError
	}
	return flags
}

// Receive takes a message off the queue, copies its text to buf, and returns the text's
// length and the message's type. It blocks, occupying a thread, until there is a message
// that o selects, or until ctx is done; then the error unwraps to ctx.Err() and nothing
// was taken.
//
// Errors: fs.ErrPermission, E2BIG (see ReceiveOptions), EIDRM (removed meanwhile), EINVAL
// (no such queue). See msgrcv(2).
func (q Queue) Receive(ctx context.Context, buf []byte, o ReceiveOptions) (n, mtype int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, receiveError(q, len(buf), err)
	}
	n, mtype, ok, err := q.TryReceive(buf, o)
	if ok || err != nil {
		return n, mtype, err
	}
	msg := make([]byte, abi.MsgHeader+len(buf))
	err = interrupt.Do(ctx, func() (e abi.Errno) {
		n, e = abi.Msgrcv(int(q), msg, o.Type, o.flags())
		return e
	})
	if err != nil {
		return 0, 0, receiveError(q, len(buf), err)
	}
	copy(buf, msg[abi.MsgHeader:][:n])
	return n, abi.MsgType(msg), nil
}

// TryReceive is Receive without blocking. ok reports whether there was a message.
func (q Queue) TryReceive(buf []byte, o ReceiveOptions) (n, mtype int, ok bool, err error) {
	return q.take(buf, o.Type, o.flags())
}

// Peek copies the message at position index, counted from 0, and leaves it in the queue
// (MSG_COPY). ok reports whether there is one. A text longer than buf is cut if truncate
// is set; otherwise the error is E2BIG. A kernel without checkpoint/restore returns
// errors.ErrUnsupported.
func (q Queue) Peek(index int, buf []byte, truncate bool) (n, mtype int, ok bool, err error) {
	n, mtype, ok, err = q.take(buf, index, abi.MsgCopy)
	if !truncate {
		return n, mtype, ok, err
	}
	// With MSG_COPY, the kernel does not truncate.
	for size := 2 * max(len(buf), stackText); errors.Is(err, abi.E2BIG); size *= 2 {
		whole := make([]byte, size)
		n, mtype, ok, err = q.take(whole, index, abi.MsgCopy)
		n = copy(buf, whole[:n])
	}
	return n, mtype, ok, err
}

func (q Queue) take(buf []byte, selector, flags int) (n, mtype int, ok bool, err error) {
	var space [abi.MsgHeader + stackText]byte
	msg := space[:]
	if len(buf) > stackText {
		msg = make([]byte, abi.MsgHeader+len(buf))
	}
	msg = msg[:abi.MsgHeader+len(buf)]
	n, e := abi.TryMsgrcv(int(q), msg, selector, flags)
	switch e {
	case 0:
		copy(buf, msg[abi.MsgHeader:][:n])
		return n, abi.MsgType(msg), true, nil
	case abi.ENOMSG:
		return 0, 0, false, nil
	default:
		return 0, 0, false, receiveError(q, len(buf), e)
	}
}

// QueueInfo is struct msqid_ds. A process id is 0 if no process did it, or if the process
// is not visible in the caller's PID namespace. A zero Time means never. LRPID is a thread
// id if the receiver had to wait for the message.
type QueueInfo struct {
	ID int
	Perm
	CBytes uint64    // bytes of text in the queue
	QNum   uint64    // messages in the queue
	QBytes uint64    // limit on bytes of text in the queue
	LSPID  int       // process that sent last
	LRPID  int       // process that received last
	STime  time.Time // last sent
	RTime  time.Time // last received
	CTime  time.Time // created, or last changed by IPC_SET
}

func queueInfo(id int, ds *abi.MsqidDS) QueueInfo {
	return QueueInfo{
		ID: id, Perm: perm(ds.Perm),
		CBytes: ds.Cbytes, QNum: ds.Qnum, QBytes: ds.Qbytes, LSPID: int(ds.Lspid), LRPID: int(ds.Lrpid),
		STime: unixTime(ds.Stime), RTime: unixTime(ds.Rtime), CTime: unixTime(ds.Ctime),
	}
}

// Stat returns what the kernel records about the queue (IPC_STAT). It needs read
// permission. See msgctl(2).
func (q Queue) Stat() (QueueInfo, error) {
	ds, _, e := abi.Msgstat(int(q), abi.IPCStat)
	if e != 0 {
		return QueueInfo{}, lookupError("msgctl IPC_STAT", Msg, int(q), e)
	}
	return queueInfo(int(q), &ds), nil
}

// StatAny is Stat without the permission check (MSG_STAT_ANY), like Segment.StatAny.
func (q Queue) StatAny() (QueueInfo, error) {
	ds, id, e := abi.Msgstat(int(q), abi.MsgStatAny)
	if e == 0 && id != int(q) {
		e = abi.EINVAL
	}
	if e != 0 {
		return QueueInfo{}, lookupError("msgctl MSG_STAT_ANY", Msg, int(q), e)
	}
	return queueInfo(id, &ds), nil
}

// SetOwnership changes the owner and the permission bits, and the byte limit of the queue,
// which the kernel sets in the same call (IPC_SET).
// Only the owner, the creator and a process with CAP_SYS_ADMIN may do so; raising qbytes
// above MSGMNB needs CAP_SYS_RESOURCE. EINVAL: no such queue, a user or group that does
// not exist in the user namespace, or a qbytes beyond 31 bits, which the kernel would
// truncate.
func (q Queue) SetOwnership(o Ownership, qbytes uint64) error {
	mode, ok := o.setFlags()
	if !ok || qbytes > math.MaxInt32 {
		return idError("msgctl IPC_SET", Msg, int(q), abi.EINVAL)
	}
	return vagueError("msgctl IPC_SET", Msg, int(q), abi.Msgset(int(q), o.UID, o.GID, mode, qbytes), statQueue)
}

// Remove removes the queue and its messages at once (IPC_RMID). Calls blocked on it return
// EIDRM. Only the owner, the creator and a process with CAP_SYS_ADMIN may remove it.
func (q Queue) Remove() error {
	return lookupError("msgctl IPC_RMID", Msg, int(q), abi.Msgrmid(int(q)))
}
