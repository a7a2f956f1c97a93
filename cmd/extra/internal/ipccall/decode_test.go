//go:build linux

package ipccall

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A fake is a process with some memory at address base.
type fake struct {
	memory []byte
	files  map[int]string
	m      Mapping
}

const base = 0x10000

func (f *fake) ReadMemory(p []byte, addr uint64) int {
	if addr < base || addr-base > uint64(len(f.memory)) {
		return 0
	}
	return copy(p, f.memory[addr-base:])
}

func (f *fake) File(fd int) string { return f.files[fd] }

func (f *fake) MappingAt(addr uint64) (Mapping, bool) {
	return f.m, f.m.Path != "" && addr >= f.m.Start
}

// decode decodes a call from begin to end.
func decode(f *fake, arch uint32, number uint64, result int64, args ...uint64) *Call {
	d := NewDecoder(true)
	e := Entry{Arch: arch, Number: number}
	copy(e.Args[:], args)
	c := d.Enter(f, 1, e)
	if c != nil {
		d.Exit(f, c, result, result < 0)
	}
	return c
}

// little returns numbers of the given sizes as bytes: pairs of a size and a number.
func little(pairs ...uint64) (b []byte) {
	for i := 0; i < len(pairs); i += 2 {
		b = append(b, binary.LittleEndian.AppendUint64(nil, pairs[i+1])[:pairs[i]]...)
	}
	return b
}

