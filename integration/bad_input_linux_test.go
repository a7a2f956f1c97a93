package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// refuse implements "refuses PROGRAM ARG... => MESSAGE". It is like fails, for the programs
// of util-linux.
func refuse(ts *testscript.TestScript, neg bool, args []string) {
	arrow := slices.Index(args, "=>")
	if neg || arrow < 1 || arrow == len(args)-1 {
		ts.Fatalf("usage: refuses PROGRAM ARG... => MESSAGE")
	}
	before := objects(fatal(ts))
	if status := run(ts, args[0], args[1:arrow]...); status != 1 {
		ts.Fatalf("exit status %d, want 1", status)
	}
	message := strings.Join(args[arrow+1:], " ") + "\n"
	help := fmt.Sprintf("Try '%s --help' for more information.\n", args[0])
	// The programs name themselves by the path they were called by, as getopt_long(3) does.
	_, said, _ := strings.Cut(ts.ReadFile("stderr"), args[0]+": ")
	if stdout := ts.ReadFile("stdout"); stdout != "" || said != message && said != message+help {
		ts.Fatalf("stdout: %q, stderr: %q, want %q", stdout, said, message)
	}
	wantSame(ts, before)
}

// TestBadInputs checks that the scripts test at least 200 rejected command lines.
func TestBadInputs(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*/*.txtar")
	check(t, err)
	different := make(map[string]bool)
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		check(t, err)
		for _, line := range regexp.MustCompile(`(?m)^(?:misused|fails|refuses) (.*) => `).FindAllStringSubmatch(string(text), -1) {
			different[line[1]] = true
		}
	}
	t.Logf("%d different command lines", len(different))
	if len(different) < 200 {
		t.Errorf("scripts have %d command lines refused, want 200 at least", len(different))
	}
}
