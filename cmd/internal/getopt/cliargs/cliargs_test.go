package cliargs_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"github.com/sysvipc/gipc/cmd/internal/getopt"
	"github.com/sysvipc/gipc/cmd/internal/getopt/cliargs"
)

// optional is the value of a flag like --huge[=SIZE].
type optional struct{ values []string }

func (o *optional) Set(s string) error { o.values = append(o.values, s); return nil }
func (o *optional) String() string     { return fmt.Sprintf("%q", o.values) }
func (o *optional) IsBoolFlag() bool   { return true }

// required is the value of a generic flag that needs an argument.
type required struct{ optional }

func (r *required) IsBoolFlag() bool { return false }

// ran is what an action received.
type ran struct {
	command string
	flags   []string
	args    []string
}

func (r ran) String() string { return fmt.Sprintf("%s %q %q", r.command, r.flags, r.args) }

// newApp returns an app with one flag of every kind, whose actions record what they
// receive.
func newApp(saw *ran, out *bytes.Buffer) *cli.App {
	action := func(c *cli.Context) error {
		*saw = ran{command: c.Command.Name, args: c.Args().Slice()}
		for _, name := range []string{"json", "config", "size", "exclusive", "huge", "tag", "length", "verbose", "at", "n"} {
			if c.IsSet(name) {
				saw.flags = append(saw.flags, fmt.Sprintf("%s=%s", name, show(c, name)))
			}
		}
		return nil
	}
	return &cli.App{
		Name:                      "gshm",
		Version:                   "1",
		Writer:                    out,
		ErrWriter:                 out,
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {},
		Action:                    action,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json"},
			&cli.StringFlag{Name: "config", Aliases: []string{"c"}},
		},
		Commands: []*cli.Command{
			{
				Name: "create", Aliases: []string{"mk"}, Usage: "create a segment", Action: action, HideHelpCommand: true,
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "size", Aliases: []string{"s", "bytes"}},
					&cli.BoolFlag{Name: "exclusive", Aliases: []string{"x"}},
					&cli.GenericFlag{Name: "huge", Value: &optional{}},
					&cli.StringSliceFlag{Name: "tag", Aliases: []string{"t"}, KeepSpace: true},
					&cli.IntFlag{Name: "length", Aliases: []string{"l"}},
					&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Count: new(int)},
					&cli.GenericFlag{Name: "at", Value: &required{}},
					&cli.StringFlag{Name: "n"},
				},
			},
			{Name: "key", Action: action},
			{Name: "raw", Action: action, SkipFlagParsing: true},
			{Name: "image", Action: action, Subcommands: []*cli.Command{
				{Name: "ls", Action: action, Flags: []cli.Flag{&cli.BoolFlag{Name: "verbose"}}},
			}},
		},
	}
}

// show returns how often a bool was given, or the value of another flag.
func show(c *cli.Context, name string) string {
	if n := c.Count(name); n > 0 {
		return fmt.Sprint(n)
	}
	if tags := c.StringSlice(name); tags != nil {
		return fmt.Sprintf("%q", tags)
	}
	return fmt.Sprint(c.Generic(name))
}

// fields splits at spaces; two quotes are an empty argument, and _ is a space.
func fields(line string) []string {
	args := strings.Fields(line)
	for i, arg := range args {
		args[i] = strings.ReplaceAll(strings.ReplaceAll(arg, "''", ""), "_", " ")
	}
	return args
}

