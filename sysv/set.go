package sysv

import (
	"context"
	"io/fs"
	"math"
	"slices"
	"time"

	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/interrupt"
)

// A Set is the identifier (semid) of a semaphore set. It holds no resources. The set lives
// until it is removed.
type Set int

// SetOptions holds the options of a new set. nil means the zero value.
type SetOptions struct {
	// Mode holds the permission bits: write to alter a semaphore, read to wait for zero. 0
	// means 0600, NoAccess means none.
	Mode fs.FileMode
	// AnyOwner lets OpenOrCreateSet return a set that belongs to another user.
	AnyOwner bool
}

// CreateSet creates a set of nsems semaphores, all zero, under key, or without a key if
// key is Private. A process that finds the set before its creator has set the values sees
// zeros; CreateSetWith and OpenOrCreateSet avoid this.
//
// Errors: fs.ErrExist (the key is taken), EINVAL (nsems below 1 or above SEMMSL; Mode has
// more than permission bits), ENOSPC (SEMMNI or SEMMNS reached), ENOMEM. See semget(2).
func CreateSet(key Key, nsems int, o *SetOptions) (Set, error) {
	if o == nil {
		o = new(SetOptions)
	}
	flags, ok := createFlags(o.Mode)
	if !ok {
		return -1, setError(key, nsems, abi.EINVAL)
	}
	id, e := abi.Semget(int32(key), nsems, flags)
	return Set(id), setError(key, nsems, e)
}

// OpenSet finds the set under key. Errors: fs.ErrNotExist, ErrPrivateKey.
func OpenSet(key Key) (Set, error) {
	if key == Private {
		return -1, &Error{Op: "semget", Kind: Sem, ByKey: true, Key: key, Err: ErrPrivateKey}
	}
	id, e := abi.Semget(int32(key), 0, 0)
	return Set(id), keyError("semget", Sem, key, e)
}

// An Op is one operation on one semaphore of a set (struct sembuf).
type Op struct {
	Num  uint16 // which semaphore
	Add  int16  // above 0: add; below 0: block until the value is large enough, and subtract; 0: wait for zero
	Undo bool   // SEM_UNDO: reverse it when the process ends
	// NoWait (IPC_NOWAIT) makes the whole call fail with EAGAIN if this operation would
	// block.
	NoWait bool
}

// stackOps is the number of operations up to which a call does not allocate.
const stackOps = 8

// appendSembufs appends ops to dst in the kernel's form, adding flags to each.
func appendSembufs(dst []abi.Sembuf, ops []Op, flags int16) []abi.Sembuf {
	for _, op := range ops {
		b := abi.Sembuf{Num: op.Num, Op: op.Add, Flg: flags}
		if op.Undo {
			b.Flg |= abi.SemUndo
		}
		if op.NoWait {
			b.Flg |= abi.IPCNoWait
		}
		dst = append(dst, b)
	}
	return dst
}

// Do performs ops atomically and in order: all of them or none (semop(2)). It blocks,
// occupying a thread, while one of them has to, or until ctx is done; then the error
// unwraps to ctx.Err() and nothing was done. A ctx that is done already also ends a call
// that would not block.
//
// Errors: fs.ErrPermission, EAGAIN (an operation with NoWait would block), EIDRM (removed
// meanwhile), EINVAL (no such set, or no operation), EFBIG (no such semaphore), E2BIG
// (more than SEMOPM operations), ERANGE (a value would exceed 32767, or an undo adjustment
// leave -32768..32767), ENOSPC, ENOMEM (undo structures).
func (s Set) Do(ctx context.Context, ops ...Op) error {
	if err := ctx.Err(); err != nil {
		return opError(s, ops, err)
	}
	var buf [stackOps]abi.Sembuf
	e := abi.TrySemop(int(s), appendSembufs(buf[:0], ops, abi.IPCNoWait))
	switch e {
	case 0:
		return nil
	case abi.EAGAIN:
		return s.Wait(ctx, ops...)
	default:
		return opError(s, ops, e)
	}
}

// Wait is Do for a caller that expects to block, because it has just tried. It checks ctx
// first and then sleeps without trying first. If no operation has to wait, they are
// performed at once. Errors: those of Do.
func (s Set) Wait(ctx context.Context, ops ...Op) error {
	if len(ops) == 0 {
		return opError(s, ops, abi.EINVAL)
	}
	sembufs := appendSembufs(make([]abi.Sembuf, 0, stackOps), ops, 0)
	err := interrupt.Do(ctx, func() abi.Errno { return abi.Semop(int(s), sembufs) })
	return opError(s, ops, err)
}

// TryDo performs ops atomically if none of them would block, and reports whether it did.
// It does not allocate for up to eight operations.
func (s Set) TryDo(ops ...Op) (bool, error) {
	var buf [stackOps]abi.Sembuf
	switch e := abi.TrySemop(int(s), appendSembufs(buf[:0], ops, abi.IPCNoWait)); e {
	case 0:
		return true, nil
	case abi.EAGAIN:
		return false, nil
	default:
		return false, opError(s, ops, e)
	}
}

// opError returns the *Error of a semop, or nil if it succeeded. EINVAL means that there
// is no such set, unless there are no operations.
func opError(s Set, ops []Op, err error) error {
	if err == nil {
		return nil
	}
	return &Error{
		Op: "semop", Kind: Sem, ID: int(s), Count: len(ops), Reason: opReason(s, ops, err),
		Err: err, unknownID: err == error(abi.EINVAL) && len(ops) > 0,
	}
}

