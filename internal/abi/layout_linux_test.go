package abi

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// compilers lists C compilers by Go's architectures; they are Debian's packages gcc-*. The
// kernel's headers suffice, because nothing is linked.
var compilers = map[string][]string{
	"386":      {"gcc", "-m32"},
	"amd64":    {"gcc", "-m64"},
	"arm":      {"arm-linux-gnueabihf-gcc"},
	"arm64":    {"aarch64-linux-gnu-gcc"},
	"mips":     {"mips-linux-gnu-gcc"},
	"mips64":   {"mips64-linux-gnuabi64-gcc"},
	"mips64le": {"mips64el-linux-gnuabi64-gcc"},
	"mipsle":   {"mipsel-linux-gnu-gcc"},
	"ppc64":    {"powerpc64-linux-gnu-gcc"},
	"ppc64le":  {"powerpc64le-linux-gnu-gcc"},
	"riscv64":  {"riscv64-linux-gnu-gcc"},
	"s390x":    {"s390x-linux-gnu-gcc"},
}

// compare lets the C compiler of this architecture check that each expression has the
// value that Go expects.
func compare(t *testing.T, want map[string]int64) {
	t.Helper()
	cc := compilers[runtime.GOARCH]
	if cc == nil {
		t.Skipf("no C compiler known for %s", runtime.GOARCH)
	}
	if _, err := exec.LookPath(cc[0]); err != nil {
		t.Skipf("no C compiler for %s: %v", runtime.GOARCH, err)
	}
	c := new(bytes.Buffer)
	for _, header := range []string{"stddef", "linux/ipc", "linux/msg", "linux/sem", "linux/shm"} {
		fmt.Fprintf(c, "#include <%s.h>\n", header)
	}
	for expression, value := range want {
		fmt.Fprintf(c, "_Static_assert((long)(%s) == %d, \"it is not %d\");\n", expression, value, value)
	}

	args := append(cc[1:], "-fsyntax-only", "-ffreestanding", "-x", "c", "-")
	if runtime.GOARCH == "386" { // it uses the kernel headers of amd64, and needs no headers of the C library
		dir, err := exec.Command(cc[0], "-print-multiarch").Output()
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "-D_UNISTD_H", "-I"+filepath.Join("/usr/include", strings.TrimSpace(string(dir))))
	}
	cmd := exec.Command(cc[0], args...)
	cmd.Stdin = c
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", cc, err, out)
	}
	t.Logf("%s: %d values", runtime.GOARCH, len(want))
}

// TestLayouts compares size, offset and width of every field with the kernel's headers.
func TestLayouts(t *testing.T) {
	want := map[string]int64{}
	for _, s := range []struct {
		c      string
		prefix string // of the members' names
		of     reflect.Type
	}{
		{"struct ipc64_perm", "", reflect.TypeFor[unix.SysvIpcPerm]()},
		{"struct shmid64_ds", "shm_", reflect.TypeFor[unix.SysvShmDesc]()},
		{"struct semid64_ds", "sem_", reflect.TypeFor[semidDS]()},
		{"struct msqid64_ds", "msg_", reflect.TypeFor[msqidDS]()},
		{"struct sembuf", "sem_", reflect.TypeFor[Sembuf]()},
		{"struct seminfo", "sem", reflect.TypeFor[Seminfo]()},
		{"struct msginfo", "msg", reflect.TypeFor[Msginfo]()},
	} {
		want[fmt.Sprintf("sizeof(%s)", s.c)] = int64(s.of.Size())
		for i := range s.of.NumField() {
			field := s.of.Field(i)
			if field.Name == "_" {
				continue
			}
			name := s.prefix + strings.ToLower(strings.Replace(strings.Replace(field.Name, "High", "_high", 1), "Flg", "flg", 1))
			want[fmt.Sprintf("offsetof(%s, %s)", s.c, name)] = int64(field.Offset)
			want[fmt.Sprintf("sizeof(((%s *)0)->%s)", s.c, name)] = int64(field.Type.Size())
		}
	}
	want["sizeof(((struct msgbuf *)0)->mtype)"] = int64(MsgHeader)
	want["offsetof(struct msgbuf, mtext)"] = int64(MsgHeader)
	compare(t, want)
}

// TestConstants does the same with the commands and flags.
func TestConstants(t *testing.T) {
	compare(t, map[string]int64{
		"IPC_PRIVATE": IPCPrivate, "IPC_CREAT": IPCCreat, "IPC_EXCL": IPCExcl, "IPC_NOWAIT": IPCNoWait,
		"IPC_RMID": IPCRmid, "IPC_SET": IPCSet, "IPC_STAT": IPCStat, "IPC_INFO": IPCInfo,
		"SHM_LOCK": ShmLock, "SHM_UNLOCK": ShmUnlock, "SHM_STAT": ShmStat, "SHM_INFO": ShmInfo, "SHM_STAT_ANY": ShmStatAny,
		"SHM_HUGETLB": ShmHugeTLB, "SHM_NORESERVE": ShmNoReserve, "SHM_HUGE_SHIFT": ShmHugeShift,
		"SHM_RDONLY": ShmRdonly, "SHM_RND": ShmRnd, "SHM_REMAP": ShmRemap, "SHM_EXEC": ShmExec,
		"GETPID": GetPid, "GETVAL": GetVal, "GETALL": GetAll, "GETNCNT": GetNcnt, "GETZCNT": GetZcnt, "SETVAL": SetVal, "SETALL": SetAll,
		"SEM_STAT": SemStat, "SEM_INFO": SemInfo, "SEM_STAT_ANY": SemStatAny, "SEM_UNDO": SemUndo,
		"MSG_STAT": MsgStat, "MSG_INFO": MsgInfo, "MSG_STAT_ANY": MsgStatAny,
		"MSG_NOERROR": MsgNoError, "MSG_EXCEPT": MsgExcept, "MSG_COPY": MsgCopy,
	})
}
