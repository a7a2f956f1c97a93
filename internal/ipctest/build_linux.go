package ipctest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

// Build returns the program made of the Go package in a directory. A process builds it once.
func Build(t testing.TB, source string) (program string) {
	t.Helper()
	path, err := filepath.Abs(source)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(path)
	dir := Once(t, "go build "+path, func(dir string) error {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, name), source).CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, out)
		}
		return nil
	})
	return filepath.Join(dir, name)
}
