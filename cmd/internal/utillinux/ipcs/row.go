package ipcs

import (
	"iter"
	"strconv"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/cmd/internal/utillinux/program"
	"github.com/sysvipc/gipc/sysv"
)

// nameWidth is where owners' names are cut; creators' names are not cut.
const nameWidth = 10

const notSet = "Not set"

// rows prints a row for each object.
func rows[T any](l *lister, objects iter.Seq2[T, error], perm func(*T) *sysv.Perm, appendRow func([]byte, *T) []byte) error {
	return sysvipc.Batches(objects, func(many []T) {
		for i := range many {
			l.expect(perm(&many[i]))
		}
		for i := range many {
			row := appendRow(l.Out.AvailableBuffer(), &many[i])
			_, _ = l.Out.Write(row) // Exit reports the error
		}
	})
}

// expect announces the names that an object's row will need.
func (l *lister) expect(p *sysv.Perm) {
	l.accounts.ExpectUser(p.UID)
	if l.view == creators {
		l.accounts.ExpectUser(p.CUID)
		l.accounts.ExpectGroup(p.GID)
		l.accounts.ExpectGroup(p.CGID)
	}
}

// appendIDOwner appends the identifier and the owner.
func (l *lister) appendIDOwner(dst []byte, id, idWidth int, uid uint32) []byte {
	dst = program.PadUint(dst, uint64(id), idWidth)
	dst = append(dst, ' ')
	name, ok := l.accounts.User(uid)
	if !ok {
		return program.PadUint(dst, uint64(uid), nameWidth)
	}
	return program.PadLeft(dst, name[:min(len(name), nameWidth)], nameWidth)
}

// appendCreators appends a row of the creators view.
func (l *lister) appendCreators(dst []byte, id int, p *sysv.Perm) []byte {
	dst = program.PadUint(dst, uint64(id), 10)
	dst = program.PadOctal(append(dst, ' '), uint32(p.Mode), 10)
	dst = program.PadLeft(append(dst, ' '), l.accounts.UserOrID(p.CUID), nameWidth)
	dst = program.PadLeft(append(dst, ' '), l.accounts.GroupOrID(p.CGID), nameWidth)
	dst = program.PadLeft(append(dst, ' '), l.accounts.UserOrID(p.UID), nameWidth)
	dst = program.PadLeft(append(dst, ' '), l.accounts.GroupOrID(p.GID), nameWidth)
	return append(dst, '\n')
}

// appendDay appends a time without weekday and year (Nov 1 08:05:28), 20 wide. column
// is its number among the row's time columns.
func (l *lister) appendDay(dst []byte, column int, t time.Time) []byte {
	if t.IsZero() {
		return program.PadLeft(dst, notSet, 20)
	}
	// Sat Nov  1 08:05:28 2025
	//     ^^^^^^^^^^^^^^^^
	start := len(dst)
	dst = l.clocks[column].Append(dst, t)
	dst = append(dst[:start], dst[start+4:start+20]...)
	return append(dst, "    "...)
}

// appendTime appends a full time, 26 wide.
func (l *lister) appendTime(dst []byte, column int, t time.Time) []byte {
	if t.IsZero() {
		return program.PadLeft(dst, notSet, 26)
	}
	return append(l.clocks[column].Append(dst, t), "  "...)
}

// appendSize appends a label and a size. Unless the label ends in =, the unit goes
// between them.
func appendSize(dst []byte, label string, size uint64, u unit) []byte {
	dst = append(dst, label...)
	if label[len(label)-1] != '=' {
		switch u {
		case bytes:
			dst = append(dst, " (bytes)"...)
		case kilobytes:
			dst = append(dst, " (kbytes)"...)
		}
		dst = append(dst, " = "...)
	}
	switch u {
	case human:
		return units.AppendSize(dst, size)
	case kilobytes:
		return strconv.AppendUint(dst, size/1024, 10)
	default:
		return strconv.AppendUint(dst, size, 10)
	}
}

// or returns u, or customary if no unit was asked for.
func (u unit) or(customary unit) unit {
	if u == standard {
		return customary
	}
	return u
}

// appendOwners appends the ids of the owner and the creator.
func appendOwners(dst []byte, p *sysv.Perm, separator string) []byte {
	dst = strconv.AppendUint(append(dst, "uid="...), uint64(p.UID), 10)
	dst = strconv.AppendUint(append(append(dst, separator...), "gid="...), uint64(p.GID), 10)
	dst = strconv.AppendUint(append(append(dst, separator...), "cuid="...), uint64(p.CUID), 10)
	return strconv.AppendUint(append(append(dst, separator...), "cgid="...), uint64(p.CGID), 10)
}

// label returns the label for a size.
func (l *lister) label(exact, rounded string) string {
	if l.unit == human {
		return rounded
	}
	return exact
}
