package lsipc

import (
	"errors"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/clock"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/smartcols"
	"github.com/sysvipc/gipc/sysv"
)

func (l *lister) listSegments() int {
	if !l.one {
		return listAll(l, "sharedmemory", sysvipc.Segments(), func(o *sysv.SegmentInfo) *sysv.Perm { return &o.Perm }, l.appendSegment)
	}
	s, err := sysvipc.FindSegment(l.id)
	return listOne(l, "sharedmemory", &s, err, l.appendSegment)
}

func (l *lister) listQueues() int {
	if !l.one {
		return listAll(l, "messages", sysvipc.Queues(), func(o *sysv.QueueInfo) *sysv.Perm { return &o.Perm }, l.appendQueue)
	}
	q, err := sysvipc.FindQueue(l.id)
	return listOne(l, "messages", &q, err, l.appendQueue)
}

func (l *lister) listSets() int {
	if !l.one {
		return listAll(l, "semaphores", sysvipc.Sets(), func(o *sysv.SetInfo) *sysv.Perm { return &o.Perm }, l.appendSet)
	}
	s, err := sysvipc.FindSet(l.id)
	var semaphores []sysvipc.Semaphore
	if err == nil {
		var ok bool
		if semaphores, ok = l.Semaphores(&s); !ok {
			return program.Failure
		}
	}
	status := listOne(l, "semaphores", &s, err, l.appendSet)
	if l.pretty && err == nil {
		l.printSemaphores(semaphores)
	}
	return status
}

// An appender appends the value of a column; ok is false if the object has none.
type appender[T any] func(dst []byte, c column, object *T) (text []byte, ok bool)

func listAll[T any](l *lister, name string, objects iter.Seq2[T, error], perm func(*T) *sysv.Perm, value appender[T]) int {
	table := l.newTable(name)
	expect := l.expectations()
	err := sysvipc.Batches(objects, func(many []T) {
		for i := range many {
			expect(perm(&many[i]))
		}
		for i := range many {
			addRow(l, table, &many[i], value)
		}
	})
	if err != nil {
		return l.FailError("listing failed", err)
	}
	return l.finish(table)
}

// expectations returns a function that announces the names that an object's row will
// need.
func (l *lister) expectations() func(*sysv.Perm) {
	has := func(c column) bool { return slices.Contains(l.columns, c) }
	owner, creator := has(colOwner) || has(colUser), has(colCUser)
	group, creatorGroup := has(colGroup), has(colCGroup)
	return func(p *sysv.Perm) {
		if owner {
			l.accounts.ExpectUser(p.UID)
		}
		if creator {
			l.accounts.ExpectUser(p.CUID)
		}
		if group {
			l.accounts.ExpectGroup(p.GID)
		}
		if creatorGroup {
			l.accounts.ExpectGroup(p.CGID)
		}
	}
}

func addRow[T any](l *lister, table *smartcols.Table, object *T, value appender[T]) {
	for _, c := range l.columns {
		text, _ := value(table.Cell(), c, object)
		table.Add(text)
	}
}

// listOne prints one object. If it does not exist it prints an empty table, which only
// JSON shows.
func listOne[T any](l *lister, name string, object *T, err error, value appender[T]) int {
	switch {
	case err == nil:
		return printOne(l, name, object, value)
	case errors.Is(err, fs.ErrNotExist):
		return l.notFound(name, "id "+strconv.Itoa(l.id))
	default:
		return l.FailError("id "+strconv.Itoa(l.id), err)
	}
}

func (l *lister) notFound(name, what string) int {
	l.Warn(what + " not found")
	if !l.pretty {
		l.finish(l.newTable(name))
	}
	return program.Failure
}

func printOne[T any](l *lister, name string, object *T, value appender[T]) int {
	if l.pretty {
		printPretty(l, object, value)
		return program.Success
	}
	table := l.newTable(name)
	addRow(l, table, object, value)
	return l.finish(table)
}

const (
	labelWidth = 36
	valueWidth = 36
)

func printPretty[T any](l *lister, object *T, value appender[T]) {
	onTerminal, isUTF8 := l.terminal() > 0, l.IsUTF8()
	for _, c := range l.columns {
		text, ok := value(nil, c, object)
		if !ok {
			continue
		}
		if onTerminal { // a command line must not control the terminal
			text = smartcols.AppendSafe(nil, text, isUTF8)
		}
		b := program.PadLeft(l.Out.AvailableBuffer(), headings[c].label+":", labelWidth)
		b = program.PadLeft(b, string(text), valueWidth)
		_, _ = l.Out.Write(append(b, '\n'))
	}
}

func (l *lister) printSemaphores(semaphores []sysvipc.Semaphore) {
	_, _ = l.Out.WriteString("Elements:\n\n")
	right := func(name string) smartcols.Column { return smartcols.Column{Name: name, Right: true} }
	table := smartcols.New(
		smartcols.Style{ShellNames: l.style.ShellNames, UTF8: l.IsUTF8(), Terminal: l.terminal()},
		[]smartcols.Column{right("SEMNUM"), right("VALUE"), right("NCOUNT"), right("ZCOUNT"), right("PID"), right("COMMAND")},
	)
	for i, s := range semaphores {
		for _, n := range []int{i, s.Value, s.NCount, s.ZCount, s.PID} {
			table.Add(strconv.AppendInt(table.Cell(), int64(n), 10))
		}
		table.Add(append(table.Cell(), l.commands.of(s.PID)...))
	}
	l.finish(table)
}