// TestDecode has what the programs of other tests do not: other architectures, and what
// fails to be read. The tests of gshm-trace compare the rest with strace.
func TestDecode(t *testing.T) {
	const amd64, arm64, i386 = unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_AARCH64, unix.AUDIT_ARCH_I386
	minus := func(n int64) uint64 { return uint64(n) }
	ops := little(2, 3, 2, 0xffff, 2, 0x1800, 2, 0, 2, 1, 2, 0)
	perm := little(4, 0x4d2, 4, 1, 4, 2, 4, 3, 4, 4, 4, 0o640, 8, 0, 8, 0, 8, 0)
	for want, c := range map[string]*Call{
		"semop(7, [{3, -1, SEM_UNDO|IPC_NOWAIT}, {0, 1, 0}], 2) = 0":                                decode(&fake{memory: ops}, arm64, 193, 0, 7, base, 2),
		"semtimedop_time64(7, [{3, -1, SEM_UNDO|IPC_NOWAIT}], 1, NULL) = -1 EAGAIN":                 decode(&fake{memory: ops}, i386, 420, -11, 7, base, 1, 0),
		"semop(7, 0x10000, 501) = -1 E2BIG":                                                         decode(&fake{memory: ops}, amd64, 65, -7, 7, base, 501),
		"semop(-1, 0x10, 1) = -1 EFAULT":                                                            decode(&fake{}, amd64, 65, -14, minus(-1), 16, 1),
		"shmget(0xffffffff, 18446744073709551615, 21<<SHM_HUGE_SHIFT|SHM_HUGETLB|0600) = -1 EINVAL": decode(&fake{}, amd64, 29, -22, minus(-1), minus(-1), 21<<26|0o4600),
		"shmget(0xfffffffe, 4294967295, 0600) = 5":                                                  decode(&fake{}, i386, 395, 5, minus(-2), minus(-1), 0o600),
		"semctl(5, 0, IPC_STAT, {sem_perm={uid=1, gid=2, mode=0640, key=0x000004d2, cuid=3, cgid=4}, sem_otime=11, sem_ctime=12, sem_nsems=13}) = 0": decode(
			&fake{memory: append(perm, little(8, 11, 8, 12, 8, 13, 8, 0, 8, 0)...)}, arm64, 191, 0, 5, 0, ipcStat, base),
		"shmctl(5, IPC_STAT, 0x10000) = -1 EACCES":           decode(&fake{memory: make([]byte, 200)}, amd64, 31, -13, 5, ipcStat, base),
		"shmctl(5, IPC_STAT, 0x10000) = 0":                   decode(&fake{memory: make([]byte, 200)}, i386, 117, 0, 24, 5, ipcStat, 0, base), // without IPC_64
		"shmat(5, 0x1000, SHM_RDONLY) = 0xf7000000":          decode(&fake{memory: little(4, 0xf7000000)}, i386, 117, 0, 21, 5, 0o10000, base, 0x1000),
		"shmat(5, NULL, 0) = ? ERESTARTNOHAND":               decode(&fake{}, amd64, 30, -514, 5, 0, 0),
		"msgrcv(5, 0x20000, 10, -7, IPC_NOWAIT) = -1 ENOMSG": decode(&fake{memory: little(4, 0x20000, 4, minus(-7))}, i386, 117, -42, 12, 5, 10, 0o4000, base, 0),
		`msgsnd(5, {mtype=-1, mtext="a\0002"}, 3, 0) = 0`:    decode(&fake{memory: append(little(4, minus(-1)), "a\x002"...)}, i386, 117, 0, 11, 5, 3, 0, base),
		`mq_open("q", O_RDONLY|O_CLOEXEC) = 4`:               decode(&fake{memory: []byte("q\x00")}, arm64, 180, 4, base, 0o2000000),
		`mq_unlink(0x10000) = -1 EFAULT`:                     decode(&fake{memory: []byte("q")}, arm64, 181, -14, base),
		`openat(AT_FDCWD, "/dev/shm/x\33", O_RDWR|O_CREAT|O_DIRECT|O_NOFOLLOW, 0666) = 3`: decode(
			&fake{memory: []byte("/dev/shm/x\x1b\x00")}, arm64, 56, 3, minus(unix.AT_FDCWD), base, 0o300102, 0o666),
		`mmap2(NULL, 4096, PROT_READ, MAP_SHARED|MAP_POPULATE, 3</dev/shm/x>, 0x3000) = 0xf7000000`: decode(
			&fake{files: map[int]string{3: "/dev/shm/x"}}, i386, 192, int64(0xf7000000), 0, 4096, 1, 0x8001, 3, 3),
		`futex(0x20010<file:/tmp/\33+0x2010>, FUTEX_LOCK_PI, 0, {tv_sec=1, tv_nsec=2}) = 0`: decode(
			&fake{memory: little(4, 1, 4, 2), m: Mapping{Start: 0x20000, Offset: 0x2000, Shared: true, Path: "/tmp/\x1b"}}, i386, 240, 0, 0x20010, futexLockPI, 0, base),
	} {
		if c == nil {
			t.Errorf("%s: not decoded", want)
		} else if got := c.Text() + " = " + c.ResultText(); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// TestNotIPC decodes calls that the filter selects but that have nothing to do with IPC.
func TestNotIPC(t *testing.T) {
	cwd := int64(unix.AT_FDCWD)
	private := Mapping{Start: 0x20000, Path: "/tmp/x"}
	for name, c := range map[string]*Call{
		"openat":   decode(&fake{memory: []byte("/etc/passwd\x00")}, unix.AUDIT_ARCH_X86_64, 257, 3, uint64(cwd), base, 0o400000),
		"relative": decode(&fake{memory: []byte("dev/shm/x\x00")}, unix.AUDIT_ARCH_X86_64, 87, 3, base),
		"nowhere":  decode(&fake{}, unix.AUDIT_ARCH_X86_64, 87, -14, 0),
		"mmap":     decode(&fake{files: map[int]string{3: "/tmp/x"}}, unix.AUDIT_ARCH_X86_64, 9, 3, 0, 4096, 1, 1, 3, 0),
		"futex":    decode(&fake{m: private}, unix.AUDIT_ARCH_X86_64, 202, 0, 0x20010, 0),
		"join":     decode(&fake{}, unix.AUDIT_ARCH_X86_64, 202, 0, 0x20010, 0),
		"restart":  decode(&fake{}, unix.AUDIT_ARCH_X86_64, 219, 0),
		"ipc":      decode(&fake{}, unix.AUDIT_ARCH_I386, 117, 0, 99),
		"read":     decode(&fake{}, unix.AUDIT_ARCH_X86_64, 0, 0),
		"riscv":    decode(&fake{}, unix.AUDIT_ARCH_RISCV64, 193, 0),
	} {
		if c != nil {
			t.Errorf("%s: %s", name, c.Text())
		}
	}
}

// TestLinked follows the names of a file that sem_open makes.
func TestLinked(t *testing.T) {
	d := NewDecoder(true)
	f := &fake{memory: []byte("/dev/shm/sem.tmp\x00/dev/shm/sem.final\x00"), m: Mapping{Start: 0x20000, Shared: true, Path: "/dev/shm/sem.tmp (deleted)"}}
	link := d.Enter(f, 1, Entry{unix.AUDIT_ARCH_X86_64, 86, [6]uint64{base, base + 17}})
	d.Exit(f, link, 0, false)
	wait := d.Enter(f, 1, Entry{unix.AUDIT_ARCH_X86_64, 202, [6]uint64{0x20000, 0}})
	if got := wait.Object.String(); got != "psem:/final" {
		t.Errorf("the semaphore is %s", got)
	}
	s := NewSum()
	s.End(&Call{Name: "openat", Object: link.Former, Done: true})
	s.End(link)
	if rows := s.Rows(); len(rows) != 1 || rows[0].Calls != 2 || rows[0].Object != wait.Object {
		t.Errorf("%+v", rows)
	}
}

// FuzzDecode decodes calls with any arguments and memory.
func FuzzDecode(f *testing.F) {
	f.Add(uint8(0), uint16(65), int64(0), uint64(7), uint64(base), uint64(1), uint64(0), uint64(base), []byte("\x00\x00\xff\xff\x00\x00"), "/dev/shm/x")
	f.Add(uint8(2), uint16(117), int64(-4), uint64(12), uint64(1), uint64(1), uint64(0), uint64(base), []byte("/dev/shm/x\x00"), "/SYSV00000000 (deleted)")
	f.Add(uint8(1), uint16(56), int64(3), uint64(0), uint64(base), uint64(0o300), uint64(0), uint64(0), []byte("/dev/shm/x\x00"), "/dev/zero (deleted)")
	f.Fuzz(func(t *testing.T, arch uint8, number uint16, result int64, a, b, c, d, e uint64, memory []byte, path string) {
		all := tables()
		p := &fake{memory: memory, files: map[int]string{int(int32(a)): path}, m: Mapping{Start: a, Shared: true, Path: path}}
		call := decode(p, all[int(arch)%len(all)].arch, uint64(number), result, a, b, c, d, e)
		if call == nil {
			return
		}
		text := call.Text() + call.ResultText() + call.Semaphores() + call.ErrnoName()
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q holds what is not to be printed", text)
		}
		s := NewSum()
		s.Begin(call)
		s.End(call)
		if len(s.Rows()) != 1 {
			t.Errorf("%s: %d rows", text, len(s.Rows()))
		}
	})
}
