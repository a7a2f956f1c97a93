package integration_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// cleanPolicy removes everything that makeCleanable makes for a user.
const cleanPolicy = `
log = "DIR/log"
lock = "DIR/lock"
[backup]
directory = "DIR/saved"
[[rule]]
name = "all"
select = "owner-gone"
owners = ["UID"]
`

// cleanUID returns the owner of the objects to remove. It and the 63 users after it have no
// other processes, even if another run of this test is active.
func cleanUID() int { return 1<<20 + 64*os.Getpid() }

// writeCleanPolicy writes cleanPolicy for a user into dir, where the log and backups go,
// too.
func writeCleanPolicy(t *testing.T, dir string, uid int) (path string) {
	t.Helper()
	path = filepath.Join(dir, "policy.toml")
	writeFile(t, path, strings.NewReplacer("DIR", dir, "UID", strconv.Itoa(uid)).Replace(cleanPolicy))
	check(t, os.Chmod(path, 0o600))
	return path
}

// playMakeCleanable makes objects of each System V kind, each with contents of its own,
// and prints their names.
func playMakeCleanable(args []string) error {
	n, err := strconv.Atoi(args[0])
	for i := 0; err == nil && i < n; i++ {
		seg, errSeg := sysv.CreateSegment(sysv.Private, 100+int64(i), nil)
		set, errSet := sysv.CreateSetWith(sysv.Private, []uint16{uint16(i)}, nil)
		queue, errQueue := sysv.CreateQueue(sysv.Private, nil)
		err = errors.Join(errSeg, errSet, errQueue)
		fmt.Printf("shm:%d\nsem:%d\nmsg:%d\n", seg, set, queue)
	}
	return err
}

// makeCleanable starts a process of a user, which makes n objects of each System V kind and
// ends. It returns their names.
func makeCleanable(t *testing.T, uid, n int) (names []string) {
	t.Helper()
	p := ipctest.Start(t, "make cleanable", &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}, strconv.Itoa(n))
	return strings.Fields(p.Wait())
}

// existing returns the names of all objects that a user has made.
func existing(t *testing.T, uid int) (names []string) {
	t.Helper()
	for _, info := range collect(t, sysv.Segments()) {
		names = append(names, fmt.Sprintf("%d shm:%d", info.CUID, info.ID))
	}
	for _, info := range collect(t, sysv.Sets()) {
		names = append(names, fmt.Sprintf("%d sem:%d", info.CUID, info.ID))
	}
	for _, info := range collect(t, sysv.Queues()) {
		names = append(names, fmt.Sprintf("%d msg:%d", info.CUID, info.ID))
	}
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, strconv.Itoa(uid)+" ") })
}

// TestCleanKilled kills clean-ups at random moments, and lets a second run finish each.
// Then every object must be gone and in exactly one backup, and the log must be whole.
//
// gipcs waits two seconds before it removes objects that were made or used just now. To
// save time, several rounds, each with its own user, make their objects first; then all are
// killed, then all are finished.
func TestCleanKilled(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	k := cleanKills{gipcs: filepath.Join(install(t, "gipcs"), "gipcs"), within: 20 * time.Millisecond}
	inNamespace(t)
	t.Cleanup(func() { removeSystemV(t) }) // what a failure leaves
	const atOnce = 30
	batch := make([]cleanKill, 0, atOnce)
	for round := range ipctest.Rounds(t, atOnce, 1) {
		uid := cleanUID() + len(batch)
		dir := t.TempDir()
		batch = append(batch, cleanKill{round, uid, dir, writeCleanPolicy(t, dir, uid), makeCleanable(t, uid, cleanEach)})
		if len(batch) == atOnce {
			k.run(t, batch)
			batch = batch[:0]
		}
	}
	k.run(t, batch)
	t.Logf("killed half-way %d times; the next run had something to finish %d times", k.halfWay, k.resumed)
	if !testing.Short() && (k.halfWay == 0 || k.resumed == 0) {
		t.Error("no kill hit anything")
	}
}

// cleanEach is how many objects of each kind a run has to remove.
const cleanEach = 4

// A cleanKill is a round of TestCleanKilled.
type cleanKill struct {
	round, uid  int
	dir, policy string
	made        []string
}

// cleanKills runs the rounds of TestCleanKilled.
type cleanKills struct {
	gipcs            string
	within           time.Duration // the longest time from the first saved object to the kill
	halfWay, resumed int
}

func (k *cleanKills) run(t *testing.T, batch []cleanKill) {
	t.Helper()
	for i := range batch {
		k.kill(t, &batch[i])
	}
	for i := range batch {
		k.finish(t, &batch[i])
	}
}

