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

// cleanPolicy removes everything that makeCleanable makes.
const cleanPolicy = `
log = "DIR/log"
lock = "DIR/lock"
[backup]
directory = "DIR/saved"
[[rule]]
name = "all"
select = "owner-gone"
owners = ["54321"]
`

// cleanUID owns the objects to remove. It has no other process.
const cleanUID = 54321

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

// makeCleanable lets a process that ends make n objects of each System V kind, and
// returns their names.
func makeCleanable(t *testing.T, n int) (names []string) {
	t.Helper()
	p := ipctest.Start(t, "make cleanable", &syscall.Credential{Uid: cleanUID, Gid: cleanUID}, strconv.Itoa(n))
	return strings.Fields(p.Wait())
}

// existing returns the names of all objects.
func existing(t *testing.T) (names []string) {
	t.Helper()
	for _, info := range collect(t, sysv.Segments()) {
		names = append(names, fmt.Sprintf("shm:%d", info.ID))
	}
	for _, info := range collect(t, sysv.Sets()) {
		want(t, "mode of a set", uint32(info.Mode), uint32(0o600))
		names = append(names, fmt.Sprintf("sem:%d", info.ID))
	}
	for _, info := range collect(t, sysv.Queues()) {
		want(t, "mode of a queue", uint32(info.Mode), uint32(0o600))
		names = append(names, fmt.Sprintf("msg:%d", info.ID))
	}
	return names
}

// TestCleanKilled kills a clean-up at random moments. After the next one, which finishes
// it, the log is whole, and exactly the objects that are gone are in a backup.
func TestCleanKilled(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	gipcs := filepath.Join(install(t, "gipcs"), "gipcs")
	inNamespace(t)
	halfWay, resumed := 0, 0
	within := 100 * time.Millisecond
	const each = 4
	for round := range ipctest.Rounds(t, 20, 1) {
		dir := t.TempDir()
		policy := filepath.Join(dir, "policy.toml")
		writeFile(t, policy, strings.ReplaceAll(cleanPolicy, "DIR", dir))
		check(t, os.Chmod(policy, 0o600))
		made := makeCleanable(t, each)
		cmd := exec.Command(gipcs, "clean", "--policy", policy, "--yes")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
		check(t, cmd.Start())
		// The objects settle for two seconds; the rest is what can be hit.
		awaitSaved(dir, cmd)
		time.Sleep(rand.N(within))
		kill(t, cmd)
		switch left := len(existingNames(t)); {
		case left == 0:
			within = max(within*7/8, time.Millisecond)
		case left == 3*each:
			within = min(within*8/7, time.Second)
		default:
			halfWay++
		}
		said, err := exec.Command(gipcs, "clean", "--policy", policy, "--yes").CombinedOutput()
		if err != nil {
			t.Fatalf("round %d: %v: %s", round, err, said)
		}
		if strings.Contains(string(said), "was killed") {
			resumed++
		}
		want(t, "left", len(existing(t)), 0)
		checkCleaned(t, round, dir, made)
		if t.Failed() {
			t.Fatalf("the next run said %s", said)
		}
		check(t, os.RemoveAll(dir))
	}
	t.Logf("killed half-way %d times; the next run had something to finish %d times", halfWay, resumed)
	if !testing.Short() && (halfWay == 0 || resumed == 0) {
		t.Error("no kill hit anything")
	}
}

func existingNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, info := range collect(t, sysv.Segments()) {
		names = append(names, fmt.Sprint(info.ID))
	}
	for _, info := range collect(t, sysv.Sets()) {
		names = append(names, fmt.Sprint(info.ID))
	}
	for _, info := range collect(t, sysv.Queues()) {
		names = append(names, fmt.Sprint(info.ID))
	}
	return names
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

// checkCleaned: each object is in one backup, there is nothing else in the backups, and
// each line of the log is whole. An object whose removal was logged and which was not
// removed has a line that says so.
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
	policy := filepath.Join(dir, "policy.toml")
	writeFile(t, policy, strings.ReplaceAll(cleanPolicy, "DIR", dir))
	check(t, os.Chmod(policy, 0o600))
	made := makeCleanable(t, 100)
	p := start(t, gipcs, "clean", "--policy", policy, "--yes")
	awaitSaved(dir, p.cmd)
	p.signal(unix.SIGTERM)
	said := p.ends(1)
	left := len(existingNames(t))
	if left == 0 || left == len(made) {
		t.Errorf("%d of %d objects are left", left, len(made))
	}
	if !strings.HasPrefix(said, fmt.Sprintf("interrupted: removed %d object", len(made)-left)) ||
		!strings.Contains(said, fmt.Sprintf(", left %d for the next run, ", left)) {
		t.Errorf("with %d left it said %q", left, said)
	}
	want(t, "the next run", exec.Command(gipcs, "clean", "--policy", policy, "--yes", "--quiet").Run(), nil)
	want(t, "left", len(existing(t)), 0)
	checkCleaned(t, 0, dir, made)
}
