package ipcs

import (
	"strconv"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
	"github.com/sysvipc/gipc/sysv"
)

func (l *lister) listSets() error {
	switch l.view {
	case limits:
		l.setLimits()
		return nil
	case summary:
		l.setSummary()
		return nil
	case pids:
		return nil // only its semaphores have pids
	case creators:
		l.print("------ Semaphore Arrays Creators/Owners --------\n" +
			"semid      perms      cuid       cgid       uid        gid       \n")
	case times:
		l.print("------ Semaphore Operation/Change Times --------\n" +
			"semid    owner      last-op                    last-changed              \n")
	default:
		l.print("------ Semaphore Arrays --------\n" +
			"key        semid      owner      perms      nsems     \n")
	}
	return rows(l, sysvipc.Sets(), func(s *sysv.SetInfo) *sysv.Perm { return &s.Perm }, l.appendSet)
}

func (l *lister) appendSet(dst []byte, s *sysv.SetInfo) []byte {
	switch l.view {
	case creators:
		return l.appendCreators(dst, s.ID, &s.Perm)
	case times:
		dst = l.appendIDOwner(dst, s.ID, 8, s.UID)
		dst = l.appendTime(append(dst, "  "...), 0, s.OTime)
		dst = l.appendTime(append(dst, ' '), 1, s.CTime)
	default:
		dst = program.Key(dst, int32(s.Key))
		dst = l.appendIDOwner(append(dst, ' '), s.ID, 10, s.UID)
		dst = program.PadOctal(append(dst, ' '), uint32(s.Mode), 10)
		dst = program.PadUint(append(dst, ' '), uint64(s.NSems), 10)
	}
	return append(dst, '\n')
}

func (l *lister) setLimits() {
	limits, err := sysvipc.SemLimits()
	if err != nil {
		l.print("unable to fetch semaphore limits\n")
		return
	}
	b := l.Out.AvailableBuffer()
	b = append(b, "------ Semaphore Limits --------\nmax number of arrays = "...)
	b = strconv.AppendInt(b, int64(limits.MaxSets), 10)
	b = strconv.AppendInt(append(b, "\nmax semaphores per array = "...), int64(limits.MaxPerSet), 10)
	b = strconv.AppendInt(append(b, "\nmax semaphores system wide = "...), int64(limits.MaxSemaphores), 10)
	b = strconv.AppendInt(append(b, "\nmax ops per semop call = "...), int64(limits.MaxOps), 10)
	b = strconv.AppendInt(append(b, "\nsemaphore max value = "...), int64(limits.MaxValue), 10)
	_, _ = l.Out.Write(append(b, '\n'))
}

func (l *lister) setSummary() {
	usage, err := sysvipc.SemUsage()
	if err != nil {
		l.print("kernel not configured for semaphores\n")
		return
	}
	b := l.Out.AvailableBuffer()
	b = append(b, "------ Semaphore Status --------\nused arrays = "...)
	b = strconv.AppendInt(b, int64(usage.Sets), 10)
	b = strconv.AppendInt(append(b, "\nallocated semaphores = "...), int64(usage.Semaphores), 10)
	_, _ = l.Out.Write(append(b, '\n'))
}

func (l *lister) showSet(s *sysv.SetInfo, semaphores []sysvipc.Semaphore) {
	b := l.Out.AvailableBuffer()
	b = strconv.AppendInt(append(b, "\nSemaphore Array semid="...), int64(s.ID), 10)
	b = appendOwners(append(b, '\n'), &s.Perm, "\t ")
	b = program.Octal(append(b, "\nmode="...), uint32(s.Mode))
	b = program.Octal(append(b, ", access_perms="...), uint32(s.Mode))
	b = strconv.AppendInt(append(b, "\nnsems = "...), int64(s.NSems), 10)
	b = l.appendTime(append(b, "\notime = "...), 0, s.OTime)
	b = l.appendTime(append(b, "\nctime = "...), 1, s.CTime)
	b = append(b, "\nsemnum     value      ncount     zcount     pid       \n"...)
	for i, sem := range semaphores {
		b = program.PadUint(b, uint64(i), 10)
		for _, n := range []int{sem.Value, sem.NCount, sem.ZCount, sem.PID} {
			b = program.PadUint(append(b, ' '), uint64(n), 10)
		}
		b = append(b, '\n')
	}
	_, _ = l.Out.Write(append(b, '\n'))
}
