package abi

// Commands and flags of System V IPC. They are the same on every architecture
// that Linux runs on.
const (
	IPCPrivate = 0

	IPCCreat  = 0o1000
	IPCExcl   = 0o2000
	IPCNoWait = 0o4000

	IPCRmid = 0
	IPCSet  = 1
	IPCStat = 2
	IPCInfo = 3

	ShmLock    = 11
	ShmUnlock  = 12
	ShmStat    = 13
	ShmInfo    = 14
	ShmStatAny = 15

	ShmHugeTLB   = 0o4000
	ShmNoReserve = 0o10000
	ShmHugeShift = 26

	ShmRdonly = 0o10000
	ShmRnd    = 0o20000
	ShmRemap  = 0o40000
	ShmExec   = 0o100000

	// ShmDest and ShmLocked appear in the mode that IPC_STAT returns.
	ShmDest   = 0o1000
	ShmLocked = 0o2000

	GetPid  = 11
	GetVal  = 12
	GetAll  = 13
	GetNcnt = 14
	GetZcnt = 15
	SetVal  = 16
	SetAll  = 17

	SemStat    = 18
	SemInfo    = 19
	SemStatAny = 20
	SemUndo    = 0x1000

	MsgStat    = 11
	MsgInfo    = 12
	MsgStatAny = 13
	MsgNoError = 0o10000
	MsgExcept  = 0o20000
	MsgCopy    = 0o40000
)

// Perm is struct ipc64_perm.
type Perm struct {
	Key                  int32
	UID, GID, CUID, CGID uint32
	Mode                 uint32
	Seq                  uint32
}

// ShmidDS is struct shmid64_ds. Times are seconds since the epoch, 0 if never.
type ShmidDS struct {
	Perm                Perm
	Segsz               uint64
	Atime, Dtime, Ctime int64
	Cpid, Lpid          int32
	Nattch              uint64
}

// SemidDS is struct semid64_ds.
type SemidDS struct {
	Perm         Perm
	Otime, Ctime int64
	Nsems        uint64
}

// MsqidDS is struct msqid64_ds.
type MsqidDS struct {
	Perm                Perm
	Stime, Rtime, Ctime int64
	Cbytes              uint64
	Qnum, Qbytes        uint64
	Lspid, Lrpid        int32
}

// ShminfoLimits is struct shminfo64, which IPC_INFO returns for segments.
type ShminfoLimits struct{ Max, Min, Mni, Seg, All uint64 }

// ShmUsage is struct shm_info, which SHM_INFO returns. Tot, Rss and Swp are in pages.
type ShmUsage struct {
	UsedIDs       int32
	Tot, Rss, Swp uint64
	SwapAttempts  uint64
	SwapSuccesses uint64
}

// Seminfo is struct seminfo. SEM_INFO returns the number of sets in Usz and of
// semaphores in Aem; IPC_INFO returns fixed values there.
type Seminfo struct{ Map, Mni, Mns, Mnu, Msl, Opm, Ume, Usz, Vmx, Aem int32 }

// Msginfo is struct msginfo. MSG_INFO returns the number of queues in Pool, of
// messages in Map and of bytes in Tql; IPC_INFO returns limits there.
type Msginfo struct {
	Pool, Map, Max, Mnb, Mni, Ssz, Tql int32
	Seg                                uint16
}

// Sembuf is struct sembuf.
type Sembuf struct {
	Num uint16
	Op  int16
	Flg int16
}