func TestCanonical(t *testing.T) {
	tests := []struct {
		line string
		want string // the canonical line
		ran  ran
	}{
		{"", "", ran{"gshm", nil, nil}},
		{"--json", "--json", ran{"gshm", list("json=1"), nil}},
		{"create 5", "create -- 5", ran{"create", nil, list("5")}},
		{"create 5 --size 4096", "create --size=4096 -- 5", ran{"create", list("size=4096"), list("5")}},
		{"create -s4096 5", "create --size=4096 -- 5", ran{"create", list("size=4096"), list("5")}},
		{"create --by=1 5 -s 2", "create --size=1 --size=2 -- 5", ran{"create", list("size=2"), list("5")}},
		{"create --size= 5", "create --size= -- 5", ran{"create", list("size="), list("5")}},
		{"create -s '' 5", "create --size= -- 5", ran{"create", list("size="), list("5")}},
		{"create -s -- 5", "create --size=-- -- 5", ran{"create", list("size=--"), list("5")}},
		{"create -s=4 5", "create --size==4 -- 5", ran{"create", list("size==4"), list("5")}},
		{"create --size a=b", "create --size=a=b", ran{"create", list("size=a=b"), nil}},
		{"create -l -5 5", "create --length=-5 -- 5", ran{"create", list("length=-5"), list("5")}},
		{"create -xl5 a", "create --exclusive --length=5 -- a", ran{"create", list("exclusive=1", "length=5"), list("a")}},
		{"create --ex", "create --exclusive", ran{"create", list("exclusive=1"), nil}},
		{"create -v a -v --verb", "create --verbose --verbose --verbose -- a", ran{"create", list("verbose=3"), list("a")}},
		{"create --huge 5", "create --huge -- 5", ran{"create", list(`huge=["true"]`), list("5")}},
		{"create --hu=2M 5", "create --huge=2M -- 5", ran{"create", list(`huge=["2M"]`), list("5")}},
		{"create --huge= 5", "create --huge= -- 5", ran{"create", list(`huge=[""]`), list("5")}},
		{"create --at -1 5", "create --at=-1 -- 5", ran{"create", list(`at=["-1"]`), list("5")}},
		{"create -n -x 5", "create --n=-x -- 5", ran{"create", list("n=-x"), list("5")}},
		{"create -ta,b --tag _c_ 5 -t ''", "create --tag=a,b --tag=_c_ --tag= -- 5", ran{"create", list(`tag=["a,b" " c " ""]`), list("5")}},
		{"create - '' -x", "create --exclusive -- - ''", ran{"create", list("exclusive=1"), list("-", "")}},
		{"create 5 -- -x a", "create -- 5 -- -x a", ran{"create", nil, list("5", "--", "-x", "a")}},
		{"create 5 -- a -- b", "create -- 5 -- a -- b", ran{"create", nil, list("5", "--", "a", "--", "b")}},
		{"create 5 --", "create -- 5 --", ran{"create", nil, list("5", "--")}},
		{"create -- -x", "create -- -x", ran{"create", nil, list("-x")}},
		{"create -- 5 -- -x", "create -- 5 -- -x", ran{"create", nil, list("5", "--", "-x")}},
		{"create --", "create", ran{"create", nil, nil}},
		{"create h -x", "create --exclusive -- h", ran{"create", list("exclusive=1"), list("h")}},
		{"-cfile --json mk 5", "--config=file --json mk -- 5", ran{"create", list("json=1", "config=file"), list("5")}},
		{"-c create create -x", "--config=create create --exclusive", ran{"create", list("config=create", "exclusive=1"), nil}},
		{"-- create -x 5", "create --exclusive -- 5", ran{"create", list("exclusive=1"), list("5")}},
		{"bogus -x --size", "-- bogus -x --size", ran{"gshm", nil, list("bogus", "-x", "--size")}},
		{"-- -x", "-- -x", ran{"gshm", nil, list("-x")}},
		{"-", "-- -", ran{"gshm", nil, list("-")}},
		{"raw -x -- --size", "raw -x -- --size", ran{"raw", nil, list("-x", "--", "--size")}},
		{"image ls x --verb", "image ls --verbose -- x", ran{"ls", list("verbose=1"), list("x")}},
		{"image bogus -x", "image -- bogus -x", ran{"image", nil, list("bogus", "-x")}},
		{"create 5 -- --generate-bash-completion", "create -- 5 -- --generate-bash-completion", ran{"create", nil, list("5", "--", "--generate-bash-completion")}},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			var saw ran
			var out bytes.Buffer
			app := newApp(&saw, &out)
			got, err := cliargs.Canonical(app, append([]string{"gshm"}, fields(tt.line)...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(append([]string{"gshm"}, fields(tt.want)...), got); diff != "" {
				t.Errorf("canonical (-want +got)\n%s", diff)
			}
			if err := app.Run(got); err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}
			if saw.String() != tt.ran.String() {
				t.Errorf("ran  %v\nwant %v", saw, tt.ran)
			}
		})
	}
}

