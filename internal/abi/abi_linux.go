package abi

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Shmget is shmget(2).
func Shmget(key int32, size uintptr, flag int) (int, Errno) { return shmget(key, size, flag) }

// Shmat is shmat(2).
func Shmat(id int, addr uintptr, flag int) (uintptr, Errno) { return shmat(id, addr, flag) }

// Shmdt is shmdt(2).
func Shmdt(addr uintptr) Errno { return shmdt(addr) }

// Shmstat is shmctl(2) with IPC_STAT, SHM_STAT or SHM_STAT_ANY. The last two take an index
// instead of an id, and return the id.
func Shmstat(id, cmd int) (ShmidDS, int, Errno) {
	var raw unix.SysvShmDesc
	r, e := rawShmctl(id, cmd, unsafe.Pointer(&raw))
	if e != 0 {
		return ShmidDS{}, r, e
	}
	ds := ShmidDS{
		Perm: perm(&raw.Perm), Segsz: uint64(raw.Segsz),
		Cpid: raw.Cpid, Lpid: raw.Lpid, Nattch: uint64(raw.Nattch),
	}
	ds.Atime, ds.Dtime, ds.Ctime = shmTimes(&raw)
	return ds, r, 0
}

// Shmset is shmctl(2) with IPC_SET.
func Shmset(id int, uid, gid, mode uint32) Errno {
	var raw unix.SysvShmDesc
	setPerm(&raw.Perm, uid, gid, mode)
	_, e := shmctl(id, IPCSet, unsafe.Pointer(&raw))
	return e
}

// Shmctl is shmctl(2) with a command that takes no structure.
func Shmctl(id, cmd int) Errno {
	_, e := shmctl(id, cmd, nil)
	return e
}

// Shmlimits is shmctl(2) with IPC_INFO; it also returns the highest index in use.
func Shmlimits() (ShminfoLimits, int, Errno) {
	var raw struct {
		max, min, mni, seg, all uintptr
		_                       [4]uintptr
	}
	top, e := rawShmctl(0, IPCInfo, unsafe.Pointer(&raw))
	return ShminfoLimits{uint64(raw.max), uint64(raw.min), uint64(raw.mni), uint64(raw.seg), uint64(raw.all)}, top, e
}

// Shmusage is shmctl(2) with SHM_INFO. The kernel walks all segments to compute it.
func Shmusage() (ShmUsage, Errno) {
	var raw struct {
		used               int32
		tot, rss, swp      uintptr
		attempts, succeses uintptr
	}
	_, e := shmctl(0, ShmInfo, unsafe.Pointer(&raw))
	return ShmUsage{raw.used, uint64(raw.tot), uint64(raw.rss), uint64(raw.swp), uint64(raw.attempts), uint64(raw.succeses)}, e
}

// Semget is semget(2).
func Semget(key int32, nsems, flag int) (int, Errno) { return semget(key, nsems, flag) }

// Semop is semop(2). It sleeps if the operations have to wait and lack IPC_NOWAIT.
func Semop(id int, ops []Sembuf) Errno { return semop(id, unsafe.SliceData(ops), len(ops)) }

// TrySemop is semop(2) with operations that all have IPC_NOWAIT.
func TrySemop(id int, ops []Sembuf) Errno { return rawSemop(id, unsafe.SliceData(ops), len(ops)) }

// Semstat is semctl(2) with IPC_STAT, SEM_STAT or SEM_STAT_ANY. The last two take an index
// instead of an id, and return the id.
func Semstat(id, cmd int) (SemidDS, int, Errno) {
	var raw semidDS
	r, e := rawSemctl(id, 0, cmd, unsafe.Pointer(&raw))
	if e != 0 {
		return SemidDS{}, r, e
	}
	ds := SemidDS{Perm: perm(&raw.Perm), Nsems: uint64(raw.Nsems)}
	ds.Otime, ds.Ctime = semTimes(&raw)
	return ds, r, 0
}

// Semset is semctl(2) with IPC_SET.
func Semset(id int, uid, gid, mode uint32) Errno {
	var raw semidDS
	setPerm(&raw.Perm, uid, gid, mode)
	_, e := semctl(id, 0, IPCSet, unsafe.Pointer(&raw))
	return e
}

// Semrmid is semctl(2) with IPC_RMID.
func Semrmid(id int) Errno {
	_, e := semctl(id, 0, IPCRmid, nil)
	return e
}

// Semquery is semctl(2) with GETVAL, GETPID, GETNCNT or GETZCNT.
func Semquery(id, num, cmd int) (int, Errno) { return rawSemctl(id, num, cmd, nil) }

// Semsetval is semctl(2) with SETVAL.
func Semsetval(id, num, value int) Errno {
	// The union is passed by value, and its int is the first member.
	var arg uintptr
	*(*int32)(unsafe.Pointer(&arg)) = int32(value)
	_, e := semctlValue(id, num, SetVal, arg)
	return e
}

// Semall is semctl(2) with GETALL or SETALL. The kernel trusts that values has
// room for every semaphore of the set.
func Semall(id, cmd int, values []uint16) Errno {
	_, e := semctl(id, 0, cmd, unsafe.Pointer(unsafe.SliceData(values)))
	return e
}

