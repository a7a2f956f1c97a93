//go:build linux

package ipccall

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// numbers returns the numbers of the system calls of an architecture, as package unix has
// them.
func numbers(t *testing.T, arch string) map[string]uint64 {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "golang.org/x/sys/unix").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "zsysnum_linux_"+arch+".go"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]uint64)
	for _, m := range regexp.MustCompile(`(?m)^\s+SYS_(\w+)\s+= (\d+)$`).FindAllStringSubmatch(string(text), -1) {
		n, err := strconv.ParseUint(m[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.ToLower(m[1])] = n
	}
	return all
}

// TestNumbers compares the tables with those of package unix, and finds calls that a table
// lacks.
func TestNumbers(t *testing.T) {
	known := map[string]bool{"restart_syscall": true, "ipc": true}
	for _, table := range tables() {
		for _, s := range table.calls {
			known[s.name] = true
		}
	}
	for arch, table := range map[string]map[uint64]*spec{"amd64": amd64Calls(), "arm64": arm64Calls(), "386": i386Calls()} {
		all := numbers(t, arch)
		for n, s := range table {
			if all[s.name] != n && !(s.name == "semtimedop" && arch == "386") {
				t.Errorf("%s: %s has the number %d, not %d", arch, s.name, all[s.name], n)
			}
		}
		for name := range known {
			if n, exists := all[name]; exists && table[n] == nil && (name != "mmap" || arch != "386") {
				t.Errorf("%s: there is no %s, %d", arch, name, n)
			}
		}
	}
}

// run interprets a seccomp program.
func run(t *testing.T, code []unix.SockFilter, arch uint32, number uint64, args [6]uint64) uint32 {
	t.Helper()
	data := func(offset uint32) uint32 {
		switch {
		case offset == 0:
			return uint32(number)
		case offset == 4:
			return arch
		default:
			return uint32(args[(offset-16)/8] >> (8 * ((offset - 16) % 8)))
		}
	}
	var a uint32
	for pc := 0; ; pc++ {
		switch i := code[pc]; i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = data(i.K)
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= i.K
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(i.K)
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if a == i.K {
				pc += int(i.Jt)
			} else {
				pc += int(i.Jf)
			}
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		default:
			t.Fatalf("instruction %d: %+v", pc, i)
		}
	}
}

// TestFilter asks the filter about calls of all architectures that it knows, and of others.
func TestFilter(t *testing.T) {
	code := Filter(unix.SECCOMP_RET_TRACE)
	if len(code) > 4096 { // BPF_MAXINSNS
		t.Fatalf("%d instructions", len(code))
	}
	const amd64, arm64, i386 = unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_AARCH64, unix.AUDIT_ARCH_I386
	cwd := int64(unix.AT_FDCWD)
	for _, tt := range []struct {
		arch   uint32
		number uint64
		args   [6]uint64
		want   bool
	}{
		{amd64, 65, [6]uint64{}, true}, // semop
		{amd64, 0, [6]uint64{}, false},
		{amd64, 1 << 30, [6]uint64{}, false},    // x32
		{amd64, 65 | 1<<30, [6]uint64{}, false}, //
		{arm64, 193, [6]uint64{}, true},
		{arm64, 65, [6]uint64{}, false},
		{i386, 117, [6]uint64{}, true}, // ipc
		{i386, 65, [6]uint64{}, false},
		{unix.AUDIT_ARCH_RISCV64, 193, [6]uint64{}, false},
		{amd64, 202, [6]uint64{0, futexWait}, true},
		{amd64, 202, [6]uint64{0, futexWait | futexPrivate}, false},
		{amd64, 202, [6]uint64{0, futexWaitBitset | futexRealtime}, true},
		{amd64, 202, [6]uint64{0, futexWaitBitset | futexRealtime | futexPrivate}, false},
		{amd64, 202, [6]uint64{0, 1}, false},                        // FUTEX_WAKE
		{amd64, 202, [6]uint64{0, 0xffffffff00000000}, true},        // the upper half is ignored
		{amd64, 257, [6]uint64{0, 0, 0o2000000}, false},             // O_CLOEXEC
		{amd64, 257, [6]uint64{0, 0, 0o400000}, true},               // O_NOFOLLOW
		{arm64, 56, [6]uint64{0, 0, 0o400000}, false},               // O_LARGEFILE
		{arm64, 56, [6]uint64{0, 0, 0o100000}, true},                // O_NOFOLLOW
		{amd64, 257, [6]uint64{0, 0, 0o100}, false},                 // O_CREAT
		{amd64, 257, [6]uint64{0, 0, 0o300}, true},                  // O_CREAT|O_EXCL
		{amd64, 2, [6]uint64{0, 0o400000}, true},                    //
		{amd64, 263, [6]uint64{uint64(cwd), 0, 0}, true},            // unlinkat
		{amd64, 263, [6]uint64{uint64(uint32(cwd)), 0, 0}, true},    //
		{amd64, 263, [6]uint64{5, 0, 0}, false},                     //
		{amd64, 9, [6]uint64{0, 0, 0, mapShared}, true},             //
		{amd64, 9, [6]uint64{0, 0, 0, mapShared | 0x8000}, true},    //
		{amd64, 9, [6]uint64{0, 0, 0, mapShared | 0x20}, false},     // MAP_ANONYMOUS
		{amd64, 9, [6]uint64{0, 0, 0, 2}, false},                    // MAP_PRIVATE
		{i386, 192, [6]uint64{0, 0, 0, mapShared}, true},            //
		{i386, 90, [6]uint64{0xffff}, false},                        // old mmap
		{i386, 0, [6]uint64{}, true},                                // restart_syscall
		{amd64, 219, [6]uint64{}, true},                             //
		{arm64, 222, [6]uint64{0, 0, 0, mapShared, 3, 1}, true},     //
		{arm64, 35, [6]uint64{uint64(cwd), 0xffffffff, 0xff}, true}, //
	} {
		want := uint32(unix.SECCOMP_RET_ALLOW)
		if tt.want {
			want = unix.SECCOMP_RET_TRACE
		}
		if got := run(t, code, tt.arch, tt.number, tt.args); got != want {
			t.Errorf("%#x %d %x: %#x, want %#x", tt.arch, tt.number, tt.args, got, want)
		}
	}
}
