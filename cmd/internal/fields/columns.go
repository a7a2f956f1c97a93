package fields

import (
	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/cmd/internal/units"
	"github.com/sysvipc/gipc/posix"
)

// All returns all columns in their default order.
func All() List {
	shm, sem, msg := []ref.Kind{ref.Shm}, []ref.Kind{ref.Sem}, []ref.Kind{ref.Msg}
	pshm, psem, pmsg := []ref.Kind{ref.PShm}, []ref.Kind{ref.PSem}, []ref.Kind{ref.PMsg}
	sysV, files, mapped := ref.SystemV(), ref.POSIX(), []ref.Kind{ref.PShm, ref.PSem}
	users := inventory.WantAttached | inventory.WantWaiting | inventory.WantOpen
	left, right := render.Left, render.Right
	return List{
		{"kind", "shm, sem, msg; POSIX: pshm, psem, pmsg", Text, 0, left, nil, func(r *Row) value { return words(r.Kind.String()) }},
		{"id", "identifier", Number, 0, right, sysV, func(r *Row) value { return number(uint64(r.ID())) }},
		{"key", "key", Number, 0, left, sysV, key},
		{"keytext", "the key as text, if it is printable", Text, 0, left, sysV, keyText},
		{"name", "name of a POSIX object", Text, 0, left, files, func(r *Row) value { return words(r.File().Name) }},
		{"owner", "name of the owner, or its number", Text, 0, left, nil, func(r *Row) value { return words(r.Names.UserOrID(r.Ownership().UID)) }},
		{"mode", "permission bits, octal", Number, 0, right, nil, mode},
		{"perms", "permission bits, as ls(1) shows them", Text, 0, left, nil, func(r *Row) value { return words(units.FormatPermissions(uint32(r.Ownership().Mode))) }},
		{"size", "bytes of the memory, or in the queue", Number, 0, right, []ref.Kind{ref.Shm, ref.Msg, ref.PShm, ref.PMsg}, size},
		{"nattch", "attachments", Number, 0, right, shm, func(r *Row) value { return number(r.Segment.NAttch) }},
		{"status", "dest: destroyed at its last detach; locked: not swapped out", Texts, 0, left, shm, status},
		{"nsems", "semaphores", Number, 0, right, sem, func(r *Row) value { return number(uint64(r.Set.NSems)) }},
		{"messages", "messages in the queue", Number, 0, right, []ref.Kind{ref.Msg, ref.PMsg}, messages},
		{"qbytes", "bytes that the queue may hold", Number, 0, right, msg, qbytes},
		{"value", "value of the semaphore", Number, 0, right, psem, semaphore(func(i *posix.SemaphoreInfo) int { return i.Value })},
		{"maxmsgs", "messages that the queue may hold", Number, 0, right, pmsg, queue(func(i *posix.QueueInfo) int { return i.MaxMsgs })},
		{"msgsize", "bytes that a message may have", Number, 0, right, pmsg, queue(func(i *posix.QueueInfo) int { return i.MsgSize })},
		{"notify", "process to notify of a message", Number, 0, right, pmsg, func(r *Row) value { return pid(r.PMsg.NotifyPID) }},
		{"memory", "bytes of memory or swap space that the object takes", Number, 0, right, pshm, func(r *Row) value { return bytes(uint64(r.PShm.Memory)) }},
		{"inode", "inode number of its file", Number, 0, right, files, func(r *Row) value { return number(r.File().Ino) }},
		{"cpid", "process that made the segment", Number, 0, right, shm, func(r *Row) value { return pid(r.Segment.CPID) }},
		{"lpid", "process that attached or detached last", Number, 0, right, shm, func(r *Row) value { return pid(r.Segment.LPID) }},
		{"lspid", "process that sent last", Number, 0, right, msg, func(r *Row) value { return pid(r.Queue.LSPID) }},
		{"lrpid", "process that received last", Number, 0, right, msg, func(r *Row) value { return pid(r.Queue.LRPID) }},
		{"atime", "last attached, mapped or read", Time, 0, left, []ref.Kind{ref.Shm, ref.PShm}, atime},
		{"dtime", "last detached", Time, 0, left, shm, func(r *Row) value { return moment(r.Segment.DTime) }},
		{"otime", "last semop", Time, 0, left, sem, func(r *Row) value { return moment(r.Set.OTime) }},
		{"stime", "last sent", Time, 0, left, msg, func(r *Row) value { return moment(r.Queue.STime) }},
		{"rtime", "last received", Time, 0, left, msg, func(r *Row) value { return moment(r.Queue.RTime) }},
		{"mtime", "last resized or written by a call; queue: last used", Time, 0, left, []ref.Kind{ref.PShm, ref.PMsg}, func(r *Row) value { return moment(r.File().MTime) }},
		{"ctime", "created or last changed; POSIX queue: last used", Time, 0, left, nil, func(r *Row) value { return moment(r.Changed()) }},
		{"age", "time since ctime; machine formats: seconds", Duration, 0, right, nil, age},
		{"idle", "time since it was last used or changed; 0 while attached", Duration, 0, right, []ref.Kind{ref.Shm, ref.Sem, ref.Msg, ref.PMsg}, idle},
		{"uid", "number of the owner", Number, 0, right, nil, func(r *Row) value { return number(uint64(r.Ownership().UID)) }},
		{"gid", "number of the owner's group", Number, 0, right, nil, func(r *Row) value { return number(uint64(r.Ownership().GID)) }},
		{"group", "name of the owner's group", Text, 0, left, nil, func(r *Row) value { return words(r.Names.GroupOrID(r.Ownership().GID)) }},
		{"cuid", "number of the creator", Number, 0, right, sysV, func(r *Row) value { return number(uint64(r.Perm().CUID)) }},
		{"cuser", "name of the creator", Text, 0, left, sysV, func(r *Row) value { return words(r.Names.UserOrID(r.Perm().CUID)) }},
		{"cgid", "number of the creator's group", Number, 0, right, sysV, func(r *Row) value { return number(uint64(r.Perm().CGID)) }},
		{"cgroup", "name of the creator's group", Text, 0, left, sysV, func(r *Row) value { return words(r.Names.GroupOrID(r.Perm().CGID)) }},
		{"rss", "bytes in memory", Number, inventory.WantMemory, right, shm, func(r *Row) value { return memory(r, func(m *procfs.SegmentMemory) uint64 { return m.Resident }) }},
		{"swap", "bytes in swap space", Number, inventory.WantMemory, right, shm, func(r *Row) value { return memory(r, func(m *procfs.SegmentMemory) uint64 { return m.Swapped }) }},
		{"creator", "command that made the segment; gone or reused if it has ended", Text, inventory.WantActors, left, shm, func(r *Row) value { return actor(r, inventory.Creator) }},
		{"lastuser", "command that used it last", Text, inventory.WantActors, left, sysV, lastUser},
		{"attached", "processes that are attached, or map the object", Number, inventory.WantAttached | inventory.WantOpen, right, append(shm, mapped...), attached},
		{"open", "processes that have the object open", Number, inventory.WantOpen, right, files, opened},
		{"waiting", "threads that wait on it", Number, inventory.WantWaiting, right, []ref.Kind{ref.Sem, ref.Msg, ref.PSem}, waiting},
		{"pids", "processes that are attached, map it, have it open or wait", Numbers, users, left, nil, pids},
		{"verdict", "in use, idle, orphan or unknown", Text, inventory.WantVerdict, left, nil, verdict},
		{"reasons", "reasons for the verdict", Texts, inventory.WantVerdict, left, nil, reasons},
		{"codes", "codes of these reasons, for programs", Texts, inventory.WantVerdict, left, nil, codes},
		{"program", "program that it probably belongs to", Text, inventory.WantProgram, left, nil, program},
		{"container", "container of the processes that use it", Text, users | inventory.WantActors | inventory.WantContainers, left, nil, container},
		{"unit", "systemd unit of the processes that use it", Text, users | inventory.WantActors | inventory.WantContainers, left, nil, at(func(c procfs.Container) string { return c.Unit })},
		{"job", "batch job of the processes that use it, such as slurm:1234", Text, users | inventory.WantActors | inventory.WantContainers, left, nil, at(func(c procfs.Container) string { return c.Job.String() })},
	}
}

