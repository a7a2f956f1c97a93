package sysv

import (
	"fmt"
	"os"

	"github.com/sysvipc/gipc/internal/abi"
)

// This file adds to errors what the kernel's error numbers do not tell: which limit was
// reached, its value, and what was requested. A limit that cannot be read is not named.

// full returns the reason for ENOSPC. The kernel's text, "no space left on device", makes
// many users check their disks.
func full(limit string, value any, sysctl, how string) string {
	return fmt.Sprintf("the system is full: %s is %v (sysctl %s)%s", limit, value, sysctl, how)
}

// segmentError returns the *Error of a shmget that creates a segment.
func segmentError(key Key, size int64, o *SegmentOptions, e abi.Errno) error {
	if e == 0 {
		return nil
	}
	return &Error{Op: "shmget", Kind: Shm, ByKey: true, Key: key, Size: size, Reason: segmentReason(size, o.HugePages != 0, e), Err: e}
}

func segmentReason(size int64, huge bool, e abi.Errno) string {
	limits, err := ShmLimits()
	switch {
	case err != nil:
		return ""
	case e == abi.EINVAL && size < int64(limits.MinSize):
		return fmt.Sprintf("size %d is too small: a segment has at least %d byte", size, limits.MinSize)
	case e == abi.EINVAL && uint64(size) > limits.MaxSize:
		return fmt.Sprintf("size %d is above SHMMAX, which is %d (sysctl kernel.shmmax)", size, limits.MaxSize)
	case e == abi.EINVAL && huge:
		return "this system has no huge pages of that size; see /sys/kernel/mm/hugepages"
	case e == abi.ENOMEM && huge:
		return fmt.Sprintf("not enough free huge pages for %d bytes; sysctl vm.nr_hugepages sets how many there are", size)
	case e == abi.ENOMEM:
		return fmt.Sprintf("not enough memory for a segment of %d bytes", size)
	case e == abi.EPERM && huge:
		return "huge pages take CAP_IPC_LOCK or a group that sysctl vm.hugetlb_shm_group names"
	case e == abi.ENOSPC:
		return segmentsFull(size, limits)
	default:
		return ""
	}
}

func segmentsFull(size int64, limits SegmentLimits) string {
	usage, err := ShmUsage()
	if err != nil {
		return ""
	}
	page := uint64(os.Getpagesize())
	if need := (uint64(size) + page - 1) / page; usage.Pages+need > limits.MaxPages {
		return full("SHMALL, the pages of all segments,", limits.MaxPages, "kernel.shmall",
			fmt.Sprintf("; %d are in use and %d are asked for", usage.Pages, need))
	}
	return full("SHMMNI, the number of segments,", limits.MaxSegments, "kernel.shmmni",
		fmt.Sprintf(" and %d are in use", usage.Segments))
}

// setError returns the *Error of a semget that creates a set.
func setError(key Key, nsems int, e abi.Errno) error {
	if e == 0 {
		return nil
	}
	return &Error{Op: "semget", Kind: Sem, ByKey: true, Key: key, Count: nsems, Reason: setReason(nsems, e), Err: e}
}

func setReason(nsems int, e abi.Errno) string {
	limits, err := SemLimits()
	switch {
	case err != nil:
		return ""
	case e == abi.EINVAL && (nsems < 1 || nsems > limits.MaxPerSet):
		return fmt.Sprintf("a set has from 1 to %d semaphores (SEMMSL, the first number of sysctl kernel.sem), not %d", limits.MaxPerSet, nsems)
	case e != abi.ENOSPC:
		return ""
	}
	usage, err := SemUsage()
	if err != nil {
		return ""
	}
	if usage.Sets >= limits.MaxSets {
		return full("SEMMNI, the number of sets,", limits.MaxSets, "kernel.sem, its fourth number",
			fmt.Sprintf(" and %d are in use", usage.Sets))
	}
	return full("SEMMNS, the semaphores of all sets,", limits.MaxSemaphores, "kernel.sem, its second number",
		fmt.Sprintf("; %d are in use and %d are asked for", usage.Semaphores, nsems))
}

// queueError returns the *Error of a msgget that creates a queue.
func queueError(key Key, e abi.Errno) error {
	if e == 0 {
		return nil
	}
	err := &Error{Op: "msgget", Kind: Msg, ByKey: true, Key: key, Err: e}
	if limits, failed := MsgLimits(); failed == nil && e == abi.ENOSPC {
		err.Reason = full("MSGMNI, the number of queues,", limits.MaxQueues, "kernel.msgmni", " and all are in use")
	}
	return err
}

// opReason returns the reason for the error of a semop.
func opReason(s Set, ops []Op, err error) string {
	switch err {
	case error(abi.E2BIG):
		if limits, err := SemLimits(); err == nil {
			return fmt.Sprintf("%d operations are more than SEMOPM, which is %d (the third number of sysctl kernel.sem)", len(ops), limits.MaxOps)
		}
	case error(abi.ERANGE):
		return "a semaphore would exceed SEMVMX, which is 32767, or what is to be undone would"
	case error(abi.EFBIG):
		if info, err := s.Stat(); err == nil {
			for _, op := range ops {
				if int(op.Num) >= info.NSems {
					return fmt.Sprintf("there is no semaphore %d: the set has %d", op.Num, info.NSems)
				}
			}
		}
	}
	return ""
}

// sendError returns the *Error of a msgsnd.
func sendError(q Queue, mtype, size int, err error) error {
	e := &Error{Op: "msgsnd", Kind: Msg, ID: int(q), Size: int64(size), Err: err}
	if err != error(abi.EINVAL) {
		return e
	}
	limits, failed := MsgLimits()
	switch {
	case statQueue(int(q)) == abi.EINVAL:
		e.unknownID = true
	case mtype < 1:
		e.Reason = fmt.Sprintf("the type of a message is 1 or more, not %d", mtype)
	case failed == nil && size > limits.MaxSize:
		e.Reason = fmt.Sprintf("a text of %d bytes is longer than MSGMAX, which is %d (sysctl kernel.msgmax)", size, limits.MaxSize)
	}
	return e
}

// neverFits returns an error if a text is longer than the queue can ever hold. Its sender
// would block until another process raises the limit.
func (q Queue) neverFits(size int) error {
	info, err := q.Stat()
	if err != nil || uint64(size) <= info.QBytes {
		return nil // unknown without read permission
	}
	return &Error{
		Op: "msgsnd", Kind: Msg, ID: int(q), Size: int64(size), Err: abi.EINVAL,
		Reason: fmt.Sprintf("a text of %d bytes never fits: the queue holds %d (msg_qbytes)", size, info.QBytes),
	}
}

// receiveError returns the *Error of a msgrcv.
func receiveError(q Queue, size int, err error) error {
	e := &Error{Op: "msgrcv", Kind: Msg, ID: int(q), Size: int64(size), Err: err, unknownID: err == error(abi.EINVAL)}
	if err == error(abi.E2BIG) {
		e.Reason = fmt.Sprintf("the message is longer than the buffer of %d bytes", size)
	}
	return e
}
