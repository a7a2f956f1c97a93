package integration_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// An elsewhere is another IPC namespace with objects, held by a process.
type elsewhere struct {
	*ipctest.Process
	inode uint64
}

// newElsewhere makes a namespace with n segments, with keys from key on, held by a
// process of user.
func newElsewhere(t *testing.T, g gipcs, key, n int, user []string) elsewhere {
	t.Helper()
	script := fmt.Sprintf(`for i in $(seq %d); do "$0" mk -M 4096 -k key:$((%d + i)) >&2 || exit; done; echo made; read end || :`, n, key-1)
	command := slices.Concat([]string{"unshare", "--ipc"}, user, []string{"sh", "-c", script, g[0]})
	p := ipctest.Run(t, command[0], command[1:]...)
	want(t, "elsewhere", p.Line(), "made")
	var stat unix.Stat_t
	check(t, unix.Stat(fmt.Sprintf("/proc/%d/ns/ipc", p.PID()), &stat))
	return elsewhere{p, stat.Ino}
}

// inodeOf returns the namespace of a row.
func inodeOf(r row) uint64 {
	inode, _ := r["namespace"].(float64)
	return uint64(inode)
}

// testNamespaces inspects two other namespaces, from outside and from inside.
func testNamespaces(t *testing.T, g gipcs) {
	g.prints(t, "mk", "-M", "4096", "-k", "0x1")
	one, two := newElsewhere(t, g, 0x10, 1, nil), newElsewhere(t, g, 0x20, 2, nil)

	// ns lists all three, and who is in them.
	listed := make(map[uint64]row)
	for _, r := range g.rows(t, "ns") {
		listed[inodeOf(r)] = r
	}
	want(t, "one", listed[one.inode].only("own", "segments", "sets", "queues", "processes", "pid", "command"),
		fmt.Sprintf(`{"command":"sh","own":false,"pid":%d,"processes":1,"queues":0,"segments":1,"sets":0}`, one.PID()))
	want(t, "two", listed[two.inode].only("own", "segments", "pid"), fmt.Sprintf(`{"own":false,"pid":%d,"segments":2}`, two.PID()))
	var own unix.Stat_t
	check(t, unix.Stat(fmt.Sprintf("/proc/%d/ns/ipc", unix.Gettid()), &own))
	want(t, "own", listed[own.Ino].only("own", "segments"), `{"own":true,"segments":1}`)

	// A namespace can be named by a process, an inode, or a file.
	check(t, unix.Unshare(unix.CLONE_NEWNS))
	check(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	path := filepath.Join(t.TempDir(), "namespace")
	writeFile(t, path, "")
	check(t, unix.Mount(fmt.Sprintf("/proc/%d/ns/ipc", two.PID()), path, "", unix.MS_BIND, ""))
	for _, name := range []string{fmt.Sprint(two.PID()), fmt.Sprint(two.inode), fmt.Sprintf("/proc/%d/ns/ipc", two.PID()), path} {
		want(t, "ls --namespace "+name, g.rows(t, "ls", "--namespace", name, "-o", "key"),
			fmt.Sprint([]row{{"key": "0x00000020"}, {"key": "0x00000021"}}))
	}
	want(t, "show", g.show(t, "shm:0x10", "--namespace", fmt.Sprint(one.PID())).only("key", "nattch"), `{"key":"0x00000010","nattch":0}`)

	// List all namespaces at once; each row names its own. Other tests have namespaces too.
	where := make(map[uint64][]any)
	for _, r := range g.rows(t, "ls", "--all-namespaces", "-m", "-o", "key", "--sort", "key") {
		where[inodeOf(r)] = append(where[inodeOf(r)], r["key"])
	}
	want(t, "own", where[own.Ino], "[0x00000001]")
	want(t, "one", where[one.inode], "[0x00000010]")
	want(t, "two", where[two.inode], "[0x00000020 0x00000021]")

	// A removal affects only the selected namespace.
	g.prints(t, "rm", "shm:0x20", "--namespace", fmt.Sprint(two.inode))
	want(t, "the rest", g.rows(t, "ls", "--namespace", path, "-o", "key"), fmt.Sprint([]row{{"key": "0x00000021"}}))
	_, said, status := g.run(t, "rm", "shm:0x1", "--namespace", fmt.Sprint(one.PID()))
	want(t, "a segment of another namespace", fmt.Sprint(status, " ", said), "1 gipcs: there is no shared memory segment with key 0x00000001\n")
	for name, want := range map[string]string{
		"4194303":    "gipcs: there is no process 4194303\n",
		"4294967295": "gipcs: no visible process is in the IPC namespace 4294967295\n",
		"./nosuch":   "gipcs: stat ./nosuch: no such file or directory\n",
	} {
		if _, said, status := g.run(t, "ls", "--namespace", name); status != 1 || said != want {
			t.Errorf("ls --namespace %s: exit status %d: %s, want %s", name, status, said, want)
		}
	}
	check(t, unix.Unmount(path, 0))
	one.End()
	two.End()
	g.prints(t, "rm", "shm:0x1")
}

// testClosedNamespaces: a user who may not enter some namespaces is told how many, and sees
// the rest.
func testClosedNamespaces(t *testing.T, g gipcs) {
	user := g.as(t, nobody())
	user.prints(t, "mk", "-M", "4096", "-k", "0x1")
	// The first namespace has a process of the user, who therefore sees it; the second one
	// has only a process of root.
	theirs := newElsewhere(t, g, 0x10, 1, nobody())
	roots := newElsewhere(t, g, 0x20, 2, nil)

	for _, args := range [][]string{{"ns"}, {"ls", "-m", "--all-namespaces"}} {
		_, said, status := user.run(t, args...)
		want(t, args[0]+": status", status, 0)
		var closed, all, hidden int
		if _, err := fmt.Sscanf(said, "gipcs: %d of %d namespaces could not be entered: that takes CAP_SYS_ADMIN, or --namespace if you created their user namespace\n"+
			"gipcs: %d processes could not be inspected: ", &closed, &all, &hidden); err != nil || closed < 1 || closed != all-1 || hidden == 0 {
			t.Errorf("%v says %q: %v; want all but one closed, and hidden processes", args, said, err)
		}
	}
	seen := make(map[uint64]string)
	for _, r := range user.rows(t, "ns") {
		seen[inodeOf(r)] = r.only("own", "segments", "pid")
	}
	want(t, "theirs", seen[theirs.inode], fmt.Sprintf(`{"own":false,"pid":%d,"segments":null}`, theirs.PID()))
	want(t, "root's", seen[roots.inode], "")
	want(t, "listed", len(user.rows(t, "ls", "-m", "--all-namespaces", "-o", "key")), 1)

	for name, want := range map[string]string{
		fmt.Sprint(theirs.PID()): "operation not permitted",
		fmt.Sprint(roots.PID()):  "permission denied",
	} {
		if _, said, status := user.run(t, "ls", "--namespace", name); status != 1 || !strings.Contains(said, want) || strings.Count(said, "\n") != 1 {
			t.Errorf("ls --namespace: exit status %d: %s, want a line with %s", status, said, want)
		}
	}
	theirs.End()
	roots.End()
	user.prints(t, "rm", "shm:0x1")
}
