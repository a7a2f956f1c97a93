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

// A Queue is the identifier (msqid) of a message queue. Like a Segment it holds
// nothing: the queue and its messages live until it is removed.
type Queue int

// QueueOptions says how a queue is made. nil stands for the zero value.
type QueueOptions struct {
	// Mode holds the permission bits: write to send, read to receive. 0 stands for 0600,
	// NoAccess for none.
	Mode fs.FileMode
	// AnyOwner lets OpenOrCreateQueue take a queue that belongs to another user.
	AnyOwner bool
}

// CreateQueue makes a queue under key, or without a key if that is Private. Errors:
// fs.ErrExist (the key is taken), EINVAL (more than permission bits in Mode), ENOSPC
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

// OpenOrCreateQueue returns the queue under key, made as CreateQueue does if there was
// none; made reports which. One that exists must belong to the caller or root, unless o
// says AnyOwner, and the caller must be allowed to read it. Errors: ErrMismatch (another
// owner), fs.ErrPermission; those of CreateQueue but fs.ErrExist.
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

// stackText is the length of a message's text up to which no call allocates.
const stackText = 512

// Send appends a message: a type, which is 1 or more (32 bits on 32-bit
// architectures, a C long), and a text of up to MSGMAX bytes, which may be empty
// and is copied. It waits while the queue is full, or until ctx is done; then the
// error unwraps to ctx.Err() and nothing was sent. While it waits it occupies a
// thread of the operating system.
//
// Errors: fs.ErrPermission, EIDRM (removed meanwhile), EINVAL (no such queue, a
// type below 1, a text longer than MSGMAX or than all that the queue may hold), ENOMEM.
// See msgsnd(2).
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

// TrySend is Send without waiting; it tells whether the queue had room.
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

// ReceiveOptions says which message Receive takes, and how.
type ReceiveOptions struct {
	// Type 0 takes the first message; a type above 0 the first of that type; one
	// below 0 the first of the lowest type that is not above its absolute value.
	Type int
	// Except (MSG_EXCEPT) takes the first message that is not of Type, which must
	// be above 0: the kernel does not heed Except otherwise.
	Except bool
	// Truncate (MSG_NOERROR) cuts a text that is longer than the buffer; the rest
	// is lost. Otherwise such a message stays where it is, and the error is E2BIG.
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

// Receive takes a message off the queue. It copies the text to buf and returns its
// length and the message's type. It waits until there is a message that o
// selects, or until ctx is done; then the error unwraps to ctx.Err() and nothing
// was taken. While it waits it occupies a thread of the operating system.
//
// Errors: fs.ErrPermission, E2BIG (see ReceiveOptions), EIDRM (removed meanwhile),
// EINVAL (no such queue). See msgrcv(2).
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

// TryReceive is Receive without waiting; ok tells whether there was a message.
func (q Queue) TryReceive(buf []byte, o ReceiveOptions) (n, mtype int, ok bool, err error) {
	return q.take(buf, o.Type, o.flags())
}

// Peek copies the message at position index (MSG_COPY), the first being 0, and
// leaves it in the queue; ok tells whether there is one. If truncate is set a text
// longer than buf is cut, otherwise it is E2BIG. Kernels without checkpoint and
// restore can't: errors.ErrUnsupported.
func (q Queue) Peek(index int, buf []byte, truncate bool) (n, mtype int, ok bool, err error) {
	n, mtype, ok, err = q.take(buf, index, abi.MsgCopy)
	if !truncate {
		return n, mtype, ok, err
	}
	// The kernel does not cut a message that it copies.
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

// QueueInfo is struct msqid_ds. Process ids are 0 where none did or where the
// process is not visible in the caller's pid namespace; a zero Time means never.
// LRPID is the id of a thread if that had to wait for the message.
type QueueInfo struct {
	ID int
	Perm
	CBytes uint64    // bytes of text in the queue
	QNum   uint64    // messages in the queue
	QBytes uint64    // how many bytes of text the queue may hold
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

// Stat returns all that the kernel knows of the queue (IPC_STAT). It needs read
// permission. See msgctl(2).
func (q Queue) Stat() (QueueInfo, error) {
	ds, _, e := abi.Msgstat(int(q), abi.IPCStat)
	if e != 0 {
		return QueueInfo{}, lookupError("msgctl IPC_STAT", Msg, int(q), e)
	}
	return queueInfo(int(q), &ds), nil
}

// Set changes owner, permission bits and the number of bytes that the queue may
// hold (IPC_SET). Only the owner, the creator and a process with CAP_SYS_ADMIN
// may; raising qbytes above MSGMNB takes CAP_SYS_RESOURCE. EINVAL: no such queue, a
// user or group that the user namespace does not know, or a qbytes beyond 31 bits,
// which the kernel would cut.
func (q Queue) Set(o Ownership, qbytes uint64) error {
	mode, ok := o.setFlags()
	if !ok || qbytes > math.MaxInt32 {
		return idError("msgctl IPC_SET", Msg, int(q), abi.EINVAL)
	}
	return vagueError("msgctl IPC_SET", Msg, int(q), abi.Msgset(int(q), o.UID, o.GID, mode, qbytes), statQueue)
}

// Remove removes the queue and its messages at once (IPC_RMID); whoever waits on
// it gets EIDRM. Only the owner, the creator and a process with CAP_SYS_ADMIN may.
func (q Queue) Remove() error {
	return lookupError("msgctl IPC_RMID", Msg, int(q), abi.Msgrmid(int(q)))
}
