package integration_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHostileNames attaches a program whose name would clear the screen, open a tag, end a
// Markdown cell and be a formula in a spreadsheet. Every format must make the name
// harmless.
func TestHostileNames(t *testing.T) {
	bin := install(t, "gshm", "gipcs")
	hostile := filepath.Join(t.TempDir(), "=\x1b[2J|<b>")
	program, err := os.ReadFile(filepath.Join(bin, "gshm"))
	check(t, err)
	writeFile(t, hostile, string(program))
	inNamespace(t)
	id, err := exec.Command(filepath.Join(bin, "gshm"), "create", "private", "--size", "4096").Output()
	check(t, err)
	user := start(t, hostile, "attach", strings.TrimSpace(string(id)))
	user.line()
	defer removeAll(t)
	defer user.ends(0)
	defer user.signal(unix.SIGINT)

	const columns = "--output=kind,program,lastuser"
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"ls", "-m", columns, "--format=table"}, `│ =\x1b[2J|<b> │`},
		{[]string{"ls", "-m", columns, "--format=plain"}, `=\x1b[2J|<b>  =\x1b[2J|<b>`},
		{[]string{"ls", "-m", columns, "--format=json"}, `"program":"=\u001b[2J|<b>"`},
		{[]string{"ls", "-m", columns, "--format=ndjson"}, `"program":"=\u001b[2J|<b>"`},
		{[]string{"ls", "-m", columns, "--format=html"}, `<td>=\x1b[2J|&lt;b&gt;</td>`},
		{[]string{"ls", "-m", columns, "--format=markdown"}, `=\\x1b\[2J\|&lt;b&gt; |`},
		{[]string{"ls", "-m", columns, "--format=csv"}, "shm,\"'=\x1b[2J|<b>\",\"'=\x1b[2J|<b>\"\r\n"},
		{[]string{"show", "shm:" + strings.TrimSpace(string(id))}, `=\x1b[2J|<b>`},
	} {
		cmd := exec.Command(filepath.Join(bin, "gipcs"), test.args...)
		cmd.Env = append(os.Environ(), "NO_COLOR=1", "TERM=xterm")
		out, err := cmd.Output()
		check(t, err)
		if !strings.Contains(string(out), test.want) {
			t.Errorf("%v: %q, want %q in it", test.args, out, test.want)
		}
		term := newTerminal(t)
		cmd = exec.Command(cmd.Path, test.args...)
		cmd.Env = append(os.Environ(), "NO_COLOR=1", "TERM=xterm")
		cmd.Stdout = term.tty
		check(t, cmd.Run())
		if text := term.text(); strings.Contains(text, "\x1b") || !strings.Contains(text, "2J") {
			t.Errorf("%v on a terminal: %q", test.args, text)
		}
	}
}