// SetInfo is struct semid_ds. A zero Time means never.
type SetInfo struct {
	ID int
	Perm
	NSems int
	OTime time.Time // last semop
	CTime time.Time // created, or last changed by IPC_SET, SETVAL or SETALL
}

func setInfo(id int, ds *abi.SemidDS) SetInfo {
	return SetInfo{
		ID: id, Perm: perm(ds.Perm), NSems: int(ds.Nsems),
		OTime: unixTime(ds.Otime), CTime: unixTime(ds.Ctime),
	}
}

// Stat returns what the kernel records about the set (IPC_STAT). It needs read permission.
// See semctl(2).
func (s Set) Stat() (SetInfo, error) {
	ds, _, e := abi.Semstat(int(s), abi.IPCStat)
	if e != 0 {
		return SetInfo{}, lookupError("semctl IPC_STAT", Sem, int(s), e)
	}
	return setInfo(int(s), &ds), nil
}

// StatAny is Stat without the permission check (SEM_STAT_ANY), like Segment.StatAny.
func (s Set) StatAny() (SetInfo, error) {
	ds, id, e := abi.Semstat(int(s), abi.SemStatAny)
	if e == 0 && id != int(s) {
		e = abi.EINVAL
	}
	if e != 0 {
		return SetInfo{}, lookupError("semctl SEM_STAT_ANY", Sem, int(s), e)
	}
	return setInfo(id, &ds), nil
}

// SetOwnership changes the owner and the permission bits (IPC_SET). Only the owner, the
// creator and a process with CAP_SYS_ADMIN may do so. EINVAL: no such set, or a user or
// group that does not exist in the user namespace.
func (s Set) SetOwnership(o Ownership) error {
	mode, ok := o.setFlags()
	if !ok {
		return idError("semctl IPC_SET", Sem, int(s), abi.EINVAL)
	}
	return vagueError("semctl IPC_SET", Sem, int(s), abi.Semset(int(s), o.UID, o.GID, mode), statSet)
}

// Remove removes the set at once (IPC_RMID). Calls blocked on it return EIDRM. Only the
// owner, the creator and a process with CAP_SYS_ADMIN may remove it.
func (s Set) Remove() error {
	return lookupError("semctl IPC_RMID", Sem, int(s), abi.Semrmid(int(s)))
}

// Value returns the value of semaphore num (GETVAL).
func (s Set) Value(num int) (int, error) { return s.query("semctl GETVAL", num, abi.GetVal) }

// PID returns the process that last operated on semaphore num, by semop, SETVAL, SETALL or
// an undo (GETPID). It is 0 if none did, or if the process is not visible in the caller's
// PID namespace.
func (s Set) PID(num int) (int, error) { return s.query("semctl GETPID", num, abi.GetPid) }

// NCount returns the number of threads that wait for semaphore num to increase (GETNCNT).
func (s Set) NCount(num int) (int, error) { return s.query("semctl GETNCNT", num, abi.GetNcnt) }

// ZCount returns the number of threads that wait for semaphore num to be zero (GETZCNT).
func (s Set) ZCount(num int) (int, error) { return s.query("semctl GETZCNT", num, abi.GetZcnt) }

func (s Set) query(op string, num, cmd int) (int, error) {
	v, e := abi.Semquery(int(s), num, cmd)
	return v, vagueError(op, Sem, int(s), e, statSet)
}

// SetValue sets semaphore num to a value from 0 to 32767 (SETVAL). It clears the undo
// adjustments of all processes for that semaphore. A value out of range is ERANGE.
func (s Set) SetValue(num, value int) error {
	if value != int(int32(value)) {
		return idError("semctl SETVAL", Sem, int(s), abi.ERANGE)
	}
	return vagueError("semctl SETVAL", Sem, int(s), abi.Semsetval(int(s), num, value), statSet)
}

// Values returns the values of all semaphores, read atomically (GETALL).
func (s Set) Values() ([]uint16, error) {
	info, err := s.Stat()
	if err != nil {
		return nil, err
	}
	values := roomFor(info.NSems)
	if e := abi.Semall(int(s), abi.GetAll, values); e != 0 {
		return nil, lookupError("semctl GETALL", Sem, int(s), e)
	}
	return slices.Clone(values[:info.NSems]), nil
}

// roomFor returns a buffer for the values of n semaphores. It is large enough for any
// other set, because another set may have got the identifier since n was read, and the
// kernel does not check the buffer's length. An operation can address 65,536 semaphores at
// most.
func roomFor(n int) []uint16 { return make([]uint16, max(n, math.MaxUint16+1)) }

// SetValues sets the values of all semaphores atomically (SETALL). There must be one value
// for each semaphore; otherwise the error is EINVAL. The kernel does not check this, so
// SetValues calls Stat first, which needs read permission. It clears the undo adjustments
// of all processes for the set.
func (s Set) SetValues(values []uint16) error {
	info, err := s.Stat()
	if err != nil {
		return err
	}
	if len(values) != info.NSems {
		return idError("semctl SETALL", Sem, int(s), abi.EINVAL)
	}
	room := roomFor(info.NSems)
	copy(room, values)
	return lookupError("semctl SETALL", Sem, int(s), abi.Semall(int(s), abi.SetAll, room))
}
