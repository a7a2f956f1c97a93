//go:build !linux

package abi

import "errors"

// Errno stands in for the error number of Linux.
type Errno uint

// The error numbers that other packages check for. Every call returns ENOSYS.
const (
	_ Errno = iota
	E2BIG
	EACCES
	EAGAIN
	EEXIST
	EFBIG
	EIDRM
	EINTR
	EINVAL
	ENOENT
	ENOMSG
	ENOMEM
	ENOSPC
	ENOSYS
	EPERM
	ERANGE
)

func (e Errno) Error() string { return "System V IPC is supported on Linux only" }

// Is makes errors.Is(e, errors.ErrUnsupported) true.
func (e Errno) Is(target error) bool { return e == ENOSYS && target == errors.ErrUnsupported }

// MsgHeader is the size in bytes of the type that precedes a message's text.
const MsgHeader = 8

func Shmget(int32, uintptr, int) (int, Errno)          { return -1, ENOSYS }
func Shmat(int, uintptr, int) (uintptr, Errno)         { return 0, ENOSYS }
func Shmdt(uintptr) Errno                              { return ENOSYS }
func Shmstat(int, int) (ShmidDS, int, Errno)           { return ShmidDS{}, -1, ENOSYS }
func Shmset(int, uint32, uint32, uint32) Errno         { return ENOSYS }
func Shmctl(int, int) Errno                            { return ENOSYS }
func Shmlimits() (ShminfoLimits, int, Errno)           { return ShminfoLimits{}, -1, ENOSYS }
func Shmusage() (ShmUsage, Errno)                      { return ShmUsage{}, ENOSYS }
func Semget(int32, int, int) (int, Errno)              { return -1, ENOSYS }
func Semop(int, []Sembuf) Errno                        { return ENOSYS }
func TrySemop(int, []Sembuf) Errno                     { return ENOSYS }
func Semstat(int, int) (SemidDS, int, Errno)           { return SemidDS{}, -1, ENOSYS }
func Semset(int, uint32, uint32, uint32) Errno         { return ENOSYS }
func Semrmid(int) Errno                                { return ENOSYS }
func Semquery(int, int, int) (int, Errno)              { return -1, ENOSYS }
func Semsetval(int, int, int) Errno                    { return ENOSYS }
func Semall(int, int, []uint16) Errno                  { return ENOSYS }
func Seminfos(int) (Seminfo, int, Errno)               { return Seminfo{}, -1, ENOSYS }
func Msgget(int32, int) (int, Errno)                   { return -1, ENOSYS }
func PutMsgType([]byte, int)                           {}
func MsgType([]byte) int                               { return 0 }
func Msgsnd(int, []byte, int) Errno                    { return ENOSYS }
func TryMsgsnd(int, []byte, int) Errno                 { return ENOSYS }
func Msgrcv(int, []byte, int, int) (int, Errno)        { return -1, ENOSYS }
func TryMsgrcv(int, []byte, int, int) (int, Errno)     { return -1, ENOSYS }
func Msgstat(int, int) (MsqidDS, int, Errno)           { return MsqidDS{}, -1, ENOSYS }
func Msgset(int, uint32, uint32, uint32, uint64) Errno { return ENOSYS }
func Msgrmid(int) Errno                                { return ENOSYS }
func Msginfos(int) (Msginfo, int, Errno)               { return Msginfo{}, -1, ENOSYS }
