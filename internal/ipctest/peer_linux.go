package ipctest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// integration/qemu.sh sets qemu; it runs another architecture's tests under qemu-user.
const qemu = "GIPC_TEST_QEMU"

// UnderQEMU reports whether qemu-user runs this program.
func UnderQEMU() bool { return os.Getenv(qemu) != "" }

// SkipUnderQEMU skips a test for something that qemu-user cannot do.
func SkipUnderQEMU(t testing.TB, why string) {
	t.Helper()
	if UnderQEMU() {
		t.Skip("qemu-user: " + why)
	}
}

// SkipUnderCheckptr skips a test that counts allocations if the program was built with
// -d=checkptr=2.
func SkipUnderCheckptr(t testing.TB) {
	t.Helper()
	build, _ := debug.ReadBuildInfo()
	for _, s := range build.Settings {
		if s.Key == "-gcflags" && strings.Contains(s.Value, "checkptr=2") {
			t.Skip("checkptr=2 puts on the heap what is converted to an unsafe.Pointer")
		}
	}
}

// Compile compiles a C program with optimization and returns its path. It skips the
// test if there is no C compiler.
func Compile(t testing.TB, source string, flags ...string) string {
	t.Helper()
	SkipUnderQEMU(t, "the C compiler makes programs of this machine")
	cc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no C compiler: install gcc and libc6-dev")
	}
	program := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(source), ".c"))
	args := append([]string{"-O2", "-Wall", "-Werror", "-o", program, source}, flags...)
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return program
}
