package integration_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// TestReadmePrograms builds and runs the README's Go programs, each of which is
// complete.
func TestReadmePrograms(t *testing.T) {
	inNamespace(t)
	text, err := os.ReadFile("../README.md")
	check(t, err)
	packages := make(map[string]bool)
	for _, b := range parseChapter("README.md", string(text)).blocks {
		if b.language != "go" {
			continue
		}
		name := strings.TrimPrefix(strings.SplitN(b.lines[0], ":", 2)[0], "// ")
		packages[name] = true
		dir := t.TempDir()
		source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, name)
		writeFile(t, source, strings.Join(b.lines, "\n")+"\n")
		build := exec.Command("go", "build", "-o", program, source)
		build.Dir = ".."
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		if out, err := exec.Command(program).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		removeLeft(t)
	}
	for _, name := range []string{"sysv", "semops", "posix", "shmring"} {
		if !packages[name] {
			t.Errorf("the README has no program for package %s", name)
		}
	}
}

// removeLeft removes what the README's programs leave behind on purpose.
func removeLeft(t *testing.T) {
	t.Helper()
	if set, err := sysv.OpenSet(0x4d2); err == nil {
		check(t, set.Remove())
	}
	if err := posix.UnlinkObject("/greeting"); !errors.Is(err, fs.ErrNotExist) {
		check(t, err)
	}
}