func key(r *Row) value {
	k := uint64(uint32(r.Perm().Key))
	return value{cell: render.Hex(k, 8), known: true, num: k}
}

// qbytes is unknown if only /proc lists the queue.
func qbytes(r *Row) value {
	if r.Queue.QBytes == sysvipc.UnknownQBytes {
		return value{}
	}
	return bytes(r.Queue.QBytes)
}

// keyText shows a key of four printable characters as text, such as gpsd's NTP0.
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
	m := uint64(r.Ownership().Mode)
	return value{cell: render.Octal(m, 4), known: true, num: m}
}

func size(r *Row) value {
	switch r.Kind {
	case ref.Shm:
		return bytes(uint64(r.Segment.Size))
	case ref.Msg:
		return bytes(r.Queue.CBytes)
	case ref.PShm:
		return bytes(uint64(r.PShm.Size))
	default:
		if !r.PMsg.Known {
			return value{}
		}
		return bytes(r.PMsg.Bytes)
	}
}

func messages(r *Row) value {
	if r.Kind == ref.Msg {
		return number(r.Queue.QNum)
	}
	return queue(func(i *posix.QueueInfo) int { return i.CurMsgs })(r)
}

// queue returns an attribute of a POSIX queue, unknown if the caller may not read it.
func queue(get func(*posix.QueueInfo) int) func(*Row) value {
	return func(r *Row) value {
		if !r.PMsg.Known {
			return value{}
		}
		return number(uint64(get(r.PMsg)))
	}
}

// semaphore returns an attribute of a POSIX semaphore, unknown if the caller may not
// read it.
func semaphore(get func(*posix.SemaphoreInfo) int) func(*Row) value {
	return func(r *Row) value {
		if !r.PSem.Known {
			return value{}
		}
		return number(uint64(get(r.PSem)))
	}
}

func atime(r *Row) value {
	if r.Kind == ref.PShm {
		return moment(r.PShm.ATime)
	}
	return moment(r.Segment.ATime)
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

// actor returns the process in a role, by its command if it is alive.
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

// lastUser returns the process that last used the object: for a queue, the last sender
// or the last receiver, whichever is later.
func lastUser(r *Row) value {
	switch r.Kind {
	case ref.Shm:
		return actor(r, inventory.User)
	case ref.Sem:
		return actor(r, inventory.Operator)
	}
	if r.Queue.STime.After(r.Queue.RTime) {
		return actor(r, inventory.Sender)
	}
	return actor(r, inventory.Receiver)
}