func list(s ...string) []string { return s }

func TestCanonicalError(t *testing.T) {
	tests := []struct {
		line    string
		command string
		text    string
	}{
		{"--bogus", "", "unrecognized option '--bogus'"},
		{"create 5 --bogus", "create", "unrecognized option '--bogus'"},
		{"mk 5 -y", "create", "invalid option -- 'y'"},
		{"create 5 -y --help", "create", "invalid option -- 'y'"},
		{"create --exclusive=true", "create", "option '--exclusive' doesn't allow an argument"},
		{"create --ex=false", "create", "option '--exclusive' doesn't allow an argument"},
		{"create 5 --size", "create", "option '--size' requires an argument"},
		{"create 5 -xs", "create", "option requires an argument -- 's'"},
		{"create --at", "create", "option '--at' requires an argument"},
		{"create --ve=1", "create", "option '--verbose' doesn't allow an argument"},
		{"create --h", "create", "option '--h' is ambiguous; possibilities: '--huge' '--help'"},
		{"create --json", "create", "unrecognized option '--json'"},
		{"image ls 5 -c", "image ls", "invalid option -- 'c'"},
		{"image -c ls", "image", "invalid option -- 'c'"},
		{"--vers=1", "", "option '--version' doesn't allow an argument"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			got, err := cliargs.Canonical(newApp(new(ran), new(bytes.Buffer)), append([]string{"gshm"}, fields(tt.line)...))
			var e *cliargs.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %q, %v; want an *Error", got, err)
			}
			if e.Command != tt.command || e.Error() != tt.text {
				t.Errorf("error of %q: %q, want of %q: %q", e.Command, e, tt.command, tt.text)
			}
			if !errors.As(err, new(*getopt.Error)) {
				t.Error("the error does not unwrap to a *getopt.Error")
			}
		})
	}
}

// TestCanonicalHelp checks the first line of the help text.
func TestCanonicalHelp(t *testing.T) {
	tests := []struct{ line, want string }{
		{"--help", "gshm - "},
		{"-h create", "gshm - "},
		{"--hel --bogus", "gshm - "},
		{"create --help", "gshm create - create a segment"},
		{"create -h", "gshm create - create a segment"},
		{"create 5 --help", "gshm create - create a segment"},
		{"create 5 -xh --length=bad", "gshm create - create a segment"},
		{"create --help --bogus", "gshm create - create a segment"},
		{"--json create 5 6 -h", "gshm create - create a segment"},
		{"image ls 5 --help", "gshm image ls"},
		{"image --help", "gshm image"},
		{"help", "gshm - "},
		{"help create", "gshm create - create a segment"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			var saw ran
			var out bytes.Buffer
			app := newApp(&saw, &out)
			argv, err := cliargs.Canonical(app, append([]string{"gshm"}, fields(tt.line)...))
			if err != nil {
				t.Fatal(err)
			}
			if err := app.Run(argv); err != nil {
				t.Fatalf("%q: %v", argv, err)
			}
			_, got, _ := strings.Cut(out.String(), "NAME:\n   ")
			if !strings.HasPrefix(got, tt.want) || saw.command != "" {
				t.Errorf("%q ran %v and printed\n%s\nwant the help that begins %q", argv, saw, &out, tt.want)
			}
		})
	}
}

