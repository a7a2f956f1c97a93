package listing

import (
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
		{"kind", "shm, sem or msg", Text, 0, left, nil, func(r *Row) value { return words(r.Kind.String()) }},
		{"id", "identifier", Number, 0, right, nil, func(r *Row) value { return number(uint64(r.ID())) }},
		{"key", "key", Number, 0, left, nil, key},
		{"keytext", "the key as text, if it is printable", Text, 0, left, nil, keyText},
		{"owner", "name of the owner, or its number", Text, 0, left, nil, func(r *Row) value { return words(r.Names.UserOrID(r.Perm().UID)) }},
		{"mode", "permission bits, octal", Number, 0, right, nil, mode},
		{"perms", "permission bits, as ls(1) shows them", Text, 0, left, nil, func(r *Row) value { return words(units.FormatPermissions(uint32(r.Perm().Mode))) }},
		{"size", "bytes of the segment, or in the queue", Number, 0, right, []sysv.Kind{sysv.Shm, sysv.Msg}, size},
		{"nattch", "attachments", Number, 0, right, shm, func(r *Row) value { return number(r.Segment.NAttch) }},
		{"status", "dest: goes with its last attachment; locked: not swapped out", Texts, 0, left, shm, status},
		{"nsems", "semaphores", Number, 0, right, sem, func(r *Row) value { return number(uint64(r.Set.NSems)) }},
		{"messages", "messages in the queue", Number, 0, right, msg, func(r *Row) value { return number(r.Queue.QNum) }},
		{"qbytes", "bytes that the queue may hold", Number, 0, right, msg, func(r *Row) value { return bytes(r.Queue.QBytes) }},
		{"cpid", "process that made the segment", Number, 0, right, shm, func(r *Row) value { return pid(r.Segment.CPID) }},
		{"lpid", "process that attached or detached last", Number, 0, right, shm, func(r *Row) value { return pid(r.Segment.LPID) }},
		{"lspid", "process that sent last", Number, 0, right, msg, func(r *Row) value { return pid(r.Queue.LSPID) }},
		{"lrpid", "process that received last", Number, 0, right, msg, func(r *Row) value { return pid(r.Queue.LRPID) }},
		{"atime", "last attached", Time, 0, left, shm, func(r *Row) value { return moment(r.Segment.ATime) }},
		{"dtime", "last detached", Time, 0, left, shm, func(r *Row) value { return moment(r.Segment.DTime) }},
		{"otime", "last semop", Time, 0, left, sem, func(r *Row) value { return moment(r.Set.OTime) }},
		{"stime", "last sent", Time, 0, left, msg, func(r *Row) value { return moment(r.Queue.STime) }},
		{"rtime", "last received", Time, 0, left, msg, func(r *Row) value { return moment(r.Queue.RTime) }},
		{"ctime", "made, or last changed", Time, 0, left, nil, func(r *Row) value { return moment(r.Changed()) }},
		{"age", "time since ctime; seconds for machines", Duration, 0, right, nil, age},
		{"idle", "time since it was last used or changed, as far as the kernel notes that; 0 while attached", Duration, 0, right, nil, idle},
		{"uid", "number of the owner", Number, 0, right, nil, func(r *Row) value { return number(uint64(r.Perm().UID)) }},
		{"gid", "number of the owner's group", Number, 0, right, nil, func(r *Row) value { return number(uint64(r.Perm().GID)) }},
		{"group", "name of the owner's group", Text, 0, left, nil, func(r *Row) value { return words(r.Names.GroupOrID(r.Perm().GID)) }},
		{"cuid", "number of the creator", Number, 0, right, nil, func(r *Row) value { return number(uint64(r.Perm().CUID)) }},
		{"cuser", "name of the creator", Text, 0, left, nil, func(r *Row) value { return words(r.Names.UserOrID(r.Perm().CUID)) }},
		{"cgid", "number of the creator's group", Number, 0, right, nil, func(r *Row) value { return number(uint64(r.Perm().CGID)) }},
		{"cgroup", "name of the creator's group", Text, 0, left, nil, func(r *Row) value { return words(r.Names.GroupOrID(r.Perm().CGID)) }},
		{"rss", "bytes in memory", Number, inventory.WantMemory, right, shm, func(r *Row) value { return memory(r, func(m *procfs.SegmentMemory) uint64 { return m.Resident }) }},
		{"swap", "bytes in swap space", Number, inventory.WantMemory, right, shm, func(r *Row) value { return memory(r, func(m *procfs.SegmentMemory) uint64 { return m.Swapped }) }},
		{"creator", "command that made the segment; \"gone\" and \"reused\" say that the process is no more", Text, inventory.WantActors, left, shm, func(r *Row) value { return actor(r, inventory.Creator) }},
		{"lastuser", "command that used it last", Text, inventory.WantActors, left, nil, lastUser},
		{"attached", "processes that are attached", Number, inventory.WantAttached, right, shm, attached},
		{"waiting", "threads that wait on it", Number, inventory.WantWaiting, right, []sysv.Kind{sysv.Sem, sysv.Msg}, waiting},
		{"pids", "processes that are attached or wait", Numbers, inventory.WantAttached | inventory.WantWaiting, left, nil, pids},
		{"verdict", "in use, idle, orphan or unknown", Text, inventory.WantVerdict, left, nil, func(r *Row) value { return words(r.verdict().String()) }},
		{"reasons", "what the verdict rests on", Texts, inventory.WantVerdict, left, nil, reasons},
		{"program", "program that it probably belongs to", Text, inventory.WantProgram, left, nil, program},
		{"container", "where the processes that use it run", Text, inventory.WantAttached | inventory.WantWaiting | inventory.WantActors | inventory.WantContainers, left, nil, container},
	}
}

func key(r *Row) value {
	k := uint64(uint32(r.Perm().Key))
	return value{cell: render.Hex(k, 8), known: true, num: k}
}

// keyText shows a key such as that of a gpsd, NTP0, which is made of characters.
func keyText(r *Row) value {
	k := uint32(r.Perm().Key)
	b := []byte{byte(k >> 24), byte(k >> 16), byte(k >> 8), byte(k)}
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return value{}
		}
	}
	return words(string(b))
}

func mode(r *Row) value {
	m := uint64(r.Perm().Mode)
	return value{cell: render.Octal(m, 4), known: true, num: m}
}

func size(r *Row) value {
	if r.Kind == sysv.Msg {
		return bytes(r.Queue.CBytes)
	}
	return bytes(uint64(r.Segment.Size))
}

func status(r *Row) value {
	var words []string
	if r.Segment.Dest {
		words = append(words, "dest")
	}
	if r.Segment.Locked {
		words = append(words, "locked")
	}
	return texts(words)
}

func age(r *Row) value {
	if r.Changed().IsZero() {
		return value{}
	}
	return span(r.Inventory.Taken.Sub(r.Changed()))
}

func memory(r *Row, get func(*procfs.SegmentMemory) uint64) value {
	if r.Use == nil || r.Use.Memory == nil {
		return value{}
	}
	return bytes(get(r.Use.Memory))
}

// actor names the process that had a role: by its command while it lives.
func actor(r *Row, role inventory.Role) value {
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
func lastUser(r *Row) value {
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
