package posix_test

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// compilers lists the C compilers for the architectures on which the tests run. Programs
// for a foreign architecture are linked statically, because its libraries may be missing.
var compilers = map[string][]string{
	"amd64": {"x86_64-linux-gnu-gcc"},
	"386":   {"i686-linux-gnu-gcc", "-static"},
	"s390x": {"s390x-linux-gnu-gcc", "-static"},
}

// compile compiles testdata/peer.c, with the C compiler cc if given, and skips the test if
// that is not installed.
func compile(t testing.TB, cc ...string) string {
	t.Helper()
	if len(cc) == 0 {
		if cc = compilers[runtime.GOARCH]; cc == nil {
			t.Skip("no C compiler is known for " + runtime.GOARCH)
		}
	}
	if _, err := exec.LookPath(cc[0]); err != nil {
		t.Skipf("%v: install gcc, gcc-i686-linux-gnu, libc6-dev-i386-cross, gcc-s390x-linux-gnu, libc6-dev-s390x-cross, musl-tools", err)
	}
	args := append(cc[1:len(cc):len(cc)], "-O2", "-Wall", "-Werror", "testdata/peer.c", "-pthread", "-lrt")
	return ipctest.CompileWith(t, "peer", cc[0], args...)
}

// emulate prepends the emulator to a command line if the tests run under one.
func emulate(program string, args []string) (string, []string) {
	if ipctest.UnderQEMU() {
		return "qemu-" + runtime.GOARCH + "-static", append([]string{program}, args...)
	}
	return program, args
}

// start starts a C program.
func start(t testing.TB, program string, args ...string) *ipctest.Process {
	t.Helper()
	program, args = emulate(program, args)
	return ipctest.Run(t, program, args...)
}

// output runs a C program to its end and returns its output.
func output(t testing.TB, program string, args ...string) string {
	t.Helper()
	program, args = emulate(program, args)
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, exit.Stderr)
		}
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// must fails the test if err is not nil.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr fails the test if err is not want.
func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// needRoot skips a test that must become another user, or mount something.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can do this")
	}
}
