//go:build linux

package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestStart: linked packages cost time at every start. The C library costs most, a
// third of it; os/user and net link it where cgo is available.
func TestStart(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", ".")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Skipf("no go command to ask: %v\n%s", err, out)
	}
	packages := strings.Fields(string(out))
	for _, name := range []string{"runtime/cgo", "os/user", "net", "crypto/tls"} {
		if slices.Contains(packages, name) {
			t.Errorf("%s is linked in", name)
		}
	}
}
