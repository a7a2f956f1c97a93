package ipctest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// SkipWithoutMode skips a test that reads the mode of a System V object.
func SkipWithoutMode(t testing.TB) {
	t.Helper()
	if runtime.GOARCH == "s390x" {
		SkipUnderQEMU(t, "on s390x it reads the mode of an object from the wrong place")
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
	args := append([]string{"-O2", "-Wall", "-Werror", source}, flags...)
	return CompileWith(t, strings.TrimSuffix(filepath.Base(source), ".c"), cc, args...)
}

// CompileWith runs a compiler and returns the path of the program that it makes. Tests of
// one process that give the same arguments get the same program.
func CompileWith(t testing.TB, name, compiler string, args ...string) string {
	t.Helper()
	dir := Once(t, fmt.Sprintf("%s: %s %q", name, compiler, args), func(dir string) error {
		args := append([]string{"-o", filepath.Join(dir, name)}, args...)
		if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %w\n%s", compiler, strings.Join(args, " "), err, out)
		}
		return nil
	})
	return filepath.Join(dir, name)
}
