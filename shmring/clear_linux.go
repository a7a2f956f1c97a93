package shmring

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// clearData zeroes mem, which is mapped from f at this offset. It skips holes and reserved
// pages that were never written: they are zero already, and would take memory when touched.
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
		if err != nil { // f cannot report its holes
			from, to = at, end
		}
		to = min(to, end)
		clear(mem[from-offset : to-offset])
		at = to
	}
}
