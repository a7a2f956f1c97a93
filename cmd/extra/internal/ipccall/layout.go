//go:build linux

package ipccall

import (
	"strconv"
	"strings"
)

// A layout is how a structure of the kernel lies in memory.
type layout struct {
	size64, size32 int
	fields         []member
}

// A member is a field of a structure, or a group of fields within braces.
type member struct {
	name       string
	at64, at32 int
	kind       kind
	group      []member
}

// A kind is the type of a field.
type kind uint8

const (
	u32   kind = iota
	i32        // int
	u16        // unsigned short
	long       // unsigned long
	split      // a time: a long, and in 32-bit programs another one with the upper half
	mode       // an int in 64-bit programs, a short in 32-bit ones
	keyed
	group
	openFlag // a long with flags of open(2)
)

// structure returns the text of a structure in memory.
func (c *decoding) structure(addr uint64, l *layout) string {
	if c.plain {
		return ""
	}
	size := l.size32
	if c.table.wide {
		size = l.size64
	}
	b := c.bytes(addr, size)
	if b == nil {
		return pointer(addr)
	}
	return c.members(b, l.fields)
}

func (c *decoding) members(b []byte, fields []member) string {
	words := make([]string, len(fields))
	for i, f := range fields {
		words[i] = f.name + "=" + c.member(b, f)
	}
	return "{" + strings.Join(words, ", ") + "}"
}

func (c *decoding) member(b []byte, f member) string {
	if f.kind == group {
		return c.members(b, f.group)
	}
	at, word := f.at32, 4
	if c.table.wide {
		at, word = f.at64, 8
	}
	b = b[at:]
	switch f.kind {
	case i32:
		return signed(number(b[:4]))
	case u16:
		return strconv.FormatUint(number(b[:2]), 10)
	case keyed:
		return keyText(number(b[:4]))
	case mode:
		return octal(number(b[:word/2]))
	case split:
		return strconv.FormatInt(int64(number(b[:8])), 10)
	case long:
		return strconv.FormatUint(number(b[:word]), 10)
	case openFlag:
		return flags(number(b[:word]), openFlags(c.table.open))
	default:
		return strconv.FormatUint(number(b[:4]), 10)
	}
}

// perm returns struct ipc64_perm, with the fields that IPC_SET changes first.
func perm(name string, all bool) member {
	m := member{name: name, kind: group, group: []member{
		{name: "uid", at64: 4, at32: 4},
		{name: "gid", at64: 8, at32: 8},
		{name: "mode", at64: 20, at32: 20, kind: mode},
	}}
	if all {
		m.group = append(m.group, member{name: "key", kind: keyed},
			member{name: "cuid", at64: 12, at32: 12}, member{name: "cgid", at64: 16, at32: 16})
	}
	return m
}

// setDS is what IPC_SET reads of a shmid_ds or a semid_ds.
func setDS(name string) *layout { return &layout{48, 36, []member{perm(name, false)}} }

// setMsgDS is what IPC_SET reads of a msqid_ds.
func setMsgDS() *layout {
	return &layout{96, 72, []member{perm("msg_perm", false), {name: "msg_qbytes", at64: 88, at32: 68, kind: long}}}
}

func shmDS() *layout {
	return &layout{112, 84, []member{
		perm("shm_perm", true),
		{name: "shm_segsz", at64: 48, at32: 36, kind: long},
		{name: "shm_cpid", at64: 80, at32: 64, kind: i32},
		{name: "shm_lpid", at64: 84, at32: 68, kind: i32},
		{name: "shm_nattch", at64: 88, at32: 72, kind: long},
		{name: "shm_atime", at64: 56, at32: 40, kind: split},
		{name: "shm_dtime", at64: 64, at32: 48, kind: split},
		{name: "shm_ctime", at64: 72, at32: 56, kind: split},
	}}
}

func semDS(t *table) *layout {
	l := &layout{104, 64, []member{
		perm("sem_perm", true),
		{name: "sem_otime", at64: 48, at32: 36, kind: split},
		{name: "sem_ctime", at64: 64, at32: 44, kind: split},
		{name: "sem_nsems", at64: 80, at32: 52, kind: long},
	}}
	if !t.x86 { // no room after each time
		l.size64, l.fields[2].at64, l.fields[3].at64 = 88, 56, 64
	}
	return l
}

func msgDS() *layout {
	return &layout{120, 88, []member{
		perm("msg_perm", true),
		{name: "msg_stime", at64: 48, at32: 36, kind: split},
		{name: "msg_rtime", at64: 56, at32: 44, kind: split},
		{name: "msg_ctime", at64: 64, at32: 52, kind: split},
		{name: "msg_qnum", at64: 80, at32: 64, kind: long},
		{name: "msg_qbytes", at64: 88, at32: 68, kind: long},
		{name: "msg_lspid", at64: 96, at32: 72, kind: i32},
		{name: "msg_lrpid", at64: 100, at32: 76, kind: i32},
	}}
}

// row returns the members of consecutive fields of one type and size.
func row(kind kind, size64, size32 int, names ...string) (all []member) {
	for i, name := range names {
		all = append(all, member{name: name, at64: i * size64, at32: i * size32, kind: kind})
	}
	return all
}

func seminfo() *layout {
	return &layout{40, 40, row(i32, 4, 4, "semmap", "semmni", "semmns", "semmnu", "semmsl", "semopm", "semume", "semusz", "semvmx", "semaem")}
}

func shminfo() *layout {
	return &layout{72, 36, row(long, 8, 4, "shmmax", "shmmin", "shmmni", "shmseg", "shmall")}
}

func shmUse() *layout {
	fields := []member{{name: "used_ids", kind: i32}}
	for i, name := range []string{"shm_tot", "shm_rss", "shm_swp", "swap_attempts", "swap_successes"} {
		fields = append(fields, member{name: name, at64: 8 * (i + 1), at32: 4 * (i + 1), kind: long})
	}
	return &layout{48, 24, fields}
}

func msginfo() *layout {
	fields := row(i32, 4, 4, "msgpool", "msgmap", "msgmax", "msgmnb", "msgmni", "msgssz", "msgtql")
	return &layout{32, 32, append(fields, member{name: "msgseg", at64: 28, at32: 28, kind: u16})}
}

func mqAttr() *layout {
	fields := row(long, 8, 4, "mq_flags", "mq_maxmsg", "mq_msgsize", "mq_curmsgs")
	fields[0].kind = openFlag
	return &layout{64, 32, fields}
}
