//go:build amd64 && !race && !msan && !asan

package addrspace

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// child is the environment variable that tells the test program, when it is run again, how
// many MiB to use.
const child = "GIPC_TEST_MIB"

func TestMain(m *testing.M) {
	if os.Getenv(child) != "" {
		var mib int
		if _, err := fmt.Sscan(os.Getenv(child), &mib); err != nil {
			panic(err)
		}
		use(mib)
		fmt.Println("used", mib, "MiB")
		return
	}
	os.Exit(m.Run())
}

// use fills memory from several goroutines while the collector runs.
func use(mib int) {
	var all sync.WaitGroup
	kept := make([][]byte, mib)
	for i := range kept {
		all.Go(func() {
			kept[i] = make([]byte, 1<<20)
			for j := range kept[i] {
				kept[i][j] = byte(i)
			}
		})
	}
	all.Wait()
	runtime.GC()
	for i, block := range kept {
		for _, b := range block {
			if b != byte(i) {
				panic("what was written is not there")
			}
		}
	}
}

func underLimit(kilobytes string, mib int) (string, error) {
	cmd := exec.Command("/bin/sh", "-c", `ulimit -v "$0" && exec /proc/self/fd/3`, kilobytes)
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer self.Close()
	cmd.ExtraFiles = []*os.File{self}
	cmd.Env = append(os.Environ(), fmt.Sprint(child, "=", mib))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestSmallLimit runs under limits that are too small for Go's own reservations.
func TestSmallLimit(t *testing.T) {
	for _, kilobytes := range []string{"150000", "200000", "500000", "1000000", "2000000", "unlimited"} {
		out, err := underLimit(kilobytes, 20)
		if err != nil || out != "used 20 MiB\n" {
			t.Errorf("under ulimit -v %s: %v\n%.300s", kilobytes, err, out)
		}
	}
}

// TestLimitHolds uses more memory than the limit allows.
func TestLimitHolds(t *testing.T) {
	out, err := underLimit("150000", 300)
	if err == nil || !strings.Contains(out, "out of memory") {
		t.Errorf("300 MiB under ulimit -v 150000: error %v, %.300s", err, out)
	}
}
