package explain

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/sysv"
)

// creation returns the sentence for an object that could not be made, or "" if the
// error itself says everything.
func creation(c *Creation, e *sysv.Error) string {
	if !strings.HasSuffix(e.Op, "get") {
		return "" // the object was made; a later step failed
	}
	switch e.Kind {
	case sysv.Shm:
		return segmentCreation(c, e)
	case sysv.Sem:
		return setCreation(c, e)
	default:
		return queueCreation(e)
	}
}

// full returns the sentence for a limit that is reached. The kernel's own "no space
// left on device" makes people look at their disks.
func full(limit string, value any, sysctl, how string) string {
	return fmt.Sprintf("the system is full: %s is %v (sysctl %s)%s", limit, value, sysctl, how)
}

func segmentCreation(c *Creation, e *sysv.Error) string {
	limits, err := sysvipc.ShmLimits()
	if err != nil {
		return ""
	}
	switch {
	case errors.Is(e, abi.EINVAL):
		return segmentSize(c, e, limits)
	case errors.Is(e, abi.ENOSPC):
		usage, err := sysvipc.ShmUsage()
		if err != nil {
			return ""
		}
		page := uint64(os.Getpagesize())
		if need := (uint64(c.Size) + page - 1) / page; usage.Pages+need > limits.MaxPages {
			return full("SHMALL, the pages of all segments,", limits.MaxPages, "kernel.shmall",
				fmt.Sprintf("; %d are in use and %d are asked for", usage.Pages, need))
		}
		return full("SHMMNI, the number of segments,", limits.MaxSegments, "kernel.shmmni",
			fmt.Sprintf(" and %d are in use", usage.Segments))
	case errors.Is(e, abi.ENOMEM) && c.Huge:
		return fmt.Sprintf("not enough free huge pages for %d bytes; sysctl vm.nr_hugepages sets how many there are", c.Size)
	case errors.Is(e, abi.ENOMEM):
		return fmt.Sprintf("not enough memory for a segment of %d bytes", c.Size)
	case errors.Is(e, abi.EPERM) && c.Huge:
		return "huge pages take CAP_IPC_LOCK or a group that sysctl vm.hugetlb_shm_group names"
	default:
		return ""
	}
}

func segmentSize(c *Creation, e *sysv.Error, limits sysv.SegmentLimits) string {
	if f, ok := find(e); ok && e.ByKey {
		if c.Size > f.size {
			return fmt.Sprintf("%s has %d bytes, less than the %d asked for", existing(e), f.size, c.Size)
		}
	}
	switch {
	case c.Size < int64(limits.MinSize):
		return fmt.Sprintf("size %d is too small: a segment has at least %d byte", c.Size, limits.MinSize)
	case uint64(c.Size) > limits.MaxSize:
		return fmt.Sprintf("size %d is above SHMMAX, which is %d (sysctl kernel.shmmax)", c.Size, limits.MaxSize)
	case c.Huge:
		return "this system has no huge pages of that size; see /sys/kernel/mm/hugepages"
	default:
		return fmt.Sprintf("the kernel cannot make a segment of %d bytes", c.Size)
	}
}

func setCreation(c *Creation, e *sysv.Error) string {
	limits, err := sysvipc.SemLimits()
	if err != nil {
		return ""
	}
	switch {
	case errors.Is(e, abi.EINVAL):
		if f, ok := find(e); ok && e.ByKey {
			if int64(c.NSems) != f.size {
				return fmt.Sprintf("%s has %d semaphores, not the %d asked for", existing(e), f.size, c.NSems)
			}
		}
		return fmt.Sprintf("a set has from 1 to %d semaphores (SEMMSL, the first number of sysctl kernel.sem), not %d", limits.MaxPerSet, c.NSems)
	case errors.Is(e, abi.ENOSPC):
		usage, err := sysvipc.SemUsage()
		if err != nil {
			return ""
		}
		if usage.Sets >= limits.MaxSets {
			return full("SEMMNI, the number of sets,", limits.MaxSets, "kernel.sem, its fourth number",
				fmt.Sprintf(" and %d are in use", usage.Sets))
		}
		return full("SEMMNS, the semaphores of all sets,", limits.MaxSemaphores, "kernel.sem, its second number",
			fmt.Sprintf("; %d are in use and %d are asked for", usage.Semaphores, c.NSems))
	default:
		return ""
	}
}

func queueCreation(e *sysv.Error) string {
	limits, err := sysvipc.MsgLimits()
	if err != nil || !errors.Is(e, abi.ENOSPC) {
		return ""
	}
	return full("MSGMNI, the number of queues,", limits.MaxQueues, "kernel.msgmni", " and all are in use")
}