func (k *cleanKills) kill(t *testing.T, r *cleanKill) {
	t.Helper()
	cmd := exec.Command(k.gipcs, "clean", "--policy", r.policy, "--yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	check(t, cmd.Start())
	awaitSaved(r.dir, cmd)
	time.Sleep(rand.N(k.within))
	kill(t, cmd)
	switch left := len(existing(t, r.uid)); {
	case left == 0:
		k.within = max(k.within*7/8, time.Millisecond)
	case left == len(r.made):
		k.within = min(k.within*8/7, time.Second)
	default:
		k.halfWay++
	}
}

func (k *cleanKills) finish(t *testing.T, r *cleanKill) {
	t.Helper()
	said, err := exec.Command(k.gipcs, "clean", "--policy", r.policy, "--yes").CombinedOutput()
	if err != nil {
		t.Fatalf("round %d: %v: %s", r.round, err, said)
	}
	if strings.Contains(string(said), "was killed") {
		k.resumed++
	}
	want(t, "left", fmt.Sprint(existing(t, r.uid)), "[]")
	checkCleaned(t, r.round, r.dir, r.made)
	if t.Failed() {
		t.Fatalf("the next run said %s", said)
	}
	check(t, os.RemoveAll(r.dir))
}

// removeSystemV removes all objects of the namespace.
func removeSystemV(t *testing.T) {
	t.Helper()
	for _, info := range collect(t, sysv.Segments()) {
		check(t, sysv.Segment(info.ID).Remove())
	}
	for _, info := range collect(t, sysv.Sets()) {
		check(t, sysv.Set(info.ID).Remove())
	}
	for _, info := range collect(t, sysv.Queues()) {
		check(t, sysv.Queue(info.ID).Remove())
	}
}

// awaitSaved waits until the run has saved its first object, or has ended.
func awaitSaved(dir string, cmd *exec.Cmd) {
	for range 10000 {
		saved, _ := filepath.Glob(filepath.Join(dir, "saved", "*", "*"))
		if len(saved) > 0 || unix.Kill(cmd.Process.Pid, 0) != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// checkCleaned checks that each object is in one backup, that the backups hold nothing
// else, and that each line of the log is whole. If the log has "removing" for an object
// that was then not removed, another line must say so.
func checkCleaned(t *testing.T, round int, dir string, made []string) {
	t.Helper()
	var saved []string
	files, err := filepath.Glob(filepath.Join(dir, "saved", "*", "*"))
	check(t, err)
	for _, file := range files {
		base, isEntry := strings.CutSuffix(filepath.Base(file), ".json")
		switch kind, id, ok := strings.Cut(base, "-"); {
		case isEntry && ok:
			saved = append(saved, kind+":"+id)
		case !strings.HasSuffix(file, ".data"):
			t.Errorf("round %d: %s", round, file)
		}
	}
	slices.Sort(saved)
	slices.Sort(made)
	want(t, fmt.Sprintf("round %d: saved", round), fmt.Sprint(saved), fmt.Sprint(made))
	unfinished, _ := filepath.Glob(filepath.Join(dir, "saved", "*.unfinished"))
	want(t, "unfinished", len(unfinished), 0)
	text, err := os.ReadFile(filepath.Join(dir, "log"))
	check(t, err)
	open := make(map[string]int)
	for l := range strings.Lines(string(text)) {
		var line struct {
			Event, Kind, Policy, Rule string
			ID                        int
		}
		if err := json.Unmarshal([]byte(l), &line); err != nil || !strings.HasSuffix(l, "\n") || line.Rule != "all" {
			t.Fatalf("round %d: the log has the line %q: %v", round, l, err)
		}
		name := fmt.Sprintf("%s:%d", line.Kind, line.ID)
		if line.Event == "removing" {
			open[name]++
		} else {
			open[name]--
		}
	}
	for _, name := range made {
		want(t, fmt.Sprintf("round %d: removals of %s in the log\n%s", round, name, text), open[name], 1)
	}
}

// TestCleanTerminated: at SIGTERM a clean-up finishes the current object, sums up, and
// exits with 1.
func TestCleanTerminated(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	gipcs := filepath.Join(install(t, "gipcs"), "gipcs")
	inNamespace(t)
	dir := t.TempDir()
	policy := writeCleanPolicy(t, dir, cleanUID())
	made := makeCleanable(t, cleanUID(), 100)
	p := start(t, gipcs, "clean", "--policy", policy, "--yes")
	awaitSaved(dir, p.cmd)
	p.signal(unix.SIGTERM)
	said := p.ends(1)
	left := len(existing(t, cleanUID()))
	if left == 0 || left == len(made) {
		t.Errorf("%d of %d objects are left", left, len(made))
	}
	if !strings.HasPrefix(said, fmt.Sprintf("interrupted: removed %d object", len(made)-left)) ||
		!strings.Contains(said, fmt.Sprintf(", left %d for the next run, ", left)) {
		t.Errorf("with %d left it said %q", left, said)
	}
	want(t, "the next run", exec.Command(gipcs, "clean", "--policy", policy, "--yes", "--quiet").Run(), nil)
	want(t, "left", len(existing(t, cleanUID())), 0)
	checkCleaned(t, 0, dir, made)
}