func TestCanonicalCompletion(t *testing.T) {
	defer func(args []string) { os.Args = args }(os.Args) // cli completes os.Args
	for _, tt := range []struct{ line, want string }{
		{"cre", "create"},
		{"create --s", "--size"},
	} {
		var out bytes.Buffer
		app := newApp(new(ran), &out)
		argv := append([]string{"gshm"}, append(fields(tt.line), "--generate-bash-completion")...)
		got, err := cliargs.Canonical(app, argv)
		if err != nil || !slices.Equal(got, argv) {
			t.Errorf("Canonical(%q) = %q, %v; want it unchanged", argv, got, err)
		}
		os.Args = got
		if err := app.Run(got); err != nil {
			t.Error(err)
		}
		if !slices.Contains(strings.Fields(out.String()), tt.want) {
			t.Errorf("%q completes to\n%s\nwithout %q", argv, &out, tt.want)
		}
	}
}

// TestCanonicalFlat uses an app without subcommands, before and after cli adds one
// called help.
func TestCanonicalFlat(t *testing.T) {
	var saw []string
	app := &cli.App{
		Name:   "reader",
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}}},
		Action: func(c *cli.Context) error { saw = c.Args().Slice(); return nil },
	}
	want := []string{"reader", "--follow", "--", "5", "--", "-f"}
	for range 2 {
		got, err := cliargs.Canonical(app, []string{"reader", "5", "-f", "--", "-f"})
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("Canonical = %q, %v; want %q", got, err, want)
		}
		if err := app.Run(got); err != nil {
			t.Fatal(err)
		}
		if want := []string{"5", "--", "-f"}; !slices.Equal(saw, want) {
			t.Errorf("arguments %q, want %q", saw, want)
		}
	}
}

func TestCanonicalWithoutHelp(t *testing.T) {
	app := &cli.App{Name: "x", HideHelp: true, Commands: []*cli.Command{{Name: "sub", HideHelp: true}}}
	for _, argv := range [][]string{{"x", "--help"}, {"x", "sub", "-h"}} {
		if got, err := cliargs.Canonical(app, argv); err == nil {
			t.Errorf("Canonical(%q) = %q, want an error", argv, got)
		}
	}
	for _, argv := range [][]string{nil, {"x"}} {
		if got, err := cliargs.Canonical(app, argv); err != nil || !slices.Equal(got, argv) {
			t.Errorf("Canonical(%q) = %q, %v; want it unchanged", argv, got, err)
		}
	}
}

// TestCanonicalNil: a program has switched cli's help off entirely.
func TestCanonicalNil(t *testing.T) {
	defer func(f cli.Flag) { cli.HelpFlag = f }(cli.HelpFlag)
	cli.HelpFlag = nil
	flags := []cli.Flag{&cli.BoolFlag{Name: "all"}}
	app := &cli.App{Name: "x", Flags: flags, Commands: []*cli.Command{{Name: "sub", Flags: flags}}}
	got, err := cliargs.Canonical(app, list("x", "--al", "sub", "--al"))
	if want := list("x", "--all", "sub", "--all"); err != nil || !slices.Equal(got, want) {
		t.Errorf("Canonical = %q, %v; want %q", got, err, want)
	}
	if got, err := cliargs.Canonical(app, []string{"x", "--help"}); err == nil {
		t.Errorf("Canonical = %q, want an error", got)
	}
}

func TestCanonicalSkipsFlagParsing(t *testing.T) {
	argv := list("x", "--all", "--", "-y")
	got, err := cliargs.Canonical(&cli.App{Name: "x", SkipFlagParsing: true}, argv)
	if err != nil || !slices.Equal(got, argv) {
		t.Errorf("Canonical = %q, %v; want it unchanged", got, err)
	}
}

