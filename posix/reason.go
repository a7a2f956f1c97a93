package posix

import (
	"fmt"

	"github.com/sysvipc/gipc/internal/abi"
)

// because adds to an error number what the kernel does not report: which limit was reached,
// its value, and what was requested.
func because(e abi.Errno, format string, args ...any) error {
	return fmt.Errorf("%w: %s", e, fmt.Sprintf(format, args...))
}

// creationError returns the error of an mq_open that creates a queue. A nil attr means the
// system's defaults.
func creationError(attr *abi.MqAttr, e abi.Errno) error {
	switch limits, err := MqLimits(); {
	case e == 0:
		return nil
	case e == abi.EMFILE && !descriptorsLeft():
		return because(e, "the process has as many descriptors open as RLIMIT_NOFILE allows")
	case e == abi.EMFILE:
		return because(e, "the queues of this user would take more than RLIMIT_MSGQUEUE, which is %d bytes (ulimit -q)", queueBytes())
	case err != nil:
		return e
	case e == abi.ENOSPC:
		return because(e, "there are as many queues as queues_max allows, which is %d (sysctl fs.mqueue.queues_max)", limits.QueuesMax)
	case e != abi.EINVAL || attr == nil:
		return e
	case attr.MaxMsg < 1 || attr.MsgSize < 1:
		return because(e, "a queue for %d messages of %d bytes", attr.MaxMsg, attr.MsgSize)
	case attr.MaxMsg > limits.MsgMax:
		return because(e, "%d messages are more than msg_max, which is %d (sysctl fs.mqueue.msg_max)", attr.MaxMsg, limits.MsgMax)
	case attr.MsgSize > limits.MsgSizeMax:
		return because(e, "messages of %d bytes are longer than msgsize_max, which is %d (sysctl fs.mqueue.msgsize_max)", attr.MsgSize, limits.MsgSizeMax)
	default:
		return e
	}
}

// sendError returns the error of an mq_send.
func (q *Queue) sendError(size int, prio uint, err error) error {
	switch attr, e := abi.MqGetattr(q.fd); {
	case err == error(abi.EMSGSIZE) && e == 0:
		err = because(abi.EMSGSIZE, "a message of %d bytes is longer than MsgSize, which is %d", size, attr.MsgSize)
	case err == error(abi.EINVAL) && prio > maxPriority:
		err = because(abi.EINVAL, "priority %d is above %d", prio, maxPriority)
	}
	return failed("mq_send", q.name, err)
}

// receiveError returns the error of an mq_receive.
func (q *Queue) receiveError(size int, err error) error {
	if attr, e := abi.MqGetattr(q.fd); err == error(abi.EMSGSIZE) && e == 0 {
		err = because(abi.EMSGSIZE, "a buffer of %d bytes is shorter than MsgSize, which is %d", size, attr.MsgSize)
	}
	return failed("mq_receive", q.name, err)
}
