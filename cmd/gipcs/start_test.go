//go:build linux

package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestStart: what is linked in costs something at every start. The C library costs
// most, a third of it; os/user and net bring it in where cgo is possible.
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