// Seminfos is semctl(2) with IPC_INFO or SEM_INFO; it also returns the highest
// index in use.
func Seminfos(cmd int) (Seminfo, int, Errno) {
	var raw Seminfo
	top, e := rawSemctl(0, 0, cmd, unsafe.Pointer(&raw))
	return raw, top, e
}

// Msgget is msgget(2).
func Msgget(key int32, flag int) (int, Errno) { return msgget(key, flag) }

// A message is its type, a C long, followed by its text. On every architecture of Go, a
// C long has the size of an int.

// MsgHeader is the size in bytes of the type that precedes a message's text.
const MsgHeader = int(unsafe.Sizeof(int(0)))

// PutMsgType writes the type into the first MsgHeader bytes of msg.
func PutMsgType(msg []byte, mtype int) {
	_ = msg[MsgHeader-1]
	*(*[MsgHeader]byte)(msg) = *(*[MsgHeader]byte)(unsafe.Pointer(&mtype))
}

// MsgType reads the type from the first MsgHeader bytes of msg.
func MsgType(msg []byte) (mtype int) {
	*(*[MsgHeader]byte)(unsafe.Pointer(&mtype)) = *(*[MsgHeader]byte)(msg)
	return mtype
}

// Msgsnd is msgsnd(2) of msg, which holds header and text. It may sleep.
func Msgsnd(id int, msg []byte, flag int) Errno {
	return msgsnd(id, unsafe.Pointer(unsafe.SliceData(msg)), len(msg)-MsgHeader, flag)
}

// TryMsgsnd is msgsnd(2) with IPC_NOWAIT.
func TryMsgsnd(id int, msg []byte, flag int) Errno {
	return rawMsgsnd(id, unsafe.Pointer(unsafe.SliceData(msg)), len(msg)-MsgHeader, flag|IPCNoWait)
}

// Msgrcv is msgrcv(2) into msg, which receives header and text. It may sleep. It returns
// the length of the text.
func Msgrcv(id int, msg []byte, mtype, flag int) (int, Errno) {
	return msgrcv(id, unsafe.Pointer(unsafe.SliceData(msg)), len(msg)-MsgHeader, mtype, flag)
}

// TryMsgrcv is msgrcv(2) with IPC_NOWAIT.
func TryMsgrcv(id int, msg []byte, mtype, flag int) (int, Errno) {
	return rawMsgrcv(id, unsafe.Pointer(unsafe.SliceData(msg)), len(msg)-MsgHeader, mtype, flag|IPCNoWait)
}

// Msgstat is msgctl(2) with IPC_STAT, MSG_STAT or MSG_STAT_ANY. The last two take an index
// instead of an id, and return the id.
func Msgstat(id, cmd int) (MsqidDS, int, Errno) {
	var raw msqidDS
	r, e := rawMsgctl(id, cmd, unsafe.Pointer(&raw))
	if e != 0 {
		return MsqidDS{}, r, e
	}
	ds := MsqidDS{
		Perm: perm(&raw.Perm), Cbytes: uint64(raw.Cbytes), Qnum: uint64(raw.Qnum), Qbytes: uint64(raw.Qbytes),
		Lspid: raw.Lspid, Lrpid: raw.Lrpid,
	}
	ds.Stime, ds.Rtime, ds.Ctime = msgTimes(&raw)
	return ds, r, 0
}

// Msgset is msgctl(2) with IPC_SET.
func Msgset(id int, uid, gid, mode uint32, qbytes uint64) Errno {
	var raw msqidDS
	setPerm(&raw.Perm, uid, gid, mode)
	setWord(&raw.Qbytes, qbytes)
	_, e := msgctl(id, IPCSet, unsafe.Pointer(&raw))
	return e
}

// Msgrmid is msgctl(2) with IPC_RMID.
func Msgrmid(id int) Errno {
	_, e := msgctl(id, IPCRmid, nil)
	return e
}

// Msginfos is msgctl(2) with IPC_INFO or MSG_INFO; it also returns the highest
// index in use.
func Msginfos(cmd int) (Msginfo, int, Errno) {
	var raw Msginfo
	top, e := rawMsgctl(0, cmd, unsafe.Pointer(&raw))
	return raw, top, e
}

func perm(p *unix.SysvIpcPerm) Perm {
	return Perm{Key: p.Key, UID: p.Uid, GID: p.Gid, CUID: p.Cuid, CGID: p.Cgid, Mode: uint32(p.Mode), Seq: uint32(p.Seq)}
}

func setPerm(p *unix.SysvIpcPerm, uid, gid, mode uint32) {
	p.Uid, p.Gid = uid, gid
	setWord(&p.Mode, uint64(mode))
}

// setWord stores v in a field whose width differs by architecture.
func setWord[T ~uint16 | ~uint32 | ~uint64](field *T, v uint64) { *field = T(v) }

// narrow converts an identifier, an index or a count, which the kernel takes as a 32-bit
// int. The kernel would truncate a larger number and use another object, so narrow
// replaces it by -1, which the kernel refuses.
func narrow(n int) uintptr {
	if n != int(int32(n)) {
		n = -1
	}
	return uintptr(n)
}
