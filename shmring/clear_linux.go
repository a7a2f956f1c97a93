package shmring

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// clearData makes mem zero, which is mapped from the offset of f on. What is a hole, or was
// set aside and never written, is zero already, and would take memory when it is touched.
func clearData(mem []byte, f *os.File, offset int64) {
	end := offset + int64(len(mem))
	for at := offset; at < end; {
		from, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) || err == nil && from >= end { // nothing but a hole
			return
		}
		to := end
		if err == nil {
			to, err = unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
		}
		if err != nil { // not that kind of a file
			from, to = at, end
		}
		to = min(to, end)
		clear(mem[from-offset : to-offset])
		at = to
	}
}
