package sysv

import (
	"errors"
	"io/fs"
	"math/bits"
	"time"

	"github.com/sysvipc/gipc/internal/abi"
)

// A Segment is the identifier (shmid) of a shared memory segment. It holds no resources.
// The segment lives until it is removed. Any number may be converted to a Segment; calls
// on a segment that does not exist return an error that is fs.ErrNotExist or EINVAL.
type Segment int

// SegmentOptions holds the options of a new segment. nil means the zero value.
type SegmentOptions struct {
	// Mode holds the permission bits. 0 means 0600, NoAccess means none.
	Mode fs.FileMode
	// HugePages is the size in bytes of the huge pages to use (SHM_HUGETLB): a power of
	// two, or DefaultHugePages, or 0 for ordinary pages. The pool (sysctl vm.nr_hugepages)
	// must have enough of them.
	HugePages int64
	// NoReserve (SHM_NORESERVE) reserves no swap space or huge pages.
	NoReserve bool
	// AnyOwner lets OpenOrCreateSegment return a segment that belongs to another user.
	AnyOwner bool
}

// DefaultHugePages means the system's default size of huge pages.
const DefaultHugePages = -1

func (o *SegmentOptions) flags() (flags int, ok bool) {
	flags, ok = createFlags(o.Mode)
	switch h := o.HugePages; {
	case h == 0:
	case h == DefaultHugePages:
		flags |= abi.ShmHugeTLB
	case h > 1 && h&(h-1) == 0: // the exponent of 1 is 0, which means the default
		flags |= abi.ShmHugeTLB | bits.TrailingZeros64(uint64(h))<<abi.ShmHugeShift
	default:
		ok = false
	}
	if o.NoReserve {
		flags |= abi.ShmNoReserve
	}
	return flags, ok
}

// CreateSegment creates a segment of size bytes, filled with zeros, under key, or without
// a key if key is Private.
//
// Errors: fs.ErrExist (the key is taken), EINVAL (size below 1 or above SHMMAX; an option
// out of range), ENOSPC (SHMMNI or SHMALL reached), ENOMEM (also: not enough huge pages),
// EPERM (huge pages not allowed). See shmget(2).
func CreateSegment(key Key, size int64, o *SegmentOptions) (Segment, error) {
	if o == nil {
		o = new(SegmentOptions)
	}
	flags, ok := o.flags()
	if !ok || size < 0 || uint64(uintptr(size)) != uint64(size) {
		return -1, segmentError(key, size, o, abi.EINVAL)
	}
	id, e := abi.Shmget(int32(key), uintptr(size), flags)
	return Segment(id), segmentError(key, size, o, e)
}

// OpenOrCreateSegment returns the segment under key, or creates one as CreateSegment does;
// made reports whether it did. An existing segment must have size bytes and belong to the
// caller or root, unless o has AnyOwner, and the caller must have read permission.
//
// Errors: ErrMismatch (another size, another owner), fs.ErrPermission; those of
// CreateSegment except fs.ErrExist.
func OpenOrCreateSegment(key Key, size int64, o *SegmentOptions) (s Segment, made bool, err error) {
	if o == nil {
		o = new(SegmentOptions)
	}
	return openOrCreate(key,
		func() (Segment, error) { return CreateSegment(key, size, o) },
		func() (Segment, error) { return OpenSegment(key) },
		func(s Segment) error {
			info, err := s.Stat()
			switch {
			case err != nil:
				return err
			case info.Size != size:
				return mismatch(Shm, key, "it has %d bytes, not the %d asked for", info.Size, size)
			}
			return info.fits(Shm, key, o.AnyOwner)
		})
}

// openOrCreate finds or creates an object. Between the two calls, other processes may
// create one and remove it.
func openOrCreate[T any](key Key, create, open func() (T, error), fits func(T) error) (object T, made bool, err error) {
	for {
		if key != Private {
			object, err = open()
			if err == nil {
				err = fits(object)
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return object, false, err
			}
		}
		if object, err = create(); !errors.Is(err, fs.ErrExist) {
			return object, err == nil, err
		}
	}
}

// OpenSegment finds the segment under key. It needs no permission; attaching does. Errors:
// fs.ErrNotExist, ErrPrivateKey.
func OpenSegment(key Key) (Segment, error) {
	if key == Private {
		return -1, &Error{Op: "shmget", Kind: Shm, ByKey: true, Key: key, Err: ErrPrivateKey}
	}
	id, e := abi.Shmget(int32(key), 0, 0)
	return Segment(id), keyError("shmget", Shm, key, e)
}

