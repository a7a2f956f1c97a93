// Package mantest checks that a manual page matches the flags of its command.
package mantest

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// Check fails the test if the page omits a command or a flag of app, names a flag that
// app does not have, or is not clean under mandoc -T lint.
func Check(t *testing.T, app *cli.App, page string) {
	t.Helper()
	source, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(source)
	commands, flags := names(app.Flags, app.Commands)
	for _, c := range commands {
		if !regexp.MustCompile(`(?m)^\.(It )?Cm .*\b` + c + `\b`).MatchString(text) {
			t.Errorf("%s does not name the command %s", page, c)
		}
	}
	named := namedFlags(text)
	for _, f := range flags {
		if !slices.Contains(named, f) {
			t.Errorf("%s does not name the flag -%s", page, f)
		}
	}
	flags = append(flags, "help", "h", "version", "V")
	for _, f := range named {
		if !slices.Contains(flags, f) {
			t.Errorf("%s names the flag -%s, which does not exist", page, f)
		}
	}
	lint(t, page)
}

// names returns the names of all visible commands and flags.
func names(own []cli.Flag, below []*cli.Command) (commands, flags []string) {
	for _, f := range own {
		flags = append(flags, f.Names()...)
	}
	for _, c := range below {
		if c.Hidden {
			continue
		}
		more, moreFlags := names(c.Flags, c.Subcommands)
		commands = append(append(commands, c.Name), more...)
		flags = append(flags, moreFlags...)
	}
	slices.Sort(flags)
	return commands, slices.Compact(flags)
}

// namedFlags returns the flags named in mdoc source: the words after the macro Fl. A
// leading dash of such a word is the second dash of a long flag.
func namedFlags(text string) (flags []string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, ".") {
			continue
		}
		inFlag := false
		for _, word := range strings.Fields(line[1:]) {
			switch {
			case word == "Fl":
				inFlag = true
			case isMacro(word):
				inFlag = false
			case inFlag && strings.Trim(word, "-,|.") != "":
				flags = append(flags, strings.TrimLeft(word, "-"))
			}
		}
	}
	return flags
}

func isMacro(word string) bool {
	return len(word) == 2 && 'A' <= word[0] && word[0] <= 'Z' && 'a' <= word[1] && word[1] <= 'z'
}

func lint(t *testing.T, page string) {
	t.Helper()
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		t.Skip("mandoc is not installed: the page was not linted")
	}
	out, err := exec.Command(mandoc, "-T", "lint", page).CombinedOutput()
	if len(out) == 0 && err != nil {
		t.Errorf("mandoc -T lint %s: %v", page, err)
	}
	for line := range strings.Lines(string(out)) {
		// Other pages may be missing on this machine.
		if !strings.Contains(line, "outdated mandoc.db") && !strings.Contains(line, "referenced manual not found") {
			t.Error(strings.TrimSpace(line))
		}
	}
}
