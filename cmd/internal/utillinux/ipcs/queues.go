package ipcs

import (
	"strconv"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
	"github.com/sysvipc/gipc/sysv"
)

func (l *lister) listQueues() error {
	switch l.view {
	case limits:
		l.queueLimits()
		return nil
	case summary:
		l.queueSummary()
		return nil
	case creators:
		l.print("------ Message Queues Creators/Owners --------\n" +
			"msqid      perms      cuid       cgid       uid        gid       \n")
	case times:
		l.print("------ Message Queues Send/Recv/Change Times --------\n" +
			"msqid    owner      send                 recv                 change              \n")
	case pids:
		l.print("------ Message Queues PIDs --------\n" +
			"msqid      owner      lspid      lrpid     \n")
	default:
		l.print("------ Message Queues --------\n" +
			"key        msqid      owner      perms      ")
		if l.unit == human {
			l.print("size         messages    \n")
		} else {
			l.print("used-bytes   messages    \n")
		}
	}
	return rows(l, sysvipc.Queues(), func(q *sysv.QueueInfo) *sysv.Perm { return &q.Perm }, l.appendQueue)
}

func (l *lister) appendQueue(dst []byte, q *sysv.QueueInfo) []byte {
	switch l.view {
	case creators:
		return l.appendCreators(dst, q.ID, &q.Perm)
	case times:
		dst = l.appendIDOwner(dst, q.ID, 8, q.UID)
		dst = l.appendDay(append(dst, ' '), 0, q.STime)
		dst = l.appendDay(append(dst, ' '), 1, q.RTime)
		dst = l.appendDay(append(dst, ' '), 2, q.CTime)
	case pids:
		dst = l.appendIDOwner(dst, q.ID, 8, q.UID)
		dst = program.PadRight(append(dst, "  "...), strconv.Itoa(q.LSPID), 5)
		dst = program.PadRight(append(dst, "     "...), strconv.Itoa(q.LRPID), 5)
	default:
		dst = program.Key(dst, int32(q.Key))
		dst = l.appendIDOwner(append(dst, ' '), q.ID, 10, q.UID)
		dst = program.PadOctal(append(dst, ' '), uint32(q.Mode), 10)
		dst = append(dst, ' ')
		if l.unit == human {
			dst = program.PadRight(dst, units.FormatSize(q.CBytes), 6)
			dst = append(dst, "      "...)
		} else {
			dst = program.PadUint(dst, q.CBytes, 12)
		}
		dst = program.PadUint(append(dst, ' '), q.QNum, 12)
	}
	return append(dst, '\n')
}

func (l *lister) queueLimits() {
	limits, err := sysvipc.MsgLimits()
	if err != nil {
		l.print("unable to fetch message limits\n")
		return
	}
	b := l.Out.AvailableBuffer()
	b = append(b, "------ Messages Limits --------\nmax queues system wide = "...)
	b = strconv.AppendInt(b, int64(limits.MaxQueues), 10)
	b = appendSize(append(b, '\n'), "max size of message", uint64(limits.MaxSize), l.unit.or(bytes))
	b = appendSize(append(b, '\n'), "default max size of queue", uint64(limits.MaxBytes), l.unit.or(bytes))
	_, _ = l.Out.Write(append(b, '\n'))
}

func (l *lister) queueSummary() {
	usage, err := sysvipc.MsgUsage()
	if err != nil {
		l.print("kernel not configured for message queues\n")
		return
	}
	b := l.Out.AvailableBuffer()
	b = append(b, "------ Messages Status --------\nallocated queues = "...)
	b = strconv.AppendInt(b, int64(usage.Queues), 10)
	b = strconv.AppendInt(append(b, "\nused headers = "...), int64(usage.Messages), 10)
	b = appendSize(append(b, '\n'), "used space", uint64(usage.Bytes), l.unit)
	if l.unit == standard {
		b = append(b, " bytes"...)
	}
	_, _ = l.Out.Write(append(b, '\n'))
}

func (l *lister) showQueue(q *sysv.QueueInfo) {
	b := l.Out.AvailableBuffer()
	b = strconv.AppendInt(append(b, "\nMessage Queue msqid="...), int64(q.ID), 10)
	b = appendOwners(append(b, '\n'), &q.Perm, "\t")
	b = program.Octal(append(b, "\tmode="...), uint32(q.Mode))
	b = appendSize(append(b, '\n'), l.label("cbytes=", "csize="), q.CBytes, l.unit)
	b = appendSize(append(b, '\t'), l.label("qbytes=", "qsize="), knownQBytes(q), l.unit)
	b = strconv.AppendUint(append(b, "\tqnum="...), q.QNum, 10)
	b = strconv.AppendInt(append(b, "\tlspid="...), int64(q.LSPID), 10)
	b = strconv.AppendInt(append(b, "\tlrpid="...), int64(q.LRPID), 10)
	b = l.appendTime(append(b, "\nsend_time="...), 0, q.STime)
	b = l.appendTime(append(b, "\nrcv_time="...), 1, q.RTime)
	b = l.appendTime(append(b, "\nchange_time="...), 2, q.CTime)
	_, _ = l.Out.Write(append(b, "\n\n"...))
}

// knownQBytes returns 0 for an unknown value, like util-linux.
func knownQBytes(q *sysv.QueueInfo) uint64 {
	if q.QBytes == sysvipc.UnknownQBytes {
		return 0
	}
	return q.QBytes
}
