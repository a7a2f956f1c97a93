package ipctest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// memoryLimit is how many bytes a process may use from the time it joins a memory group.
const memoryLimit = 16 << 20

// LimitMemory moves a process to a memory control group of its own. When it exhausts the
// memory, see ExhaustMemory, the kernel kills it. The test is skipped where such a group
// cannot be made.
func LimitMemory(t testing.TB, pid int) {
	t.Helper()
	dir, limits := memoryGroup(t)
	t.Cleanup(func() { // when the process is gone
		for range 100 {
			if os.Remove(dir) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	for name, value := range limits {
		_ = os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600) // what counts is whether the process is killed
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		t.Skipf("SKIPPED: no memory control group: %v", err)
	}
}

// memoryGroup makes a memory group under this process's own or, failing that, at the root.
// It supports both versions of control groups.
func memoryGroup(t testing.TB) (dir string, limits map[string]string) {
	t.Helper()
	limit := strconv.Itoa(memoryLimit)
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skipf("SKIPPED: no memory control group: %v", err)
	}
	root, own := "/sys/fs/cgroup", ""
	limits = map[string]string{"memory.max": limit, "memory.swap.max": "0"}
	for line := range strings.Lines(string(groups)) {
		if _, path, ok := strings.Cut(strings.TrimSpace(line), ":memory:"); ok {
			root, own = "/sys/fs/cgroup/memory", path
			limits = map[string]string{"memory.limit_in_bytes": limit, "memory.swappiness": "0"}
		}
	}
	for _, parent := range []string{filepath.Join(root, own), root} {
		if dir, err = os.MkdirTemp(parent, "gipc-test-"); err != nil {
			continue
		}
		if _, err = os.Stat(filepath.Join(dir, "memory.oom_control")); err != nil {
			_, err = os.Stat(filepath.Join(dir, "memory.max"))
		}
		if err == nil {
			return dir, limits
		}
		_ = os.Remove(dir)
	}
	t.Skipf("SKIPPED: no memory control group: %v", err)
	return "", nil
}

// ExhaustMemory takes memory until the kernel kills this process. If the kernel does not,
// it never returns, so that no test mistakes another end of the process for this one.
func ExhaustMemory() error {
	mem, err := unix.Mmap(-1, 0, 8*memoryLimit, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	for i := 0; ; i = (i + 4096) % len(mem) {
		mem[i] = 1
		if i == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}
