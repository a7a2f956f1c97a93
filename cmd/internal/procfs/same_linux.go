package procfs

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// A Resource is something that processes can share (kcmp(2)).
type Resource int

const (
	Memory      Resource = 1 // an address space
	Descriptors Resource = 2 // a table of descriptors
)

// Compare returns 0 if two processes share a resource; otherwise its sign orders them,
// consistently until the next boot. It requires permission to trace both; if it fails,
// nothing is known.
func (f *FS) Compare(what Resource, a, b int) (int, error) {
	if !f.real {
		return 0, f.failure("kcmp", strconv.Itoa(a), unix.ENOSYS)
	}
	n, err := f.call("kcmp", strconv.Itoa(a), func() (int, error) {
		r, _, e := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), uintptr(what), 0, 0, 0)
		if e != 0 {
			return 0, e
		}
		return int(r), nil
	})
	switch {
	case err != nil:
		return 0, f.failure("kcmp", strconv.Itoa(a), err)
	case n > 2: // unordered, which the kernel never returns for these
		return 0, f.failure("kcmp", strconv.Itoa(a), unix.EINVAL)
	case n == 1:
		return -1, nil
	}
	return n / 2, nil
}
