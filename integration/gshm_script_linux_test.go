package integration_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// TestGshm runs the scripts in testdata/gshm.
func TestGshm(t *testing.T) { runScripts(t, "gshm") }

// runScripts runs the scripts that test a command, each in its own IPC namespace, where
// nothing may be left at the end. testdata/README describes their language.
func runScripts(t *testing.T, command string) {
	bin := install(t, command)
	writeFile(t, filepath.Join(bin, "nobody"), asNobody)
	writeFile(t, filepath.Join(bin, "full"), toFullDevice)
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", command),
		Setup:         func(env *testscript.Env) error { return setUp(env, bin) },
		Condition:     condition,
		UpdateScripts: false,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			command:       func(ts *testscript.TestScript, neg bool, args []string) { succeed(ts, neg, command, args) },
			"fails":       func(ts *testscript.TestScript, neg bool, args []string) { fail(ts, neg, 1, command, args) },
			"misused":     func(ts *testscript.TestScript, neg bool, args []string) { fail(ts, neg, 2, command, args) },
			"refuses":     refuse,
			"status":      exitStatus,
			"keep":        keep,
			"await":       await,
			"attachments": attachments,
			"unchanged":   unchanged,
			"posix":       makePOSIX,
			"sysctl":      sysctl,
		},
	})
}

// asNobody runs a program as a user who owns no objects.
const asNobody = `#!/bin/sh
exec setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"
`

// toFullDevice runs a program that cannot write its output.
const toFullDevice = `#!/bin/sh
exec "$@" >/dev/full
`

func writeFile(t *testing.T, name, contents string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(contents), 0o755); err != nil {
		t.Fatal(err)
	}
}

func setUp(env *testscript.Env, bin string) error {
	if err := enterNamespace(); err != nil {
		return err
	}
	env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	env.Setenv("TZ", "UTC")
	env.Setenv("LC_ALL", "C")
	env.Defer(func() {
		if failed, ok := env.T().(interface{ Failed() bool }); ok && failed.Failed() {
			return
		}
		if left := objects(env.T().Fatal); len(left) > 0 {
			env.T().Fatal("left behind: ", strings.Join(left, "\n"))
		}
	})
	return nil
}

// condition implements [root]: the test can act as two users and set limits; and
// [userns]: an ordinary user can also make namespaces.
func condition(name string) (bool, error) {
	switch name {
	case "root":
		return severalUsers(), nil
	case "userns":
		return severalUsers() && exec.Command("setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups",
			"unshare", "--user", "--map-root-user", "--ipc", "--mount", "true").Run() == nil, nil
	default:
		return false, fmt.Errorf("no condition %q", name)
	}
}

// severalUsers reports whether this is root in a user namespace that maps other users.
func severalUsers() bool {
	_, errProgram := exec.LookPath("setpriv")
	uids, err := os.ReadFile("/proc/self/uid_map")
	fields := strings.Fields(string(uids))
	return errProgram == nil && err == nil && os.Getuid() == 0 && len(fields) >= 3 && fields[2] != "1"
}

// succeed implements "gshm ARG..." and "gipcs ARG...": the command must exit with 0 and
// print nothing on stderr.
func succeed(ts *testscript.TestScript, neg bool, command string, args []string) {
	if neg {
		ts.Fatalf("say fails or misused, and the message")
	}
	if status := run(ts, command, args...); status != 0 {
		ts.Fatalf("exit status %d: %s", status, ts.ReadFile("stderr"))
	}
	if stderr := ts.ReadFile("stderr"); stderr != "" {
		ts.Fatalf("stderr: %s", stderr)
	}
}

// run runs a program and returns its exit status.
func run(ts *testscript.TestScript, program string, args ...string) int {
	err := ts.Exec(program, args...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%s: %v", program, err)
	}
	if exit != nil {
		return exit.ExitCode()
	}
	return 0
}

// fail implements "fails COMMAND ARG... => MESSAGE", and "misused" with the same arguments.
func fail(ts *testscript.TestScript, neg bool, want int, command string, args []string) {
	arrow := slices.Index(args, "=>")
	if neg || arrow < 1 || arrow == len(args)-1 {
		ts.Fatalf("usage: fails|misused COMMAND ARG... => MESSAGE")
	}
	before := objects(fatal(ts))
	status := run(ts, args[0], args[1:arrow]...)
	if status != want {
		ts.Fatalf("exit status %d, want %d", status, want)
	}
	if stdout := ts.ReadFile("stdout"); stdout != "" {
		ts.Fatalf("stdout: %q", stdout)
	}
	wantOneLine(ts, command+": "+strings.Join(args[arrow+1:], " "))
	wantSame(ts, before)
}

