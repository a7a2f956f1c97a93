//go:build !linux

package abi

// More error numbers that package posix checks for.
const (
	EBUSY Errno = iota + 100
	EMFILE
	EMSGSIZE
	ENAMETOOLONG
	EOVERFLOW
	ETIMEDOUT
)

// Stand-ins for events of poll.
const (
	PollIn = iota
	PollOut
)

// OCloexec stands in for O_CLOEXEC.
const OCloexec = 0

// A Deadline stands in for a time.
type Deadline struct{}

// Set does nothing.
func (*Deadline) Set(int64, int64) {}

// Expire does nothing.
func (*Deadline) Expire() {}

func MqOpen(string, int, uint32, *MqAttr) (int, Errno)                    { return -1, ENOSYS }
func MqUnlink(string) Errno                                               { return ENOSYS }
func MqGetattr(uintptr) (MqAttr, Errno)                                   { return MqAttr{}, ENOSYS }
func MqTimedsend(uintptr, []byte, uint32, *Deadline) Errno                { return ENOSYS }
func MqTimedreceive(uintptr, []byte, *Deadline) (int, uint32, Errno)      { return 0, 0, ENOSYS }
func TryMqTimedsend(uintptr, []byte, uint32) Errno                        { return ENOSYS }
func TryMqTimedreceive(uintptr, []byte) (n int, prio uint32, errno Errno) { return 0, 0, ENOSYS }
func Poll(uintptr, int16) Errno                                           { return ENOSYS }
