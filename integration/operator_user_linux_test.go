package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// testOrdinaryUser: everything works for what an ordinary user may see; the rest is
// unknown and counted; other users' objects stay.
func testOrdinaryUser(t *testing.T, g gipcs) {
	user := g.as(t, nobody())
	locks := ipctest.Compile(t, "peers/locks.c")
	made := func(g gipcs, key string) (refs [3]string) {
		t.Helper()
		for i, args := range [][]string{{"--shmem", "4096"}, {"--values", "1"}, {"--queue"}} {
			refs[i] = strings.TrimSpace(g.prints(t, append([]string{"mk", "--key", key, "--mode", "0600"}, args...)...))
		}
		return refs
	}
	own, foreign := made(user, "0x11"), made(g, "0x22")
	mem, err := sysv.OpenSegment(0x22)
	check(t, err)
	attached, err := mem.Attach(nil)
	check(t, err)
	// One process of the user holds a lock, and another waits for it.
	command := append(nobody(), locks, strings.TrimPrefix(own[1], "sem:"), "0")
	holder := ipctest.Run(t, command[0], command[1:]...)
	holder.Line()
	waiter := ipctest.Run(t, command[0], command[1:]...)
	set, err := sysv.OpenSet(0x11)
	check(t, err)
	waiters(t, set, 1)

	userSees(t, g, user, own, foreign)
	want(t, "who waits", user.show(t, own[1]).nested(t, "waiting")[0].only("pid", "likely_holder"),
		fmt.Sprintf(`{"likely_holder":"%d (locks)","pid":%d}`, holder.PID(), waiter.PID()))

	holder.End()
	waiter.Line()
	waiter.End()
	userRemovesNothing(t, user, foreign)
	check(t, attached.Detach())
	g.prints(t, append([]string{"rm"}, foreign[:]...)...)
}

// userSees checks what gipcs shows a user of their own objects and of root's, whose
// processes they may not inspect.
func userSees(t *testing.T, root, user gipcs, own, foreign [3]string) {
	t.Helper()
	// All rows are listed. Cells that the user may not inspect are null.
	const columns = "kind,key,uid,attached,waiting,verdict"
	want(t, "own objects", user.rows(t, "ls", "--key", "0x11", "-o", columns), fmt.Sprint([]row{
		{"kind": "shm", "key": "0x00000011", "uid": 65534, "attached": 0, "waiting": nil, "verdict": "unknown"},
		{"kind": "sem", "key": "0x00000011", "uid": 65534, "attached": nil, "waiting": 1, "verdict": "in use"},
		{"kind": "msg", "key": "0x00000011", "uid": 65534, "attached": nil, "waiting": nil, "verdict": "unknown"},
	}))
	want(t, "objects of others", user.rows(t, "ls", "--key", "0x22", "-o", columns), fmt.Sprint([]row{
		{"kind": "shm", "key": "0x00000022", "uid": 0, "attached": nil, "waiting": nil, "verdict": "in use"},
		{"kind": "sem", "key": "0x00000022", "uid": 0, "attached": nil, "waiting": nil, "verdict": "unknown"},
		{"kind": "msg", "key": "0x00000022", "uid": 0, "attached": nil, "waiting": nil, "verdict": "unknown"},
	}))
	shown := user.show(t, own[1])
	if hidden, _ := shown["hidden_processes"].(float64); hidden == 0 {
		t.Errorf("hidden processes: %v, want root's", shown["hidden_processes"])
	}
	want(t, "who is attached", user.show(t, foreign[0]).only("attached", "hidden_attachments"), `{"attached":[],"hidden_attachments":1}`)
	want(t, "values", user.show(t, foreign[1]).only("semaphores"), `{"semaphores":null}`)
	out, said, status := user.run(t, "show", "--json", foreign[2])
	want(t, "status of a queue's messages", status, 1)
	want(t, "a queue's messages", said, fmt.Sprintf("gipcs: permission denied: message queue %s belongs to uid 0, its mode is 0600, you are uid 65534\n", foreign[2][4:]))
	if !strings.Contains(out, `"messages_held": null`) {
		t.Errorf("the rest of the queue is not shown: %s", out)
	}
	want(t, "limits", user.prints(t, "limits", "--json"), root.prints(t, "limits", "--json"))
	out, said, status = user.run(t, "ns", "--json")
	if want := `"own":true,"segments":2,"sets":2,"queues":2,`; status != 0 || !strings.Contains(out, want) {
		t.Errorf("ns: exit status %d: %s, want %s", status, out, want)
	}
	if !strings.Contains(said, " could not be inspected: ") {
		t.Errorf("ns says %q", said)
	}
}

// userRemovesNothing checks that a user who tries to remove root's objects learns who owns
// them, and that all of them stay.
func userRemovesNothing(t *testing.T, user gipcs, foreign [3]string) {
	t.Helper()
	before := objects(t.Fatal)
	for i, what := range []string{"shared memory segment", "semaphore set", "message queue"} {
		_, said, status := user.run(t, "rm", foreign[i])
		want(t, "removing "+foreign[i], fmt.Sprint(status, " ", said),
			fmt.Sprintf("1 gipcs: permission denied: %s %s belongs to uid 0, its mode is 0600, you are uid 65534\n", what, foreign[i][4:]))
	}
	want(t, "all objects", objects(t.Fatal), before)
	_, said, status := user.run(t, "rm", "--yes", "--where", `id >= 0`)
	want(t, "removing all", fmt.Sprint(status, " ", said), "0 gipcs: 3 matching objects belong to other users; only their owners or root can remove them\n")
	want(t, "what is left", user.rows(t, "ls", "-o", "uid"), fmt.Sprint([]row{{"uid": 0}, {"uid": 0}, {"uid": 0}}))
}