// TestCanonicalKeepsToItself detects writes past the end of the caller's slices, and
// parses the same line again after cli has added its own flags.
func TestCanonicalKeepsToItself(t *testing.T) {
	size := &cli.GenericFlag{Name: "size", Destination: &optional{}, Value: &required{}}
	flags := []cli.Flag{size, nil}
	sub := &cli.Command{Name: "sub", Flags: flags[:1]}
	app := &cli.App{Name: "x", Commands: []*cli.Command{sub}, Writer: new(bytes.Buffer)}
	for range 2 {
		argv := list("x", "sub", "5", "--siz", "--hel")
		got, err := cliargs.Canonical(app, argv)
		if want := list("x", "sub", "--help"); err != nil || !slices.Equal(got, want) {
			t.Fatalf("Canonical = %q, %v; want %q", got, err, want)
		}
		if want := list("x", "sub", "5", "--siz", "--hel"); !slices.Equal(argv, want) {
			t.Errorf("the command line became %q", argv)
		}
		if flags[1] != nil {
			t.Errorf("the flags became %v", flags)
		}
		sub.Flags = slices.Clip(sub.Flags)
		if err := app.Run(got); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCanonicalWithoutCompletion(t *testing.T) {
	if got, err := cliargs.Canonical(&cli.App{Name: "x"}, list("x", "--generate-bash-completion")); err == nil {
		t.Errorf("Canonical = %q, want an error", got)
	}
}

// TestPremises checks the package comment's claims about cli.
func TestPremises(t *testing.T) {
	var out bytes.Buffer
	generic := &optional{}
	tags := cli.NewStringSlice()
	ranKey := false
	app := &cli.App{
		Name: "x", Writer: &out,
		Flags: []cli.Flag{
			&cli.GenericFlag{Name: "huge", Aliases: []string{"H"}, Value: generic},
			&cli.StringSliceFlag{Name: "tag", Destination: tags},
		},
		Commands: []*cli.Command{{Name: "key", Action: func(*cli.Context) error { ranKey = true; return nil }}},
	}
	argv, err := cliargs.Canonical(app, list("x", "-H", "--tag=a, b", "key", "h"))
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Run(argv); err != nil {
		t.Fatal(err)
	}
	if want := list("true", `["true"]`); !slices.Equal(generic.values, want) {
		t.Errorf("the generic flag was set to %q, want %q", generic.values, want)
	}
	if want := list("a", "b"); !slices.Equal(tags.Value(), want) {
		t.Errorf("the slice flag was set to %q, want %q", tags.Value(), want)
	}
	if ranKey || !strings.Contains(out.String(), "x key") {
		t.Errorf("the operand h did not run help: %s", &out)
	}
}

type args struct {
	cli.Args
	slice []string
}

func (a args) Slice() []string { return slices.Clone(a.slice) }

func TestCut(t *testing.T) {
	tests := []struct {
		line          string
		before, after []string
		found         bool
		operands      []string
	}{
		{"", nil, nil, false, nil},
		{"5 6", list("5", "6"), nil, false, list("5", "6")},
		{"5 -- cmd -- x", list("5"), list("cmd", "--", "x"), true, list("5", "cmd", "--", "x")},
		{"5 --", list("5"), nil, true, list("5")},
		{"-- cmd", nil, list("cmd"), true, list("cmd")},
	}
	for _, tt := range tests {
		a := args{slice: fields(tt.line)}
		before, after, found := cliargs.Cut(a)
		if !slices.Equal(before, tt.before) || !slices.Equal(after, tt.after) || found != tt.found {
			t.Errorf("Cut(%q) = %q, %q, %v; want %q, %q, %v", tt.line, before, after, found, tt.before, tt.after, tt.found)
		}
		_ = append(before, "over the dashes", "over the rest")
		if !slices.Equal(after, tt.after) {
			t.Errorf("Cut(%q): the parts share memory", tt.line)
		}
		if got := cliargs.Operands(a); !slices.Equal(got, tt.operands) {
			t.Errorf("Operands(%q) = %q, want %q", tt.line, got, tt.operands)
		}
	}
}

// FuzzCanonical runs the app on the canonical line: cli must receive the flags and
// operands that getopt parsed, and the canonical line of that line must be itself.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{"5\x00-xs4", "--si=,\x00--\x00-x", "-b\x00--opt=\x00--opt\x00x\x00--opt=--", "-hx", "--\x00--", "a\x00--\x00b\x00--"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var got seen
		app := got.app()
		input := strings.Split(line, "\x00")
		argv, err := cliargs.Canonical(app, append([]string{"app", "sub"}, input...))
		want, wantErr := getopt.Parse(seenOptions(), input)
		help := slices.ContainsFunc(want.Matches, func(m getopt.Match) bool { return m.Name == "help" })
		if (err != nil) != (wantErr != nil && !help) {
			t.Fatalf("%q: error %v, want %v", input, err, wantErr)
		}
		if err != nil {
			return
		}
		if again, err := cliargs.Canonical(app, argv); err != nil || !slices.Equal(again, argv) {
			t.Errorf("%q became %q, and that %q, %v", input, argv, again, err)
		}
		if err := app.Run(argv); err != nil {
			t.Fatalf("%q: %v", argv, err)
		}
		if help {
			return
		}
		got.compare(t, argv, want)
	})
}

