package units

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// runInNamespace runs a shell script in its own IPC namespace, so that the objects it
// makes end with it.
func runInNamespace(t *testing.T, script string) string {
	t.Helper()
	for _, tool := range []string{"ipcs", "ipcmk"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs util-linux: %v", err)
		}
	}
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWIPC}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
	}
	cmd := exec.Command("sh", "-ec", script)
	cmd.SysProcAttr = attr
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Skipf("no IPC namespace: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("script: %v\n%s", err, stderr.Bytes())
	}
	return stdout.String()
}

// segmentSizes returns the size column of an ipcs listing.
func segmentSizes(listing string) []string {
	var sizes []string
	for line := range strings.Lines(listing) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(line, "0x") {
			sizes = append(sizes, fields[4])
		}
	}
	return sizes
}

func TestFormatSizeAgainstIpcs(t *testing.T) {
	sizes := []uint64{1, 1000, 1023, 1024, 1025, 1075, 1076, 1126, 1127, 1536, 1945, 1996, 1997, 4096, 65536, 1<<20 - 1, 1 << 20, 1<<20 + 52428, 1<<20 + 52429, 3 << 19, 1<<30 - 1}
	var script strings.Builder
	for _, n := range sizes {
		fmt.Fprintf(&script, "ipcmk -M %d >&2\n", n)
	}
	got := segmentSizes(runInNamespace(t, script.String()+"ipcs -m --human"))
	if len(got) != len(sizes) {
		t.Fatalf("ipcs lists %d segments, want %d", len(got), len(sizes))
	}
	for i, n := range sizes {
		if ours := FormatSize(n); ours != got[i] {
			t.Errorf("FormatSize(%d) = %q, ipcs --human prints %q", n, ours, got[i])
		}
	}
}

// TestParseSizeAgainstIpcmk leaves out fractions that ipcmk gets wrong: it turns
// 1.25MiB into 1310719 bytes.
func TestParseSizeAgainstIpcmk(t *testing.T) {
	texts := []string{"1", "1k", "1K", "1KiB", "1kb", "1KB", "1.5K", "1.5KB", "3M", "3MB", "1G", "1GB", "0x10", "0x1B", "0x10K", "0.5M"}
	var script strings.Builder
	for _, s := range texts {
		fmt.Fprintf(&script, "ipcmk -M %s >&2\n", s)
	}
	got := segmentSizes(runInNamespace(t, script.String()+"ipcs -m"))
	if len(got) != len(texts) {
		t.Fatalf("ipcs lists %d segments, want %d", len(got), len(texts))
	}
	for i, s := range texts {
		ours, err := ParseSize(s)
		if err != nil || strconv.FormatInt(ours, 10) != got[i] {
			t.Errorf("ParseSize(%q) = %d, %v; ipcmk makes %s bytes", s, ours, err, got[i])
		}
	}
}
