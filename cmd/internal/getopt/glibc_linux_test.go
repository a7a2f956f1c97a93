package getopt_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sysvipc/gipc/cmd/internal/getopt"
)

// longVal is the val of a table's first option; glibc reports option i as longVal+i or
// by its short name.
const longVal = 1000

// A command is a command line for one of the tables.
type command struct {
	table int
	args  []string
}

// A verdict is the result of getopt_long for a command line in one of its modes.
type verdict struct {
	Matches    []getopt.Match
	Message    string
	Operands   []string
	Terminated bool
}

// TestAgainstGlibc parses the same command lines with getopt_long, in a single process.
func TestAgainstGlibc(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	tables := [][]getopt.Option{ipcs(), nil}
	for range 60 {
		tables = append(tables, randomTable(random))
	}
	commands := wellKnown()
	for range 30000 {
		table := random.IntN(len(tables))
		commands = append(commands, command{table, randomArgs(random, tables[table])})
	}

	wants := glibc(t, tables, commands)
	failed := 0
	for i, c := range commands {
		options := tables[c.table]
		got := [3]verdict{
			permuted(getopt.Parse(options, c.args)),
			permuted(getopt.ParseInOrder(options, c.args)),
			sequential(getopt.Parse(options, c.args)),
		}
		if diff := cmp.Diff(wants[i], got); diff != "" {
			t.Errorf("options %+v\nargs %q: (-glibc +getopt)\n%s", options, c.args, diff)
			if failed++; failed == 5 {
				t.FailNow()
			}
		}
	}
}

// permuted returns what getopt_long would report for a result. Operands before an error
// are not defined.
func permuted(r getopt.Result, err error) verdict {
	if err != nil {
		return verdict{Matches: r.Matches, Message: message(err)}
	}
	return verdict{Matches: r.Matches, Operands: r.Operands, Terminated: r.Terminator >= 0}
}

// sequential returns the report in mode "-", where operands before "--" are matches
// themselves; it checks their number, not their position.
func sequential(r getopt.Result, err error) verdict {
	v := permuted(r, err)
	v.Operands = r.Operands
	if r.Terminator >= 0 {
		v.Operands = append(append(r.Operands[:r.Terminator:r.Terminator], "--"), r.Operands[r.Terminator:]...)
	}
	return v
}

func message(err error) string {
	return "prog: " + err.Error() + "\n"
}

func wellKnown() []command {
	lines := []string{
		"", "-", "--", "---", "-- --", "--=", "--=x", "-mp", "-mi5", "-i5", "-i", "-mi", "-i -5", "-i --", "-i -- --",
		"--id=5", "--id 5", "--id", "--id=", "--id --", "--i", "--i=5", "--shm", "--s", "--s=5", "--se", "--sem", "--sem=5",
		"--sema", "--sema=5", "--shmems=", "--foo", "--foo=bar", "-x", "-mx", "-:", "-;", "-W", "-Wid", "-=", "-m-", "-?",
		"-ashm", "-a shm", "--all", "--all=shm", "--all shm", "--all=", "--al", "-ma", "-am", "-N", "-N5", "--N", "--N=5",
		"--hum", "--human", "--human-", "--human-readable", "--h", "--he", "--hu=1", "-\xc3\xa9", "-m\x01", "--\x1b[0m",
		"x -m y -q z", "x -- -m", "x -m -- y -q", "x - -m", "'' -m", "-i x -m", "x -i", "x --id", "x --id y -m", "-m -- x",
		"+ -m", "-+", "x y -i 1 -- -i 2", "--id=5 x --id 6", "-qqq x -qi5 y", "--id -- -- x -m",
	}
	commands := make([]command, 0, 2*len(lines))
	for _, line := range lines {
		commands = append(commands, command{0, fields(line)}, command{1, fields(line)})
	}
	return commands
}

func randomTable(random *rand.Rand) []getopt.Option {
	options := make([]getopt.Option, 1+random.IntN(8))
	for i := range options {
		names := make([]string, 1+random.IntN(3))
		for j := range names {
			names[j] = randomString(random, "abc", 1) + randomString(random, "abc-", random.IntN(5))
		}
		options[i] = getopt.Option{Names: names, Arg: getopt.Arg(random.IntN(3))}
	}
	return options
}

func randomArgs(random *rand.Rand, options []getopt.Option) []string {
	args := make([]string, random.IntN(7))
	for i := range args {
		args[i] = randomArg(random, options)
	}
	return args
}