// seenOptions are the options of the app of seen.
func seenOptions() []getopt.Option {
	return []getopt.Option{
		{Names: []string{"size", "s"}, Arg: getopt.RequiredArgument},
		{Names: []string{"side"}, Arg: getopt.RequiredArgument},
		{Names: []string{"opt"}, Arg: getopt.OptionalArgument},
		{Names: []string{"bool", "b", "x"}},
		{Names: []string{"help", "h"}},
	}
}

// seen is what cli passes to an app.
type seen struct {
	matches  []getopt.Match // in order, except bool
	bools    int
	operands []string
}

// app returns an app with a command that records its flags and operands in s.
func (s *seen) app() *cli.App {
	record := func(name string) func(string) {
		return func(value string) {
			s.matches = append(s.matches, getopt.Match{Name: name, Value: value, HasValue: true})
		}
	}
	command := &cli.Command{
		Name: "sub", HideHelpCommand: true,
		Flags: []cli.Flag{
			&cli.GenericFlag{Name: "size", Aliases: []string{"s"}, Value: &recorder{set: record("size")}},
			&cli.GenericFlag{Name: "side", Value: &recorder{set: record("side")}},
			&cli.GenericFlag{Name: "opt", Value: &optionalRecorder{recorder{set: record("opt")}}},
			&cli.BoolFlag{Name: "bool", Aliases: []string{"b", "x"}, Count: new(int)},
		},
		Action: func(c *cli.Context) error {
			s.bools, s.operands = c.Count("bool"), c.Args().Slice()
			return nil
		},
	}
	return &cli.App{Name: "app", Writer: new(bytes.Buffer), Commands: []*cli.Command{command}}
}

// compare compares s with what getopt parsed.
func (s *seen) compare(t *testing.T, argv []string, want getopt.Result) {
	t.Helper()
	wantBools := len(want.Matches)
	want.Matches = slices.DeleteFunc(want.Matches, func(m getopt.Match) bool { return m.Name == "bool" })
	wantBools -= len(want.Matches)
	for i, m := range want.Matches {
		if !m.HasValue {
			want.Matches[i] = getopt.Match{Name: m.Name, Value: "true", HasValue: true}
		}
	}
	if !slices.Equal(s.matches, want.Matches) || s.bools != wantBools {
		t.Errorf("%q: cli saw %v and %d times bool, want %v and %d", argv, s.matches, s.bools, want.Matches, wantBools)
	}
	if want.Terminator > 0 {
		want.Operands = slices.Insert(want.Operands, want.Terminator, "--")
	}
	if !slices.Equal(s.operands, want.Operands) {
		t.Errorf("%q: cli saw the operands %q, want %q", argv, s.operands, want.Operands)
	}
}

// recorder records the values it is set to, except those that cli copies to an alias.
type recorder struct {
	set func(string)
}

const copied = "copied to an alias"

func (r *recorder) Set(s string) error {
	if s != copied {
		r.set(s)
	}
	return nil
}

func (r *recorder) String() string    { return "" }
func (r *recorder) Serialize() string { return copied }

type optionalRecorder struct{ recorder }

func (r *optionalRecorder) IsBoolFlag() bool { return true }

func BenchmarkCanonical(b *testing.B) {
	app := newApp(new(ran), new(bytes.Buffer))
	argv := list("gshm", "--json", "create", "5", "--si=4096", "-xv", "--", "cmd")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cliargs.Canonical(app, argv); err != nil {
			b.Fatal(err)
		}
	}
}
