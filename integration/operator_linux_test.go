package integration_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// TestOperator: gipcs answers what operators ask: who is attached, who waits, what can
// be removed, and how to get it back. Each case has its own namespace, where nothing
// may be left at the end.
func TestOperator(t *testing.T) {
	t.Parallel()
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	for name, test := range map[string]func(*testing.T, gipcs){
		"PostgreSQL":             testPostgreSQL,
		"who holds the lock":     testLadder,
		"deadlock":               testDeadlock,
		"there and back":         testThereAndBack,
		"an ordinary user":       testOrdinaryUser,
		"namespaces":             testNamespaces,
		"closed namespaces":      testClosedNamespaces,
		"colours":                testColours,
		"width":                  testWidth,
		"the progress of a copy": testProgress,
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t)
			test(t, g)
		})
	}
}

// gipcs is the command, optionally after one that runs it as another user.
type gipcs []string

// as returns the command as a user who owns no objects. It skips the test if it cannot
// act as two users.
func (g gipcs) as(t *testing.T, user []string) gipcs {
	t.Helper()
	if !severalUsers() {
		t.Skip("needs root, to be an ordinary user")
	}
	return slices.Concat(user, g)
}

func nobody() []string {
	return []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"}
}

// command prepares the command with arguments.
func (g gipcs) command(args ...string) *exec.Cmd {
	cmd := exec.Command(g[0], slices.Concat(g[1:], args)...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// run runs the command and returns its output, its messages and its exit status.
func (g gipcs) run(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, said bytes.Buffer
	cmd := g.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", args, err)
	}
	return out.String(), said.String(), cmd.ProcessState.ExitCode()
}

// prints returns the command's output. It must succeed without messages.
func (g gipcs) prints(t *testing.T, args ...string) string {
	t.Helper()
	out, said, status := g.run(t, args...)
	if said != "" || status != 0 {
		t.Fatalf("%v: exit status %d: %s", args, status, said)
	}
	return out
}

// A row is an object in the command's JSON output.
type row map[string]any

// rows returns the rows of a listing, which may come with messages.
func (g gipcs) rows(t *testing.T, args ...string) (list []row) {
	t.Helper()
	out, said, status := g.run(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &list); err != nil || status != 0 {
		t.Fatalf("%v: exit status %d, %v: %s%s", args, status, err, out, said)
	}
	return list
}

// show returns what gipcs shows about an object.
func (g gipcs) show(t *testing.T, args ...string) (r row) {
	t.Helper()
	out := g.prints(t, slices.Concat([]string{"show", "--json"}, args)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	return r
}

// nested returns the rows of a field.
func (r row) nested(t *testing.T, field string) (list []row) {
	t.Helper()
	all, ok := r[field].([]any)
	if !ok {
		t.Fatalf("%s is %v", field, r[field])
	}
	for _, one := range all {
		list = append(list, one.(map[string]any))
	}
	return list
}

// only formats some fields of a row for comparison.
func (r row) only(fields ...string) string {
	part := maps.Clone(r)
	maps.DeleteFunc(part, func(name string, _ any) bool { return !slices.Contains(fields, name) })
	text, _ := json.Marshal(part) // it came from JSON
	return string(text)
}

// testLadder: a process sleeps with a lock that another one waits for.
func testLadder(t *testing.T, g gipcs) {
	set, locks := newLocks(t, 2)
	holder := ipctest.Run(t, locks, fmt.Sprint(int(set)), "1")
	want(t, "holder", holder.Line(), "has 1")
	waiter := ipctest.Run(t, locks, fmt.Sprint(int(set)), "0", "1")
	want(t, "waiter", waiter.Line(), "has 0")
	waiter.Tell("go on")
	waiters(t, set, 1)

	got := g.show(t, fmt.Sprintf("sem:%d", set))
	want(t, "set", got.only("verdict", "deadlocks", "hidden_waiters"), `{"deadlocks":[],"hidden_waiters":0,"verdict":"in use"}`)
	waiting := got.nested(t, "waiting")
	if len(waiting) != 1 {
		t.Fatalf("waiting: %v", waiting)
	}
	want(t, "who waits", waiting[0].only("pid", "tid", "command", "semaphore", "operations", "undo", "timeout", "likely_holder"),
		fmt.Sprintf(`{"command":"locks","likely_holder":"%d (locks)","operations":"1-1u","pid":%d,"semaphore":1,"tid":%d,"timeout":false,"undo":true}`,
			holder.PID(), waiter.PID(), waiter.PID()))
	want(t, "semaphore", got.nested(t, "semaphores")[1].only("num", "value", "ncount", "pid", "command"),
		fmt.Sprintf(`{"command":"locks","ncount":1,"num":1,"pid":%d,"value":0}`, holder.PID()))
	want(t, "ls", g.rows(t, "ls", "-o", "kind,waiting,pids"), fmt.Sprint([]row{{"kind": "sem", "waiting": 1, "pids": []any{waiter.PID()}}}))
	if text := g.prints(t, "show", fmt.Sprintf("sem:%d", set)); !strings.Contains(text, fmt.Sprintf("%d (locks)", holder.PID())) ||
		!strings.Contains(text, fmt.Sprint(waiter.PID())) {
		t.Errorf("for people: %s, want both processes", text)
	}

	// When the holder is killed, its lock goes to the waiter.
	holder.Kill()
	want(t, "waiter", waiter.Line(), "has 1")
	waiter.End()
	check(t, set.Remove())
}

// testDeadlock: two processes hold one lock each and want the other's.
func testDeadlock(t *testing.T, g gipcs) {
	set, locks := newLocks(t, 2)
	one := ipctest.Run(t, locks, fmt.Sprint(int(set)), "0", "1")
	two := ipctest.Run(t, locks, fmt.Sprint(int(set)), "1", "0")
	want(t, "one", one.Line(), "has 0")
	want(t, "two", two.Line(), "has 1")
	one.Tell("go on")
	two.Tell("go on")
	waiters(t, set, 2)

	got := g.show(t, fmt.Sprintf("sem:%d", set))
	rings, _ := got["deadlocks"].([]any)
	if len(rings) != 1 {
		t.Fatalf("deadlocks: %v", got["deadlocks"])
	}
	for _, p := range []*ipctest.Process{one, two} {
		if !strings.Contains(fmt.Sprint(rings[0]), fmt.Sprintf("%d (locks) waits for", p.PID())) {
			t.Errorf("the ring %q lacks process %d", rings[0], p.PID())
		}
	}
	one.Kill()
	want(t, "the other one", two.Line(), "has 0")
	want(t, "afterwards", g.show(t, fmt.Sprintf("sem:%d", set)).only("deadlocks"), `{"deadlocks":[]}`)
	two.End()
	check(t, set.Remove())
}

// newLocks makes a set of free locks, and returns the program that takes them.
func newLocks(t *testing.T, n int) (sysv.Set, string) {
	t.Helper()
	locks := ipctest.Compile(t, "peers/locks.c")
	set, err := sysv.CreateSet(sysv.Private, n, nil)
	check(t, err)
	check(t, set.SetValues(slices.Repeat([]uint16{1}, n)))
	return set, locks
}
