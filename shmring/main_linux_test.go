package shmring_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
)

// The environment variable childRole makes the test binary a child: see roles in
// child_linux_test.go.
const childRole = "SHMRING_TEST_ROLE"

// cannotStart is the reason why tests with several processes are skipped under qemu.
const cannotStart = "it cannot start the test program again"

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		if err := roles[role](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if _, err := shmring.Create(nil, nil); errors.Is(err, errors.ErrUnsupported) {
		fmt.Println("SKIPPED: all tests of this package: no ring on", runtime.GOARCH)
		return
	}
	ipctest.MainPOSIX(m)
}

// shared returns size bytes of memory mapped shared, and a descriptor with which another
// process can map it.
func shared(t testing.TB, size int) ([]byte, *os.File) {
	t.Helper()
	fd, err := unix.MemfdCreate("shmring-test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "memfd")
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(int64(size)); err != nil {
		t.Fatal(err)
	}
	mem, err := mapFile(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	return mem, f
}

func mapFile(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// newRing makes a ring of the capacity in shared memory.
func newRing(t testing.TB, capacity int, producers shmring.Producers) (*shmring.Ring, *os.File) {
	t.Helper()
	mem, f := shared(t, shmring.Size(capacity))
	ring, err := shmring.Create(mem, &shmring.Options{Producers: producers})
	if err != nil {
		t.Fatal(err)
	}
	if ring.Capacity() != capacity {
		t.Fatalf("Capacity = %d, want %d", ring.Capacity(), capacity)
	}
	return ring, f
}

// goPeer prepares a process of this test binary, or of another one, in a role. The memory
// is its descriptor 3.
func goPeer(t testing.TB, binary string, f *os.File, role string, args ...any) *exec.Cmd {
	t.Helper()
	ipctest.SkipUnderQEMU(t, cannotStart)
	cmd := command(binary, f, args...)
	cmd.Env = append(os.Environ(), childRole+"="+role)
	return cmd
}

func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func command(binary string, f *os.File, args ...any) *exec.Cmd {
	var words []string
	for _, a := range args {
		words = append(words, fmt.Sprint(a))
	}
	cmd := exec.Command(binary, words...)
	cmd.Stderr = os.Stderr
	if f != nil {
		cmd.ExtraFiles = []*os.File{f}
	}
	// Nothing that a test starts outlives it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	return cmd
}

// compileC returns the program made of testdata/name.c.
func compileC(t testing.TB, name string) string {
	t.Helper()
	ipctest.SkipUnderQEMU(t, "the C compiler makes programs of this machine")
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("SKIPPED: no gcc to compile the C peer with")
	}
	return compileWith(t, name, "gcc")
}

// compileC32 returns a 32-bit program, for a 64-bit processor. It is static, because there
// may be no 32-bit C library at run time.
func compileC32(t testing.TB, name string) string {
	t.Helper()
	if _, err := exec.LookPath("i686-linux-gnu-gcc"); err != nil {
		t.Skip("SKIPPED: no gcc to compile the C peer of 32 bits with: install gcc-i686-linux-gnu and libc6-dev-i386-cross")
	}
	return compileWith(t, name, "i686-linux-gnu-gcc", "-static")
}

func compileWith(t testing.TB, name, compiler string, flags ...string) string {
	t.Helper()
	flags = slices.Concat([]string{"-O2"}, flags,
		[]string{"-Wall", "-Wextra", "-Werror", "-I../include", filepath.Join("testdata", name+".c"), "-lpthread"})
	return ipctest.CompileWith(t, name, compiler, flags...)
}

// fill writes the contents of message i, which the C peer also knows: see testdata/ring.c.
func fill(p []byte, i uint64) {
	j := 0
	if len(p) >= 8 {
		binary.NativeEndian.PutUint64(p, i)
		j = 8
	}
	for ; j < len(p); j++ {
		p[j] = byte(i*31 + uint64(j))
	}
}

// varied returns the length of message i in tests where lengths vary.
func varied(i uint64) int { return int(i * 7 % 1000) }

func background(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// together runs functions concurrently and waits for all of them.
func together(fs ...func()) {
	var wg sync.WaitGroup
	for _, f := range fs {
		wg.Go(f)
	}
	wg.Wait()
}
