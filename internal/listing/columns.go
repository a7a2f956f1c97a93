package listing

import (
	"strings"

	"github.com/sysvipc/gipc/internal/inventory"
	"github.com/sysvipc/gipc/internal/procfs"
	"github.com/sysvipc/gipc/internal/render"
	"github.com/sysvipc/gipc/internal/units"
	"github.com/sysvipc/gipc/sysv"
)

// All returns all columns, in the order in which they are shown by default.
func All() List {
	shm, sem, msg := []sysv.Kind{sysv.Shm}, []sysv.Kind{sysv.Sem}, []sysv.Kind{sysv.Msg}
	left, right := render.Left, render.Right
	return List{
		{"kind", "shm, sem or msg", 0, left, nil, func(r *row) value { return words(r.Kind.String()) }},
		{"id", "identifier", 0, right, nil, func(r *row) value { return number(uint64(r.ID())) }},
		{"key", "key", 0, left, nil, key},
		{"keytext", "the key as text, if it is printable", 0, left, nil, keyText},
		{"owner", "name of the owner, or its number", 0, left, nil, func(r *row) value { return words(r.names.UserOrID(r.Perm().UID)) }},
		{"mode", "permission bits, octal", 0, right, nil, mode},
		{"perms", "permission bits, as ls(1) shows them", 0, left, nil, func(r *row) value { return words(units.FormatPermissions(uint32(r.Perm().Mode))) }},
		{"size", "bytes of the segment, or in the queue", 0, right, []sysv.Kind{sysv.Shm, sysv.Msg}, size},
		{"nattch", "attachments", 0, right, shm, func(r *row) value { return number(r.Segment.NAttch) }},
		{"status", "dest: goes with its last attachment; locked: not swapped out", 0, left, shm, status},
		{"nsems", "semaphores", 0, right, sem, func(r *row) value { return number(uint64(r.Set.NSems)) }},
		{"messages", "messages in the queue", 0, right, msg, func(r *row) value { return number(r.Queue.QNum) }},
		{"qbytes", "bytes that the queue may hold", 0, right, msg, func(r *row) value { return bytes(r.Queue.QBytes) }},
		{"cpid", "process that made the segment", 0, right, shm, func(r *row) value { return pid(r.Segment.CPID) }},
		{"lpid", "process that attached or detached last", 0, right, shm, func(r *row) value { return pid(r.Segment.LPID) }},
		{"lspid", "process that sent last", 0, right, msg, func(r *row) value { return pid(r.Queue.LSPID) }},
		{"lrpid", "process that received last", 0, right, msg, func(r *row) value { return pid(r.Queue.LRPID) }},
		{"atime", "last attached", 0, left, shm, func(r *row) value { return moment(r.Segment.ATime) }},
		{"dtime", "last detached", 0, left, shm, func(r *row) value { return moment(r.Segment.DTime) }},
		{"otime", "last semop", 0, left, sem, func(r *row) value { return moment(r.Set.OTime) }},
		{"stime", "last sent", 0, left, msg, func(r *row) value { return moment(r.Queue.STime) }},
		{"rtime", "last received", 0, left, msg, func(r *row) value { return moment(r.Queue.RTime) }},
		{"ctime", "made, or last changed", 0, left, nil, func(r *row) value { return moment(r.Changed()) }},
		{"age", "time since ctime; seconds for machines", 0, right, nil, age},
		{"uid", "number of the owner", 0, right, nil, func(r *row) value { return number(uint64(r.Perm().UID)) }},
		{"gid", "number of the owner's group", 0, right, nil, func(r *row) value { return number(uint64(r.Perm().GID)) }},
		{"group", "name of the owner's group", 0, left, nil, func(r *row) value { return words(r.names.GroupOrID(r.Perm().GID)) }},
		{"cuid", "number of the creator", 0, right, nil, func(r *row) value { return number(uint64(r.Perm().CUID)) }},
		{"cuser", "name of the creator", 0, left, nil, func(r *row) value { return words(r.names.UserOrID(r.Perm().CUID)) }},
		{"cgid", "number of the creator's group", 0, right, nil, func(r *row) value { return number(uint64(r.Perm().CGID)) }},
		{"cgroup", "name of the creator's group", 0, left, nil, func(r *row) value { return words(r.names.GroupOrID(r.Perm().CGID)) }},
		{"rss", "bytes in memory", inventory.WantMemory, right, shm, func(r *row) value { return memory(r, func(m *procfs.SegmentMemory) uint64 { return m.Resident }) }},
		{"swap", "bytes in swap space", inventory.WantMemory, right, shm, func(r *row) value { return memory(r, func(m *procfs.SegmentMemory) uint64 { return m.Swapped }) }},
		{"creator", "command that made the segment; \"gone\" and \"reused\" say that the process is no more", inventory.WantActors, left, shm, func(r *row) value { return actor(r, inventory.Creator) }},
		{"lastuser", "command that used it last", inventory.WantActors, left, nil, lastUser},
	}
}

func key(r *row) value {
	k := uint64(uint32(r.Perm().Key))
	return value{cell: render.Hex(k, 8), known: true, num: k}
}

// keyText shows a key such as that of a gpsd, NTP0, which is made of characters.
func keyText(r *row) value {
	k := uint32(r.Perm().Key)
	b := []byte{byte(k >> 24), byte(k >> 16), byte(k >> 8), byte(k)}
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return value{}
		}
	}
	return words(string(b))
}

func mode(r *row) value {
	m := uint64(r.Perm().Mode)
	return value{cell: render.Octal(m, 4), known: true, num: m}
}

func size(r *row) value {
	if r.Kind == sysv.Msg {
		return bytes(r.Queue.CBytes)
	}
	return bytes(uint64(r.Segment.Size))
}

func status(r *row) value {
	var words []string
	if r.Segment.Dest {
		words = append(words, "dest")
	}
	if r.Segment.Locked {
		words = append(words, "locked")
	}
	items := make([]render.Cell, len(words))
	for i, w := range words {
		items[i] = render.Text(w)
	}
	return value{cell: render.List(items...), known: true, text: strings.Join(words, ",")}
}

func age(r *row) value {
	if r.Changed().IsZero() {
		return value{}
	}
	d := max(r.now.Sub(r.Changed()), 0)
	return value{cell: render.Duration(d), known: true, num: uint64(d)}
}

func memory(r *row, get func(*procfs.SegmentMemory) uint64) value {
	if r.Use == nil || r.Use.Memory == nil {
		return value{}
	}
	return bytes(get(r.Use.Memory))
}

// actor names the process that had a role: by its command while it lives.
func actor(r *row, role inventory.Role) value {
	if r.Use == nil {
		return value{}
	}
	for i := range r.Use.Actors {
		if a := &r.Use.Actors[i]; a.Role == role {
			return fate(a)
		}
	}
	return value{}
}

func fate(a *inventory.Actor) value {
	switch a.State {
	case inventory.Alive:
		return words(a.Process.Comm)
	case inventory.Gone, inventory.Reused:
		return words(a.State.String())
	default:
		return value{}
	}
}

// lastUser names the process that used the object last: of a queue the one that
// sent or received, whichever was later.
func lastUser(r *row) value {
	switch r.Kind {
	case sysv.Shm:
		return actor(r, inventory.User)
	case sysv.Sem:
		return actor(r, inventory.Operator)
	}
	if r.Queue.STime.After(r.Queue.RTime) {
		return actor(r, inventory.Sender)
	}
	return actor(r, inventory.Receiver)
}
