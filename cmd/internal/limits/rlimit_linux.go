package limits

import "golang.org/x/sys/unix"

// rlimit returns this process's soft limit RLIMIT_MSGQUEUE.
func rlimit() (uint64, error) {
	const msgQueue = 12 // on every architecture
	var r unix.Rlimit
	err := unix.Getrlimit(msgQueue, &r)
	return r.Cur, err
}