func (l *lister) appendSegment(dst []byte, c column, s *sysv.SegmentInfo) ([]byte, bool) {
	switch c {
	case colCTime:
		return l.appendTime(dst, c, s.CTime)
	case colSize:
		return l.appendSize(dst, uint64(s.Size)), true
	case colNAttch:
		return strconv.AppendUint(dst, s.NAttch, 10), true
	case colStatus:
		return appendStatus(dst, s), true
	case colAttach:
		return l.appendTime(dst, c, s.ATime)
	case colDetach:
		return l.appendTime(dst, c, s.DTime)
	case colCommand:
		command := l.commands.of(s.CPID)
		return append(dst, command...), command != ""
	case colCPID:
		return strconv.AppendInt(dst, int64(s.CPID), 10), true
	case colLPID:
		return strconv.AppendInt(dst, int64(s.LPID), 10), true
	}
	return l.appendPerm(dst, c, s.ID, &s.Perm)
}

func (l *lister) appendQueue(dst []byte, c column, q *sysv.QueueInfo) ([]byte, bool) {
	switch c {
	case colCTime:
		return l.appendTime(dst, c, q.CTime)
	case colUsedBytes:
		return l.appendSize(dst, q.CBytes), true
	case colMsgs:
		return strconv.AppendUint(dst, q.QNum, 10), true
	case colSend:
		return l.appendTime(dst, c, q.STime)
	case colRecv:
		return l.appendTime(dst, c, q.RTime)
	case colLSPID:
		return strconv.AppendInt(dst, int64(q.LSPID), 10), true
	case colLRPID:
		return strconv.AppendInt(dst, int64(q.LRPID), 10), true
	}
	return l.appendPerm(dst, c, q.ID, &q.Perm)
}

func (l *lister) appendSet(dst []byte, c column, s *sysv.SetInfo) ([]byte, bool) {
	switch c {
	case colCTime:
		return l.appendTime(dst, c, s.CTime)
	case colNSems:
		return strconv.AppendInt(dst, int64(s.NSems), 10), true
	case colOTime:
		return l.appendTime(dst, c, s.OTime)
	}
	return l.appendPerm(dst, c, s.ID, &s.Perm)
}

// appendPerm appends a column that objects of all kinds have.
func (l *lister) appendPerm(dst []byte, c column, id int, p *sysv.Perm) ([]byte, bool) {
	switch c {
	case colKey:
		return program.Key(dst, int32(p.Key)), true
	case colID:
		return strconv.AppendInt(dst, int64(id), 10), true
	case colOwner:
		return append(dst, l.accounts.UserOrID(p.UID)...), true
	case colPerms:
		if l.numericPerms {
			return program.Octal(dst, uint32(p.Mode)), true
		}
		return append(dst, units.FormatPermissions(uint32(p.Mode))...), true
	case colCUID:
		return strconv.AppendUint(dst, uint64(p.CUID), 10), true
	case colCGID:
		return strconv.AppendUint(dst, uint64(p.CGID), 10), true
	case colUID:
		return strconv.AppendUint(dst, uint64(p.UID), 10), true
	case colGID:
		return strconv.AppendUint(dst, uint64(p.GID), 10), true
	case colCUser:
		return appendName(dst, l.accounts.User, p.CUID)
	case colUser:
		return appendName(dst, l.accounts.User, p.UID)
	case colCGroup:
		return appendName(dst, l.accounts.Group, p.CGID)
	case colGroup:
		return appendName(dst, l.accounts.Group, p.GID)
	}
	return dst, false
}

func appendName(dst []byte, lookup func(uint32) (string, bool), id uint32) ([]byte, bool) {
	name, ok := lookup(id)
	return append(dst, name...), ok
}

func (l *lister) appendSize(dst []byte, size uint64) []byte {
	if l.bytes {
		return strconv.AppendUint(dst, size, 10)
	}
	return units.AppendSize(dst, size)
}

func appendStatus(dst []byte, s *sysv.SegmentInfo) []byte {
	switch {
	case s.Dest && s.Locked:
		return append(dst, "dest,locked"...)
	case s.Dest:
		return append(dst, "dest"...)
	case s.Locked:
		return append(dst, "locked"...)
	}
	return dst
}

// appendTime uses a clock for each column, since a column often repeats the same time.
func (l *lister) appendTime(dst []byte, c column, t time.Time) ([]byte, bool) {
	if t.IsZero() {
		return dst, false
	}
	if l.clocks[c] == nil {
		l.clocks[c] = clock.New(l.timeFormat, l.LookupEnv)
	}
	return l.clocks[c].Append(dst, t), true
}