func fatal(ts *testscript.TestScript) func(...any) {
	return func(args ...any) { ts.Fatalf("%s", fmt.Sprint(args...)) }
}

// wantOneLine checks that stderr is exactly one line, message, in which a star matches
// any text.
func wantOneLine(ts *testscript.TestScript, message string) {
	pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(message), `\*`, `[^\n]*`) + "\n$"
	if got := ts.ReadFile("stderr"); !regexp.MustCompile(pattern).MatchString(got) {
		ts.Fatalf("stderr:\n got %s\nwant %s", got, message)
	}
}

// wantSame checks that the objects are the same as before.
func wantSame(ts *testscript.TestScript, before []string) {
	if after := objects(fatal(ts)); !slices.Equal(before, after) {
		ts.Fatalf("the objects have changed:\nbefore %s\nafter  %s", strings.Join(before, "\n       "), strings.Join(after, "\n       "))
	}
}

// exitStatus implements "status N COMMAND ARG...".
func exitStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND ARG...")
	}
	if status := run(ts, args[1], args[2:]...); strconv.Itoa(status) != args[0] {
		ts.Fatalf("exit status %d, want %s", status, args[0])
	}
}

// keep implements "keep NAME": it sets the variable to the last command's output.
func keep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: keep NAME")
	}
	ts.Setenv(args[0], strings.TrimSuffix(ts.ReadFile("stdout"), "\n"))
}

// await implements "await PATTERN FILE": it waits until a line of the file matches.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await PATTERN FILE")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	var contents []byte
	err := eventually(func() bool {
		contents, _ = os.ReadFile(ts.MkAbs(args[1])) // it may not exist yet
		return pattern.Match(contents)
	})
	if err != nil {
		ts.Fatalf("await %s: %v; %s holds %q", args[0], err, args[1], contents)
	}
}

// attachments implements "attachments ID N": it waits until the segment has N
// attachments.
func attachments(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: attachments ID N")
	}
	id, err := strconv.Atoi(args[0])
	ts.Check(err)
	var info sysv.SegmentInfo
	err = eventually(func() bool {
		info, err = sysv.Segment(id).Stat()
		ts.Check(err)
		return strconv.FormatUint(info.NAttch, 10) == args[1]
	})
	if err != nil {
		ts.Fatalf("segment %d has %d attachments, want %s: %v", id, info.NAttch, args[1], err)
	}
}

// unchanged implements "unchanged COMMAND ARG...": the command must succeed, print
// nothing on stderr, and leave all objects unchanged.
func unchanged(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: unchanged COMMAND ARG...")
	}
	before := objects(fatal(ts))
	succeed(ts, neg, args[0], args[1:])
	wantSame(ts, before)
}

// makePOSIX implements "posix pshm /NAME CONTENTS", "posix psem /NAME VALUE" and "posix
// pmsg /NAME MESSAGE...": it makes an object.
func makePOSIX(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: posix KIND /NAME [CONTENTS]")
	}
	kind, name, rest := args[0], args[1], args[2:]
	switch {
	case kind == "pshm" && len(rest) == 1:
		o, err := posix.CreateObject(name, int64(len(rest[0])), nil)
		ts.Check(err)
		_, err = o.File().WriteAt([]byte(rest[0]), 0)
		ts.Check(errors.Join(err, o.Close()))
	case kind == "psem" && len(rest) == 1:
		value, err := strconv.Atoi(rest[0])
		ts.Check(err)
		s, err := posix.CreateSemaphore(name, value, nil)
		ts.Check(err)
		ts.Check(s.Close())
	case kind == "pmsg":
		q, err := posix.CreateQueue(name, &posix.QueueOptions{Mode: 0o600, MaxMsgs: 10, MsgSize: 64})
		ts.Check(err)
		for _, m := range rest {
			_, err := q.TrySend([]byte(m), 0)
			ts.Check(err)
		}
		ts.Check(q.Close())
	default:
		ts.Fatalf("usage: posix KIND /NAME [CONTENTS]")
	}
}

// sysctl implements "sysctl NAME VALUE...", in the script's own namespace.
func sysctl(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: sysctl NAME VALUE...")
	}
	name := filepath.Join("/proc/sys", strings.ReplaceAll(args[0], ".", "/"))
	ts.Check(os.WriteFile(name, []byte(strings.Join(args[1:], " ")), 0))
}