func randomArg(random *rand.Rand, options []getopt.Option) string {
	name := ""
	if len(options) > 0 {
		names := options[random.IntN(len(options))].Names
		name = names[random.IntN(len(names))]
	}
	switch random.IntN(10) {
	case 0:
		return "--"
	case 1, 2:
		return "--" + name + randomString(random, "=x-", random.IntN(2))
	case 3:
		return "--" + name[:random.IntN(len(name)+1)] + randomString(random, "=ax\n", random.IntN(3))
	case 4:
		return "--" + randomString(random, "abc-=x\x1b\xe9", random.IntN(5))
	case 5:
		return randomString(random, "-ax5 ", random.IntN(3))
	case 6:
		return "-" + randomString(random, "abcx:;=-W?\x7f\xe9", random.IntN(5))
	default:
		return "-" + randomString(random, "abc", 1) + randomString(random, "abcimq5", random.IntN(4))
	}
}

func randomString(random *rand.Rand, alphabet string, n int) string {
	s := make([]byte, n)
	for i := range s {
		s[i] = alphabet[random.IntN(len(alphabet))]
	}
	return string(s)
}

// glibc returns getopt_long's verdicts on every command in three modes: permuting, "+"
// and "-".
func glibc(t *testing.T, tables [][]getopt.Option, commands []command) [][3]verdict {
	t.Helper()
	cc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc to compile testdata/getopt.c with:", err)
	}
	program := filepath.Join(t.TempDir(), "getopt")
	if out, err := exec.Command(cc, "-o", program, "testdata/getopt.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}

	var in request
	in.number(len(tables))
	for _, options := range tables {
		in.table(options)
	}
	in.number(len(commands))
	for _, c := range commands {
		in.number(c.table)
		in.number(len(c.args))
		for _, arg := range c.args {
			in.string(arg)
		}
	}
	cmd := exec.Command(program)
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	cmd.Stdin = &in.Buffer
	answer, err := cmd.Output()
	if err != nil {
		t.Fatal("testdata/getopt.c:", err)
	}

	out := response{t: t, data: answer}
	if version := out.string(); version == "" {
		t.Skip("the C library is not glibc")
	}
	verdicts := make([][3]verdict, len(commands))
	for i, c := range commands {
		for mode := range verdicts[i] {
			verdicts[i][mode] = out.verdict(tables[c.table], mode == 2)
		}
	}
	if len(out.data) > 0 {
		t.Fatalf("testdata/getopt.c: %d bytes too many", len(out.data))
	}
	return verdicts
}

type request struct{ bytes.Buffer }

func (r *request) number(n int) {
	r.Write(binary.NativeEndian.AppendUint32(nil, uint32(n)))
}

func (r *request) string(s string) {
	r.number(len(s))
	r.WriteString(s)
}

func (r *request) table(options []getopt.Option) {
	var shorts strings.Builder
	longs := 0
	for _, o := range options {
		for _, name := range o.Names {
			if len(name) > 1 {
				longs++
				continue
			}
			shorts.WriteString(name + strings.Repeat(":", int(o.Arg)))
		}
	}
	r.string(shorts.String())
	r.number(longs)
	for i, o := range options {
		for _, name := range o.Names {
			if len(name) > 1 {
				r.string(name)
				r.number(int(o.Arg))
				r.number(longVal + i)
			}
		}
	}
}

type response struct {
	t    *testing.T
	data []byte
}

func (r *response) take(n int) []byte {
	if n > len(r.data) {
		r.t.Fatal("testdata/getopt.c: answer too short")
	}
	taken := r.data[:n]
	r.data = r.data[n:]
	return taken
}

func (r *response) number() int    { return int(binary.NativeEndian.Uint32(r.take(4))) }
func (r *response) string() string { return string(r.take(r.number())) }

func (r *response) verdict(options []getopt.Option, sequential bool) verdict {
	var v verdict
	for range r.number() {
		val, hasValue, value := r.number(), r.number() == 1, r.string()
		if val == 1 {
			v.Operands = append(v.Operands, value)
			continue
		}
		v.Matches = append(v.Matches, getopt.Match{Name: nameOf(options, val), Value: value, HasValue: hasValue})
	}
	v.Message = r.string()
	rest := make([]string, r.number())
	for i := range rest {
		rest[i] = r.string()
	}
	v.Terminated = r.number() == 1
	if v.Message != "" {
		v.Terminated = false
		return v
	}
	if sequential && v.Terminated {
		v.Operands = append(v.Operands, "--")
	}
	v.Operands = append(v.Operands, rest...)
	return v
}

func nameOf(options []getopt.Option, val int) string {
	if val >= longVal {
		return options[val-longVal].Names[0]
	}
	for _, o := range options {
		for _, name := range o.Names {
			if name == string(rune(val)) {
				return o.Names[0]
			}
		}
	}
	return fmt.Sprintf("val %d, which is no option's", val)
}
