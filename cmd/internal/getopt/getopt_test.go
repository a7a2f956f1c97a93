package getopt_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sysvipc/gipc/cmd/internal/getopt"
)

// ipcs returns the options of ipcs(1), and one of each kind that it lacks.
func ipcs() []getopt.Option {
	return []getopt.Option{
		{Names: []string{"id", "i"}, Arg: getopt.RequiredArgument},
		{Names: []string{"shmems", "m"}},
		{Names: []string{"queues", "q"}},
		{Names: []string{"semaphores", "s"}},
		{Names: []string{"time", "t"}},
		{Names: []string{"pid", "p"}},
		{Names: []string{"all", "a"}, Arg: getopt.OptionalArgument},
		{Names: []string{"help", "h"}},
		{Names: []string{"human", "b", "human-readable"}},
		{Names: []string{"N"}, Arg: getopt.RequiredArgument},
		{Names: []string{"sem", "S"}, Arg: getopt.RequiredArgument},
	}
}

func flag(name string) getopt.Match { return getopt.Match{Name: name} }
func value(name, value string) getopt.Match {
	return getopt.Match{Name: name, Value: value, HasValue: true}
}
func list[T any](elements ...T) []T { return elements }

func TestParse(t *testing.T) {
	const none = -1
	tests := []struct {
		args       string // split at spaces; '' is an empty argument
		matches    []getopt.Match
		operands   []string
		terminator int
	}{
		{"", nil, nil, none},
		{"-m", list(flag("shmems")), nil, none},
		{"-mp", list(flag("shmems"), flag("pid")), nil, none},
		{"-i5", list(value("id", "5")), nil, none},
		{"-mi5", list(flag("shmems"), value("id", "5")), nil, none},
		{"-i -5", list(value("id", "-5")), nil, none},
		{"-i --", list(value("id", "--")), nil, none},
		{"-i ''", list(value("id", "")), nil, none},
		{"-im", list(value("id", "m")), nil, none},
		{"-i=5", list(value("id", "=5")), nil, none},
		{"-N 5 -N6", list(value("N", "5"), value("N", "6")), nil, none},
		{"--id=5", list(value("id", "5")), nil, none},
		{"--id 5", list(value("id", "5")), nil, none},
		{"--id=", list(value("id", "")), nil, none},
		{"--id=a=b", list(value("id", "a=b")), nil, none},
		{"--id --", list(value("id", "--")), nil, none},
		{"--shm", list(flag("shmems")), nil, none},
		{"--i 5", list(value("id", "5")), nil, none},
		{"--sem x", list(value("sem", "x")), nil, none},
		{"--sema", list(flag("semaphores")), nil, none},
		{"--hum", list(flag("human")), nil, none},
		{"--human-", list(flag("human")), nil, none},
		{"-a shm", list(flag("all")), list("shm"), none},
		{"-ashm", list(value("all", "shm")), nil, none},
		{"-ma", list(flag("shmems"), flag("all")), nil, none},
		{"--all shm", list(flag("all")), list("shm"), none},
		{"--all=shm", list(value("all", "shm")), nil, none},
		{"--all=", list(value("all", "")), nil, none},
		{"x -m y -q", list(flag("shmems"), flag("queues")), list("x", "y"), none},
		{"- -m", list(flag("shmems")), list("-"), none},
		{"'' -m", list(flag("shmems")), list(""), none},
		{"--", nil, nil, 0},
		{"-- -m", nil, list("-m"), 0},
		{"x -m -- y -q --", list(flag("shmems")), list("x", "y", "-q", "--"), 1},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got, err := getopt.Parse(ipcs(), fields(tt.args))
			if err != nil {
				t.Fatal(err)
			}
			want := getopt.Result{Matches: tt.matches, Operands: tt.operands, Terminator: tt.terminator}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseInOrder(t *testing.T) {
	tests := []struct {
		args string
		want getopt.Result
	}{
		{"-m x -q", getopt.Result{Matches: list(flag("shmems")), Operands: list("x", "-q"), Terminator: -1}},
		{"-m x -- -q", getopt.Result{Matches: list(flag("shmems")), Operands: list("x", "--", "-q"), Terminator: -1}},
		{"-m -- x -q", getopt.Result{Matches: list(flag("shmems")), Operands: list("x", "-q"), Terminator: 0}},
		{"-i x -q", getopt.Result{Matches: list(value("id", "x"), flag("queues")), Terminator: -1}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got, err := getopt.ParseInOrder(ipcs(), fields(tt.args))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseError(t *testing.T) {
	tests := []struct {
		args string
		text string
		want getopt.Error
	}{
		{
			"-mx", "invalid option -- 'x'",
			getopt.Error{Reason: getopt.UnknownOption, Arg: "-mx", Option: "-x"},
		},
		{
			"-m-", "invalid option -- '-'",
			getopt.Error{Reason: getopt.UnknownOption, Arg: "-m-", Option: "--"},
		},
		{
			"-é", "invalid option -- '\xc3'",
			getopt.Error{Reason: getopt.UnknownOption, Arg: "-é", Option: "-\xc3"},
		},
		{
			"-mi", "option requires an argument -- 'i'",
			getopt.Error{Reason: getopt.MissingArgument, Arg: "-mi", Option: "-i"},
		},
		{
			"--foo=bar", "unrecognized option '--foo=bar'",
			getopt.Error{Reason: getopt.UnknownOption, Arg: "--foo=bar", Option: "--foo"},
		},
		{
			"--N=1", "unrecognized option '--N=1'",
			getopt.Error{Reason: getopt.UnknownOption, Arg: "--N=1", Option: "--N"},
		},
		{
			"--i", "option '--id' requires an argument",
			getopt.Error{Reason: getopt.MissingArgument, Arg: "--i", Option: "--id"},
		},
		{
			"--shm=1", "option '--shmems' doesn't allow an argument",
			getopt.Error{Reason: getopt.UnexpectedArgument, Arg: "--shm=1", Option: "--shmems"},
		},
		{
			"--s=1", "option '--s=1' is ambiguous; possibilities: '--shmems' '--semaphores' '--sem'",
			getopt.Error{
				Reason: getopt.AmbiguousOption, Arg: "--s=1", Option: "--s",
				Candidates: []string{"--shmems", "--semaphores", "--sem"},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got, err := getopt.Parse(ipcs(), append([]string{"x", "-t"}, fields(tt.args)...))
			var e *getopt.Error
			if !errors.As(err, &e) {
				t.Fatalf("err = %v, want an *Error", err)
			}
			if e.Error() != tt.text {
				t.Errorf("text = %q, want %q", e.Error(), tt.text)
			}
			if diff := cmp.Diff(tt.want, *e); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if len(got.Matches) == 0 || got.Matches[0] != flag("time") || len(got.Operands) != 1 {
				t.Errorf("result = %+v, want what came before the error", got)
			}
		})
	}
}

func TestParseDoesNotKeepArgs(t *testing.T) {
	args := []string{"x", "y", "--", "z"}
	got, err := getopt.Parse(nil, args[:1:4])
	if err != nil {
		t.Fatal(err)
	}
	_ = append(got.Operands, "changed")
	if args[1] != "y" {
		t.Error("the operands share memory with the arguments")
	}
}

func fields(s string) []string {
	args := strings.Fields(s)
	for i := range args {
		if args[i] == "''" {
			args[i] = ""
		}
	}
	return args
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"-mi5", "x\x00--shm\x00--\x00-q", "-a\x00--all=\x00-", "--s=1", "-i", "--=", "-m\xff", ""} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, line string, inOrder bool) {
		parse := getopt.Parse
		if inOrder {
			parse = getopt.ParseInOrder
		}
		args := strings.Split(line, "\x00")
		got, err := parse(ipcs(), args)
		var e *getopt.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("err = %v, want an *Error", err)
		}
		if e != nil && !slices.Contains(args, e.Arg) {
			t.Errorf("the error is about %q, which is not in %q", e.Arg, args)
		}
		rest := args
		for _, operand := range got.Operands {
			for len(rest) > 0 && rest[0] != operand {
				rest = rest[1:]
			}
			if len(rest) == 0 {
				t.Fatalf("operands %q are not in %q, in this order", got.Operands, args)
			}
			rest = rest[1:]
		}
		for _, m := range got.Matches {
			if !slices.ContainsFunc(args, func(arg string) bool { return strings.HasSuffix(arg, m.Value) }) {
				t.Errorf("value %q of %s is not a suffix of an argument in %q", m.Value, m.Name, args)
			}
		}
		if err == nil {
			again, err := getopt.Parse(ipcs(), canonical(got))
			if err != nil {
				t.Fatal(err)
			}
			again.Terminator = got.Terminator
			if diff := cmp.Diff(got, again); diff != "" {
				t.Errorf("%q parsed again as %q (-first +second)\n%s", args, canonical(got), diff)
			}
		}
	})
}

// canonical returns the plainest spelling of a result.
func canonical(r getopt.Result) []string {
	var args []string
	for _, m := range r.Matches {
		switch {
		case len(m.Name) == 1 && m.HasValue:
			args = append(args, "-"+m.Name, m.Value)
		case len(m.Name) == 1:
			args = append(args, "-"+m.Name)
		case m.HasValue:
			args = append(args, "--"+m.Name+"="+m.Value)
		default:
			args = append(args, "--"+m.Name)
		}
	}
	return append(append(args, "--"), r.Operands...)
}

func BenchmarkParse(b *testing.B) {
	options, args := ipcs(), []string{"-mp", "--id=5", "x", "--sema"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := getopt.Parse(options, args); err != nil {
			b.Fatal(err)
		}
	}
}
