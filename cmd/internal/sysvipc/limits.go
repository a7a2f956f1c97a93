package sysvipc

import (
	"bytes"
	"math/bits"
	"os"
	"strconv"

	"github.com/sysvipc/gipc/sysv"
)

// narrow says that this is a 32-bit program. On a 64-bit kernel the system calls
// then cut sizes and limits of segments to 32 bits; /proc tells them whole.
const narrow = bits.UintSize == 32

// ShmLimits returns the limits of segments.
func ShmLimits() (sysv.SegmentLimits, error) {
	limits, err := sysv.ShmLimits()
	if err != nil || !narrow {
		return limits, err
	}
	readSysctl("shmmax", &limits.MaxSize)
	readSysctl("shmall", &limits.MaxPages)
	readSysctl("shmmni", &limits.MaxSegments)
	return limits, nil
}

// readSysctl leaves value alone if it can not be read.
func readSysctl(name string, value *uint64) {
	text, err := os.ReadFile("/proc/sys/kernel/" + name)
	if err != nil {
		return
	}
	if n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64); err == nil {
		*value = n
	}
}
