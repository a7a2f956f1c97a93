package sysv

import "github.com/sysvipc/gipc/internal/abi"

// SegmentLimits is struct shminfo: the limits of the caller's IPC namespace.
type SegmentLimits struct {
	MaxSize       uint64 // SHMMAX, bytes of one segment (sysctl kernel.shmmax)
	MinSize       uint64 // SHMMIN, bytes; fixed
	MaxSegments   uint64 // SHMMNI (sysctl kernel.shmmni)
	MaxPerProcess uint64 // SHMSEG; not enforced by Linux
	MaxPages      uint64 // SHMALL, pages of all segments (sysctl kernel.shmall)
}

// ShmLimits returns the limits of segments (IPC_INFO).
func ShmLimits() (SegmentLimits, error) {
	l, _, e := abi.Shmlimits()
	if e != 0 {
		return SegmentLimits{}, idError("shmctl IPC_INFO", Shm, 0, e)
	}
	return SegmentLimits{l.Max, l.Min, l.Mni, l.Seg, l.All}, nil
}

// SegmentUsage is struct shm_info: totals over all segments.
type SegmentUsage struct {
	Segments      int
	Pages         uint64 // of all segments, each rounded up
	ResidentPages uint64 // in memory
	SwappedPages  uint64
	SwapAttempts  uint64 // not counted by Linux any more
	SwapSuccesses uint64 // not counted by Linux any more
}

// ShmUsage returns the current usage (SHM_INFO). The kernel walks all segments to compute
// it.
func ShmUsage() (SegmentUsage, error) {
	u, e := abi.Shmusage()
	if e != 0 {
		return SegmentUsage{}, idError("shmctl SHM_INFO", Shm, 0, e)
	}
	return SegmentUsage{int(u.UsedIDs), u.Tot, u.Rss, u.Swp, u.SwapAttempts, u.SwapSuccesses}, nil
}

// SetLimits holds the limits of semaphore sets, from struct seminfo (sysctl kernel.sem).
type SetLimits struct {
	MaxSets       int // SEMMNI
	MaxSemaphores int // SEMMNS, of all sets
	MaxPerSet     int // SEMMSL
	MaxOps        int // SEMOPM, operations of one semop
	MaxValue      int // SEMVMX; fixed
}

// SemLimits returns the limits of semaphore sets (IPC_INFO).
func SemLimits() (SetLimits, error) {
	l, _, e := abi.Seminfos(abi.IPCInfo)
	if e != 0 {
		return SetLimits{}, idError("semctl IPC_INFO", Sem, 0, e)
	}
	return SetLimits{int(l.Mni), int(l.Mns), int(l.Msl), int(l.Opm), int(l.Vmx)}, nil
}

// SetUsage holds the usage of semaphore sets, from struct seminfo.
type SetUsage struct{ Sets, Semaphores int }

// SemUsage returns the current usage (SEM_INFO).
func SemUsage() (SetUsage, error) {
	u, _, e := abi.Seminfos(abi.SemInfo)
	if e != 0 {
		return SetUsage{}, idError("semctl SEM_INFO", Sem, 0, e)
	}
	return SetUsage{Sets: int(u.Usz), Semaphores: int(u.Aem)}, nil
}

// QueueLimits holds the limits of message queues, from struct msginfo.
type QueueLimits struct {
	MaxQueues int // MSGMNI (sysctl kernel.msgmni)
	MaxSize   int // MSGMAX, bytes of one message (sysctl kernel.msgmax)
	MaxBytes  int // MSGMNB, bytes a new queue may hold (sysctl kernel.msgmnb)
}

// MsgLimits returns the limits of message queues (IPC_INFO).
func MsgLimits() (QueueLimits, error) {
	l, _, e := abi.Msginfos(abi.IPCInfo)
	if e != 0 {
		return QueueLimits{}, idError("msgctl IPC_INFO", Msg, 0, e)
	}
	return QueueLimits{MaxQueues: int(l.Mni), MaxSize: int(l.Max), MaxBytes: int(l.Mnb)}, nil
}

// QueueUsage holds totals over all message queues, from struct msginfo.
type QueueUsage struct{ Queues, Messages, Bytes int }

// MsgUsage returns the current usage (MSG_INFO).
func MsgUsage() (QueueUsage, error) {
	u, _, e := abi.Msginfos(abi.MsgInfo)
	if e != 0 {
		return QueueUsage{}, idError("msgctl MSG_INFO", Msg, 0, e)
	}
	return QueueUsage{Queues: int(u.Pool), Messages: int(u.Map), Bytes: int(u.Tql)}, nil
}
