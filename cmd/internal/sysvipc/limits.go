package sysvipc

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"os"
	"strconv"

	"github.com/sysvipc/gipc/sysv"
)

// narrow is set if this is a 32-bit program. A 64-bit kernel truncates the limits of
// segments for it; /proc shows them in full.
const narrow = bits.UintSize == 32

// ShmLimits returns the limits of segments, from IPC_INFO or /proc/sys/kernel.
func ShmLimits() (sysv.SegmentLimits, error) {
	limits, err := sysv.ShmLimits()
	if err == nil && !narrow {
		return limits, nil
	}
	if err != nil { // MinSize has no sysctl
		limits.MinSize = 1
	}
	for _, l := range []struct {
		sysctl string
		value  *uint64
	}{
		{"shmmax", &limits.MaxSize},
		{"shmall", &limits.MaxPages},
		{"shmmni", &limits.MaxSegments},
	} {
		n, procErr := sysctl(l.sysctl, 1)
		switch {
		case procErr == nil:
			*l.value = n[0]
		case err != nil:
			return limits, err
		}
	}
	if err != nil {
		limits.MaxPerProcess = limits.MaxSegments // the kernel reports the same
	}
	return limits, nil
}

// SemLimits returns the limits of semaphore sets, from IPC_INFO or /proc/sys/kernel.
func SemLimits() (sysv.SetLimits, error) {
	limits, err := sysv.SemLimits()
	if err == nil {
		return limits, nil
	}
	n, procErr := sysctl("sem", 4)
	if procErr != nil {
		return limits, err
	}
	return sysv.SetLimits{
		MaxPerSet: int(n[0]), MaxSemaphores: int(n[1]), MaxOps: int(n[2]), MaxSets: int(n[3]), MaxValue: math.MaxInt16,
	}, nil
}

// MsgLimits returns the limits of message queues, from IPC_INFO or /proc/sys/kernel.
func MsgLimits() (sysv.QueueLimits, error) {
	limits, err := sysv.MsgLimits()
	if err == nil {
		return limits, nil
	}
	for _, l := range []struct {
		sysctl string
		value  *int
	}{
		{"msgmni", &limits.MaxQueues},
		{"msgmax", &limits.MaxSize},
		{"msgmnb", &limits.MaxBytes},
	} {
		n, procErr := sysctl(l.sysctl, 1)
		if procErr != nil {
			return limits, err
		}
		*l.value = int(n[0])
	}
	return limits, nil
}

// sysctl reads the numbers in a file of /proc/sys/kernel.
func sysctl(name string, count int) ([]uint64, error) {
	text, err := os.ReadFile("/proc/sys/kernel/" + name)
	if err != nil {
		return nil, err
	}
	fields := bytes.Fields(text)
	if len(fields) != count {
		return nil, fmt.Errorf("sysctl kernel.%s: %q is not %d numbers", name, text, count)
	}
	numbers := make([]uint64, count)
	for i, field := range fields {
		if numbers[i], err = strconv.ParseUint(string(field), 10, 64); err != nil {
			return nil, fmt.Errorf("sysctl kernel.%s: %w", name, err)
		}
	}
	return numbers, nil
}

// ShmUsage returns what segments use, from SHM_INFO or summed up from /proc.
func ShmUsage() (sysv.SegmentUsage, error) {
	usage, err := sysv.ShmUsage()
	if err == nil {
		return usage, nil
	}
	f, procErr := os.Open("/proc/sysvipc/shm")
	if procErr != nil {
		return usage, err
	}
	defer f.Close()
	page := uint64(os.Getpagesize())
	for m, procErr := range parseMemory(f) {
		if procErr != nil {
			return sysv.SegmentUsage{}, err
		}
		usage.Segments++
		usage.Pages += (m.size + page - 1) / page
		usage.ResidentPages += m.resident / page
		usage.SwappedPages += m.swapped / page
	}
	return usage, nil
}

// SemUsage returns the use of sets, from SEM_INFO or counted.
func SemUsage() (sysv.SetUsage, error) {
	usage, err := sysv.SemUsage()
	if err == nil {
		return usage, nil
	}
	for s, listErr := range Sets() {
		if listErr != nil {
			return sysv.SetUsage{}, err
		}
		usage.Sets++
		usage.Semaphores += s.NSems
	}
	return usage, nil
}

// MsgUsage returns the use of queues, from MSG_INFO or counted.
func MsgUsage() (sysv.QueueUsage, error) {
	usage, err := sysv.MsgUsage()
	if err == nil {
		return usage, nil
	}
	for q, listErr := range queues().rows() {
		if listErr != nil {
			return sysv.QueueUsage{}, err
		}
		usage.Queues++
		usage.Messages += int(q.QNum)
		usage.Bytes += int(q.CBytes)
	}
	return usage, nil
}
