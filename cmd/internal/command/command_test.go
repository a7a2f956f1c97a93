package command

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestOneLine(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"größer 大", "größer 大"},
		{`a\b`, `a\b`},
		{`\`, `\`},
		{`\\n`, `\\n`},
		{"a\nb\r\n", `a\nb\r\n`},
		{"\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"\x00\x7f\xff", `\x00\x7f\xff`},
		{"\u009b", `\u009b`},
		{"right\u202eleft", `right\u202eleft`},
		{`\` + "\n" + `\`, `\\n\`},
	}
	for _, test := range tests {
		if got := OneLine(test.in); got != test.want {
			t.Errorf("OneLine(%q) = %s, want %s", test.in, got, test.want)
		}
	}
}

func FuzzOneLine(f *testing.F) {
	f.Add("a\\\n\x1b\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range OneLine(s) {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
				t.Fatalf("OneLine(%q) holds %#x", s, r)
			}
		}
	})
}

func TestStatus(t *testing.T) {
	failed := errors.New("it failed")
	tests := []struct {
		err    error
		status int
		says   string
	}{
		{nil, 0, ""},
		{failed, 1, "prog: it failed\n"},
		{fmt.Errorf("two\nlines \x1b"), 1, `prog: two\nlines \x1b` + "\n"},
		{errors.Join(failed, errors.New("and again")), 1, "prog: it failed; and again\n"},
		{Usagef("no %q", "flag"), 2, "prog: no \"flag\"\n"},
		{Usage(failed), 2, "prog: it failed\n"},
		{Usage(nil), 0, ""},
		{fmt.Errorf("around: %w", Usage(failed)), 2, "prog: it failed\n"},
		{Exit(137), 137, ""},
		{errors.Join(Exit(7), nil), 7, ""},
		{fmt.Errorf("write: %w", syscall.EPIPE), 141, ""},
	}
	for _, test := range tests {
		var out bytes.Buffer
		if status := Status(&out, "prog", test.err); status != test.status || out.String() != test.says {
			t.Errorf("Status(%v) = %d and %q, want %d and %q", test.err, status, &out, test.status, test.says)
		}
	}
}

// TestRun runs commands of its own application. Standard error is tested with the real
// commands.
func TestRun(t *testing.T) {
	var got []string
	record := func(c *cli.Context) error {
		args, err := Operands(c, 1, 2, "A [B]")
		got = append(got, args...)
		got = append(got, c.String("flag"))
		return err
	}
	newApp := func() *cli.App {
		return &cli.App{Name: "prog", Commands: []*cli.Command{
			{Name: "do", Flags: []cli.Flag{&cli.StringFlag{Name: "flag"}}, Action: record},
			{Name: "group", Action: record, Subcommands: []*cli.Command{{Name: "sub", Action: func(*cli.Context) error { return Exit(5) }}}},
		}}
	}
	tests := []struct {
		argv   string
		status int
		got    string
	}{
		{"do a", 0, "a "},
		{"do a b", 0, "a b "},
		{"do a --flag x b", 0, "a b x"},
		{"do --fl=x a", 0, "a x"},
		{"do a -- --flag", 0, "a --flag "},
		{"do", 2, " "},
		{"do a b c", 2, " "},
		{"do a --nosuch", 2, ""},
		{"nosuch", 2, ""},
		{"", 2, ""},
		{"group sub", 5, ""},
	}
	for _, test := range tests {
		got = nil
		if status := Run(newApp(), append([]string{"prog"}, strings.Fields(test.argv)...)); status != test.status {
			t.Errorf("prog %s: status %d, want %d", test.argv, status, test.status)
		}
		if words := strings.Join(got, " "); strings.TrimSpace(words) != strings.TrimSpace(test.got) {
			t.Errorf("prog %s: got %q, want %q", test.argv, words, test.got)
		}
	}
}
