package ipcs

import (
	"math"
	"math/bits"
	"os"
	"strconv"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
	"github.com/sysvipc/gipc/sysv"
)

func (l *lister) listSegments() error {
	switch l.view {
	case limits:
		l.segmentLimits()
		return nil
	case summary:
		l.segmentSummary()
		return nil
	case creators:
		l.print("------ Shared Memory Segment Creators/Owners --------\n" +
			"shmid      perms      cuid       cgid       uid        gid       \n")
	case times:
		l.print("------ Shared Memory Attach/Detach/Change Times --------\n" +
			"shmid      owner      attached             detached             changed             \n")
	case pids:
		l.print("------ Shared Memory Creator/Last-op PIDs --------\n" +
			"shmid      owner      cpid       lpid      \n")
	default:
		l.print("------ Shared Memory Segments --------\n" +
			"key        shmid      owner      perms      ")
		if l.unit == human {
			l.print("size       nattch     status      \n")
		} else {
			l.print("bytes      nattch     status      \n")
		}
	}
	return rows(l, sysvipc.Segments(), func(s *sysv.SegmentInfo) *sysv.Perm { return &s.Perm }, l.appendSegment)
}

func (l *lister) appendSegment(dst []byte, s *sysv.SegmentInfo) []byte {
	switch l.view {
	case creators:
		return l.appendCreators(dst, s.ID, &s.Perm)
	case times:
		dst = l.appendIDOwner(dst, s.ID, 10, s.UID)
		dst = l.appendDay(append(dst, ' '), 0, s.ATime)
		dst = l.appendDay(append(dst, ' '), 1, s.DTime)
		dst = l.appendDay(append(dst, ' '), 2, s.CTime)
	case pids:
		dst = l.appendIDOwner(dst, s.ID, 10, s.UID)
		dst = program.PadUint(append(dst, ' '), uint64(s.CPID), 10)
		dst = program.PadUint(append(dst, ' '), uint64(s.LPID), 10)
	default:
		dst = program.Key(dst, int32(s.Key))
		dst = l.appendIDOwner(append(dst, ' '), s.ID, 10, s.UID)
		dst = program.PadOctal(append(dst, ' '), uint32(s.Mode), 10)
		dst = append(dst, ' ')
		if l.unit == human {
			dst = program.PadRight(dst, units.FormatSize(uint64(s.Size)), 6)
			dst = append(dst, "    "...)
		} else {
			dst = program.PadUint(dst, uint64(s.Size), 10)
		}
		dst = program.PadUint(append(dst, ' '), s.NAttch, 10)
		dst = append(dst, ' ')
		dst = program.PadLeft(dst, word(s.Dest, "dest"), 6)
		dst = append(dst, ' ')
		dst = program.PadLeft(dst, word(s.Locked, "locked"), 6)
	}
	return append(dst, '\n')
}

func word(set bool, s string) string {
	if set {
		return s
	}
	return ""
}

func (l *lister) segmentLimits() {
	limits, err := sysvipc.ShmLimits()
	if err != nil {
		l.print("unable to fetch shared memory limits\n")
		return
	}
	b := l.Out.AvailableBuffer()
	b = append(b, "------ Shared Memory Limits --------\nmax number of segments = "...)
	b = strconv.AppendUint(b, limits.MaxSegments, 10)
	b = appendSize(append(b, '\n'), "max seg size", limits.MaxSize, l.unit.or(kilobytes))
	page := uint64(os.Getpagesize())
	if l.unit == standard {
		b = appendSize(append(b, '\n'), "max total shared memory (kbytes)", times64(limits.MaxPages, page/1024), standard)
	} else {
		b = appendSize(append(b, '\n'), "max total shared memory", times64(limits.MaxPages, page), l.unit)
	}
	b = appendSize(append(b, '\n'), "min seg size", limits.MinSize, l.unit.or(bytes))
	_, _ = l.Out.Write(append(b, '\n'))
}

// times64 returns n*factor or, if that overflows, the largest multiple of factor that
// fits.
func times64(n, factor uint64) uint64 {
	high, low := bits.Mul64(n, factor)
	if high != 0 {
		return math.MaxUint64 - math.MaxUint64%factor
	}
	return low
}

func (l *lister) segmentSummary() {
	usage, err := sysvipc.ShmUsage()
	if err != nil {
		l.print("kernel not configured for shared memory\n")
		return
	}
	b := l.Out.AvailableBuffer()
	b = append(b, "------ Shared Memory Status --------\nsegments allocated "...)
	b = strconv.AppendInt(b, int64(usage.Segments), 10)
	b = strconv.AppendUint(append(b, "\npages allocated "...), usage.Pages, 10)
	b = strconv.AppendUint(append(b, "\npages resident  "...), usage.ResidentPages, 10)
	b = strconv.AppendUint(append(b, "\npages swapped   "...), usage.SwappedPages, 10)
	b = strconv.AppendUint(append(b, "\nSwap performance: "...), usage.SwapAttempts, 10)
	b = strconv.AppendUint(append(b, " attempts\t "...), usage.SwapSuccesses, 10)
	_, _ = l.Out.Write(append(b, " successes\n"...))
}

// Mode bits of a segment beyond the permissions.
const (
	modeDest   = 0o1000
	modeLocked = 0o2000
)

func (l *lister) showSegment(s *sysv.SegmentInfo) {
	mode := uint32(s.Mode)
	if s.Dest {
		mode |= modeDest
	}
	if s.Locked {
		mode |= modeLocked
	}
	b := l.Out.AvailableBuffer()
	b = strconv.AppendInt(append(b, "\nShared memory Segment shmid="...), int64(s.ID), 10)
	b = append(appendOwners(append(b, '\n'), &s.Perm, "\t"), '\n')
	b = program.Octal(append(b, "mode="...), mode)
	b = program.Octal(append(b, "\taccess_perms="...), uint32(s.Mode))
	b = append(b, '\n')
	b = appendSize(b, l.label("bytes=", "size="), uint64(s.Size), l.unit)
	b = strconv.AppendInt(append(b, "\tlpid="...), int64(s.LPID), 10)
	b = strconv.AppendInt(append(b, "\tcpid="...), int64(s.CPID), 10)
	b = strconv.AppendUint(append(b, "\tnattch="...), s.NAttch, 10)
	b = l.appendTime(append(b, "\natt_time="...), 0, s.ATime)
	b = l.appendTime(append(b, "\ndet_time="...), 1, s.DTime)
	b = l.appendTime(append(b, "\nchange_time="...), 2, s.CTime)
	_, _ = l.Out.Write(append(b, "\n\n"...))
}