// SegmentInfo is struct shmid_ds. A process id is 0 if the process is not visible in the
// caller's PID namespace. A zero Time means never.
type SegmentInfo struct {
	ID int
	Perm
	Dest   bool // SHM_DEST: destroyed with its last attachment
	Locked bool // SHM_LOCKED: not swapped out

	Size   int64     // bytes, as given at creation
	NAttch uint64    // attachments; mappings rather than processes
	CPID   int       // process that created it
	LPID   int       // process that attached or detached last
	ATime  time.Time // last attached
	DTime  time.Time // last detached
	CTime  time.Time // created, or last changed by IPC_SET
}

func segmentInfo(id int, ds *abi.ShmidDS) SegmentInfo {
	return SegmentInfo{
		ID: id, Perm: perm(ds.Perm),
		Dest: ds.Perm.Mode&abi.ShmDest != 0, Locked: ds.Perm.Mode&abi.ShmLocked != 0,
		Size: int64(ds.Segsz), NAttch: ds.Nattch, CPID: int(ds.Cpid), LPID: int(ds.Lpid),
		ATime: unixTime(ds.Atime), DTime: unixTime(ds.Dtime), CTime: unixTime(ds.Ctime),
	}
}

// Stat returns what the kernel records about the segment (IPC_STAT). It needs read
// permission. A 32-bit program takes the size from /proc/sysvipc/shm, as Segments does.
// See shmctl(2).
func (s Segment) Stat() (SegmentInfo, error) {
	ds, _, e := abi.Shmstat(int(s), abi.IPCStat)
	if e != 0 {
		return SegmentInfo{}, lookupError("shmctl IPC_STAT", Shm, int(s), e)
	}
	info := segmentInfo(int(s), &ds)
	if e := new(sizer).fix(&info); e != 0 {
		return SegmentInfo{}, idError("shmctl IPC_STAT", Shm, int(s), e)
	}
	return info, nil
}

// StatAny is Stat without the permission check (SHM_STAT_ANY). Before Linux 4.17, which
// lacks it, no segment is found: fs.ErrNotExist.
func (s Segment) StatAny() (SegmentInfo, error) {
	const op = "shmctl SHM_STAT_ANY"
	ds, id, e := abi.Shmstat(int(s), abi.ShmStatAny)
	if e == 0 && id != int(s) { // the kernel ignores the sequence number
		e = abi.EINVAL
	}
	if e != 0 {
		return SegmentInfo{}, lookupError(op, Shm, int(s), e)
	}
	info := segmentInfo(id, &ds)
	if e := new(sizer).fix(&info); e != 0 {
		return SegmentInfo{}, idError(op, Shm, int(s), e)
	}
	return info, nil
}

// SetOwnership changes the owner and the permission bits (IPC_SET). Only the owner, the
// creator and a process with CAP_SYS_ADMIN may do so. EINVAL: no such segment, or a user
// or group that does not exist in the user namespace.
func (s Segment) SetOwnership(o Ownership) error {
	mode, ok := o.setFlags()
	if !ok {
		return idError("shmctl IPC_SET", Shm, int(s), abi.EINVAL)
	}
	return vagueError("shmctl IPC_SET", Shm, int(s), abi.Shmset(int(s), o.UID, o.GID, mode), statSegment)
}

// Remove marks the segment for removal (IPC_RMID). Its key is free at once; its memory is
// freed with the last attachment. Only the owner, the creator and a process with
// CAP_SYS_ADMIN may remove it.
func (s Segment) Remove() error {
	return lookupError("shmctl IPC_RMID", Shm, int(s), abi.Shmctl(int(s), abi.IPCRmid))
}

// Lock keeps present pages of the segment out of swap space (SHM_LOCK). It does not make
// absent pages present; see Attachment.Prefault. Errors: fs.ErrPermission, ENOMEM
// (RLIMIT_MEMLOCK).
func (s Segment) Lock() error {
	return lookupError("shmctl SHM_LOCK", Shm, int(s), abi.Shmctl(int(s), abi.ShmLock))
}

// Unlock allows the segment's pages to be swapped out again (SHM_UNLOCK).
func (s Segment) Unlock() error {
	return lookupError("shmctl SHM_UNLOCK", Shm, int(s), abi.Shmctl(int(s), abi.ShmUnlock))
}
