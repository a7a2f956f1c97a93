package integration_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// TestGipcs runs the scripts in testdata/gipcs.
func TestGipcs(t *testing.T) { runScripts(t, "gipcs") }

// TestOrphansAmongOthers makes 1,000 orphaned sets and 1,000 sets of live programs. rm
// --orphans must remove exactly the former, both for root and for a user who cannot inspect
// other users' processes.
func TestOrphansAmongOthers(t *testing.T) {
	for _, user := range []struct {
		name string
		run  []string
	}{
		{"root", nil},
		{"ordinary user", runAs(ipctest.User(0))},
	} {
		t.Run(user.name, func(t *testing.T) {
			if ok, err := condition("root"); !ok || err != nil {
				t.Skip("needs root, to be other users")
			}
			inNamespace(t)
			gipcs := filepath.Join(install(t, "gipcs"), "gipcs")
			sets := ipctest.Compile(t, "peers/sets.c")
			as := func(command ...string) []string { return slices.Concat(user.run, command) }

			// The live programs run as another user: gipcs must assume that a program knows
			// every object of its own user.
			leave, stay := slices.Concat(runAs(ipctest.User(0)), []string{sets, "leave", "500"}), slices.Concat(runAs(ipctest.User(1)), []string{sets, "stay", "500"})
			var living []*ipctest.Process
			for range 2 {
				output(t, leave...)
				p := ipctest.Run(t, stay[0], stay[1:]...)
				p.Line()
				living = append(living, p)
			}
			out := output(t, as(gipcs, "rm", "--orphans", "--yes")...)
			if n := strings.Count(out, "\nsem "); n != 1000 {
				t.Errorf("%d sets in the plan, want 1000", n)
			}
			if left := len(objects(t.Fatal)); left != 1000 {
				t.Errorf("%d sets are left, want 1000", left)
			}
			if out := output(t, as(gipcs, "rm", "--orphans", "--yes")...); out != "" {
				t.Errorf("a second run: %s", out)
			}
			for _, p := range living {
				if got := p.End(); got != "lost 0\n" {
					t.Errorf("a live program: %s", got)
				}
			}
		})
	}
}

// runAs returns a command that runs another one as a user.
func runAs(uid int) []string {
	id := strconv.Itoa(uid)
	return []string{"setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--"}
}

// output returns what a program prints. It must succeed, and print nothing on standard
// error.
func output(t *testing.T, command ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, &stderr)
	}
	return stdout.String()
}

// TestChurn runs rm on all sets of one mode, while a program makes and removes sets
// under one identifier that alternate between that mode and another. In at least 10,000
// rounds no set of the other mode may be lost.
func TestChurn(t *testing.T) {
	const stable = 100
	inNamespace(t)
	gipcs := filepath.Join(install(t, "gipcs"), "gipcs")
	sets := ipctest.Compile(t, "peers/sets.c")
	if err := os.WriteFile("/proc/sys/kernel/sem_next_id", []byte("0"), 0); err != nil {
		t.Skipf("no identifier can be chosen here: %v", err)
	}
	for range stable {
		if _, err := sysv.CreateSet(sysv.Private, 1, &sysv.SetOptions{Mode: fs.FileMode(0o600)}); err != nil {
			t.Fatal(err)
		}
	}
	churn := ipctest.Run(t, sets, "churn", fmt.Sprint(7<<15+1000))
	churn.Line()
	for range 3 {
		// rm may miss the churning set, or leave it alone with a message.
		if out, err := exec.Command(gipcs, "rm", "--yes", "--where", "mode == 0o600").CombinedOutput(); err != nil {
			t.Errorf("gipcs rm: %v: %s", err, out)
		}
	}
	var rounds, lost int
	if _, err := fmt.Sscanf(churn.End(), "rounds %d lost %d", &rounds, &lost); err != nil || rounds < 10_000 || lost > 0 {
		t.Errorf("%d rounds, %d sets lost that were not selected: %v", rounds, lost, err)
	}
}
