//go:build linux

package ipccall

import (
	"strconv"
	"strings"
)

// A flag is a bit of an argument, or a value of some of its bits.
type flag struct {
	value uint64
	name  string
}

// flags names the bits of v. Bits without a name follow in hexadecimal.
func flags(v uint64, names []flag) string {
	var words []string
	for _, f := range names {
		if f.value != 0 && v&f.value == f.value {
			words = append(words, f.name)
			v &^= f.value
		}
	}
	if v != 0 {
		words = append(words, hex(v))
	}
	if len(words) == 0 {
		return "0"
	}
	return strings.Join(words, "|")
}

// withMode is flags for an argument whose low nine bits are a mode.
func withMode(v uint64, names []flag) string {
	const mode = 0o777
	if v&^mode == 0 {
		return octal(v)
	}
	return flags(v&^mode, names) + "|" + octal(v&mode)
}

// choice names one of several values.
func choice(v uint64, names []flag) string {
	for _, f := range names {
		if f.value == v {
			return f.name
		}
	}
	return hex(v)
}

func octal(v uint64) string {
	if v == 0 {
		return "0"
	}
	s := strconv.FormatUint(v, 8)
	return strings.Repeat("0", max(1, 4-len(s))) + s
}

func hex(v uint64) string { return "0x" + strconv.FormatUint(v, 16) }

func pointer(v uint64) string {
	if v == 0 {
		return "NULL"
	}
	return hex(v)
}

func signed(v uint64) string { return strconv.FormatInt(int64(int32(v)), 10) }

// keyText returns a key as the other commands print it.
func keyText(v uint64) string {
	if uint32(v) == 0 {
		return "IPC_PRIVATE"
	}
	s := strconv.FormatUint(uint64(uint32(v)), 16)
	return "0x" + strings.Repeat("0", 8-len(s)) + s
}

// quoteMax is how many bytes of a message are shown.
const quoteMax = 32

// quote returns the first bytes of b as a C string. size is the number of bytes that there
// are.
func quote(b []byte, size uint64) string {
	var s strings.Builder
	s.WriteByte('"')
	for i, c := range b {
		switch {
		case c == '"' || c == '\\':
			s.WriteByte('\\')
			s.WriteByte(c)
		case c >= ' ' && c <= '~':
			s.WriteByte(c)
		case c >= '\t' && c <= '\r':
			s.WriteByte('\\')
			s.WriteByte("tnvfr"[c-'\t'])
		default:
			o := strconv.FormatUint(uint64(c), 8)
			if i+1 < len(b) && b[i+1] >= '0' && b[i+1] <= '9' {
				o = strings.Repeat("0", 3-len(o)) + o
			}
			s.WriteString(`\` + o)
		}
	}
	s.WriteByte('"')
	if uint64(len(b)) < size {
		s.WriteString("...")
	}
	return s.String()
}

// The names of flags and commands, as in the manual pages.

func shmgetFlags() []flag {
	return []flag{{0o1000, "IPC_CREAT"}, {0o2000, "IPC_EXCL"}, {0o4000, "SHM_HUGETLB"}, {0o10000, "SHM_NORESERVE"}}
}

func getFlags() []flag { return []flag{{0o1000, "IPC_CREAT"}, {0o2000, "IPC_EXCL"}} }

func shmatFlags() []flag {
	return []flag{{0o10000, "SHM_RDONLY"}, {0o20000, "SHM_RND"}, {0o40000, "SHM_REMAP"}, {0o100000, "SHM_EXEC"}}
}

func semopFlags() []flag { return []flag{{0x1000, "SEM_UNDO"}, {ipcNoWait, "IPC_NOWAIT"}} }

func msgFlags() []flag {
	return []flag{{ipcNoWait, "IPC_NOWAIT"}, {0o10000, "MSG_NOERROR"}, {0o20000, "MSG_EXCEPT"}, {0o40000, "MSG_COPY"}}
}

func openFlags(f openBits) []flag {
	return []flag{
		{0o2, "O_RDWR"},
		{0o1, "O_WRONLY"},
		{0o100, "O_CREAT"},
		{0o200, "O_EXCL"},
		{0o400, "O_NOCTTY"},
		{0o1000, "O_TRUNC"},
		{0o2000, "O_APPEND"},
		{0o4000, "O_NONBLOCK"},
		{0o4010000, "O_SYNC"},
		{0o10000, "O_DSYNC"},
		{f.direct, "O_DIRECT"},
		{f.large, "O_LARGEFILE"},
		{f.directory | 0o20000000, "O_TMPFILE"},
		{f.directory, "O_DIRECTORY"},
		{f.noFollow, "O_NOFOLLOW"},
		{0o1000000, "O_NOATIME"},
		{0o2000000, "O_CLOEXEC"},
		{0o10000000, "O_PATH"},
	}
}

func protFlags() []flag { return []flag{{1, "PROT_READ"}, {2, "PROT_WRITE"}, {4, "PROT_EXEC"}} }

func mapFlags() []flag {
	return []flag{
		{3, "MAP_SHARED_VALIDATE"},
		{mapShared, "MAP_SHARED"},
		{2, "MAP_PRIVATE"},
		{0x10, "MAP_FIXED"},
		{0x2000, "MAP_LOCKED"},
		{0x4000, "MAP_NORESERVE"},
		{0x8000, "MAP_POPULATE"},
		{0x10000, "MAP_NONBLOCK"},
		{0x40000, "MAP_HUGETLB"},
		{0x80000, "MAP_SYNC"},
		{0x100000, "MAP_FIXED_NOREPLACE"},
	}
}

func futexOps() []flag {
	return []flag{{futexWait, "FUTEX_WAIT"}, {futexLockPI, "FUTEX_LOCK_PI"}, {futexWaitBitset, "FUTEX_WAIT_BITSET"}, {futexWaitRequeuePI, "FUTEX_WAIT_REQUEUE_PI"}, {futexLockPI2, "FUTEX_LOCK_PI2"}}
}

// commands returns the commands of shmctl, semctl or msgctl.
func commands(kind string) []flag {
	all := []flag{{ipcRmid, "IPC_RMID"}, {ipcSet, "IPC_SET"}, {ipcStat, "IPC_STAT"}, {ipcInfo, "IPC_INFO"}}
	switch kind {
	case "shm":
		return append(all, flag{11, "SHM_LOCK"}, flag{12, "SHM_UNLOCK"}, flag{13, "SHM_STAT"}, flag{shmInfo, "SHM_INFO"}, flag{15, "SHM_STAT_ANY"})
	case "sem":
		return append(all, flag{11, "GETPID"}, flag{12, "GETVAL"}, flag{13, "GETALL"}, flag{14, "GETNCNT"}, flag{15, "GETZCNT"},
			flag{setVal, "SETVAL"}, flag{setAll, "SETALL"}, flag{18, "SEM_STAT"}, flag{semInfo, "SEM_INFO"}, flag{20, "SEM_STAT_ANY"})
	default:
		return append(all, flag{11, "MSG_STAT"}, flag{msgInfo, "MSG_INFO"}, flag{13, "MSG_STAT_ANY"})
	}
}
