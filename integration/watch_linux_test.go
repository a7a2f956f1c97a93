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

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/sysv"
)

// An observer is a gipcs watch that runs.
type observer struct {
	*ipctest.Process
	t *testing.T
}

// observe starts gipcs watch, and waits until it has looked for the first time.
func (g gipcs) observe(t *testing.T, flags ...string) *observer {
	t.Helper()
	marker, err := sysv.CreateQueue(sysv.Private, nil)
	check(t, err)
	args := slices.Concat(g[1:], []string{"watch", "--initial", "--interval", "20ms", "--format", "ndjson"}, flags)
	w := &observer{ipctest.Run(t, g[0], args...), t}
	w.next("present", fmt.Sprint("msg:", int(marker)))
	check(t, marker.Remove())
	w.next("removed", fmt.Sprint("msg:", int(marker)))
	return w
}

// event returns the next event.
func (w *observer) event() (e row) {
	w.t.Helper()
	check(w.t, json.Unmarshal([]byte(w.Line()), &e))
	return e
}

// object returns the REF of an event's object.
func (r row) object() string {
	if r["id"] != nil {
		return fmt.Sprintf("%v:%.0f", r["kind"], r["id"])
	}
	return fmt.Sprint(r["kind"], ":", r["name"])
}

// next returns the next event of a kind about an object, and skips others.
func (w *observer) next(event, object string) row {
	w.t.Helper()
	for {
		if e := w.event(); e["event"] == event && e.object() == object {
			return e
		}
	}
}

// stop ends gipcs watch with a signal, and returns the events until then.
func (w *observer) stop(s os.Signal) (list []row) {
	w.t.Helper()
	p, err := os.FindProcess(w.PID())
	check(w.t, errors.Join(err, p.Signal(s)))
	for line := range strings.Lines(w.Wait()) {
		var e row
		check(w.t, json.Unmarshal([]byte(line), &e))
		list = append(list, e)
	}
	return list
}

// TestWatch: every event is reported, and as docs/json.md says.
func TestWatch(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	table := readTables(t)["gipcs watch"]
	w := g.observe(t, "--events", "+verdict", "--wait", "100ms", "--limit", "90", "--ignore-hidden")
	next := func(event, object string) row {
		t.Helper()
		e := w.next(event, object)
		kind, _, _ := strings.Cut(object, ":")
		checkFields(t, "gipcs watch", table, kind, e)
		return e
	}

	segment, err := sysv.CreateSegment(0x4d2, 4096, nil)
	check(t, err)
	e := next("made", "shm:0")
	want(t, "maker", fmt.Sprint(e["pid"], e["role"], e["state"], e["key"], e["size"]), fmt.Sprint(os.Getpid(), "creator", "alive", "0x000004d2", 4096))
	mem, err := segment.Attach(nil)
	check(t, err)
	e = next("attached", "shm:0")
	want(t, "attachments", fmt.Sprint(e["nattch_before"], e["nattch"], e["pid"], e["role"]), fmt.Sprint("0 1 ", os.Getpid(), "last user"))
	check(t, segment.Remove())
	next("marked", "shm:0")
	check(t, mem.Detach())
	e = next("removed", "shm:0")
	want(t, "who removed it", e["pid"], nil)

	set, err := sysv.CreateSet(sysv.Private, 2, nil)
	check(t, err)
	next("made", "sem:0")
	check(t, set.Remove())
	next("removed", "sem:0")
	onePOSIX(t, next)
	checkWait(t, next)
	checkLimit(t, w, table)
	if rest := w.stop(syscall.SIGINT); len(rest) > 0 {
		t.Errorf("after all: %v", rest)
	}
}

func onePOSIX(t *testing.T, next func(event, object string) row) {
	t.Helper()
	object, err := posix.CreateObject("/x", 4096, nil)
	check(t, errors.Join(err, object.Close()))
	want(t, "source", next("made", "pshm:/x")["source"], "inotify")
	semaphore, err := posix.CreateSemaphore("/x", 1, nil)
	check(t, errors.Join(err, semaphore.Close()))
	next("made", "psem:/x")
	queue, err := posix.CreateQueue("/x", nil)
	check(t, errors.Join(err, queue.Close()))
	next("made", "pmsg:/x")
	check(t, errors.Join(posix.UnlinkObject("/x"), posix.UnlinkSemaphore("/x"), posix.UnlinkQueue("/x")))
	next("removed", "pshm:/x")
	next("removed", "psem:/x")
	next("removed", "pmsg:/x")
}

// checkWait: a thread that waits for long is reported with the likely holder.
func checkWait(t *testing.T, next func(event, object string) row) {
	t.Helper()
	set, err := sysv.CreateSet(sysv.Private, 3, nil)
	check(t, err)
	check(t, set.SetValue(1, 0))
	name := fmt.Sprint("sem:", int(set))
	p := ipctest.Run(t, "python3", "-c", fmt.Sprintf(`
import ctypes, struct
print(flush=True)
ctypes.CDLL(None).semop(%d, struct.pack("Hhh", 1, -1, 0), 1)`, int(set)))
	p.Line()
	e := next("waiting", name)
	want(t, "waiter", fmt.Sprint(e["pid"], e["tid"], e["semaphore"], e["likely_holder"]), fmt.Sprint(p.PID(), p.PID(), 1, os.Getpid()))
	p.Kill()
	check(t, set.Remove())
	next("removed", name)
}

// checkLimit: a limit is reported when it becomes high, and when it is not high any more.
func checkLimit(t *testing.T, w *observer, table []documented) {
	t.Helper()
	check(t, os.WriteFile("/proc/sys/kernel/msgmni", []byte("2"), 0))
	var queues []sysv.Queue
	for range 2 {
		q, err := sysv.CreateQueue(sysv.Private, nil)
		check(t, err)
		queues = append(queues, q)
	}
	limit := func(high bool) {
		t.Helper()
		for {
			if e := w.event(); e["event"] == "limit" && e["limit"] == "MSGMNI" {
				checkFields(t, "gipcs watch", withoutKinds(table), "msg", e)
				want(t, "high", e["high"], high)
				return
			}
		}
	}
	limit(true)
	for _, q := range queues {
		check(t, q.Remove())
	}
	limit(false)
}

// withoutKinds returns the fields of an event that is about no object.
func withoutKinds(table []documented) (list []documented) {
	for _, f := range table {
		f.kinds = "all"
		list = append(list, f)
	}
	return list
}

// TestWatchReused: an identifier that is used again at once is told by what differs.
func TestWatchReused(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	if _, err := os.Stat("/proc/sys/kernel/shm_next_id"); err != nil {
		t.Skipf("kernel without checkpoint and restore: %v", err)
	}
	old, err := sysv.CreateSegment(0x4d2, 4096, nil)
	check(t, err)
	w := g.observe(t)
	p, err := os.FindProcess(w.PID())
	check(t, errors.Join(err, p.Signal(syscall.SIGSTOP))) // so that no look falls in between
	check(t, old.Remove())
	check(t, os.WriteFile("/proc/sys/kernel/shm_next_id", []byte(strconv.Itoa(int(old))), 0))
	again, err := sysv.CreateSegment(0x4d3, 4096, nil)
	check(t, err)
	want(t, "identifier", again, old)
	check(t, p.Signal(syscall.SIGCONT))
	w.next("removed", "shm:0")
	want(t, "key of the new one", w.next("made", "shm:0")["key"], "0x000004d3")
	check(t, again.Remove())
	w.stop(syscall.SIGTERM)
}

// TestWatchShortLived: POSIX objects that live for less than the interval are reported.
// Python makes its semaphores like that.
func TestWatchShortLived(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	w := g.observe(t, "--interval", "1s")
	const rounds = 100
	for i := range rounds {
		name := fmt.Sprint("/short-", i)
		o, err := posix.CreateObject(name, 4096, nil)
		check(t, errors.Join(err, o.Close(), posix.UnlinkObject(name)))
	}
	for i := range rounds {
		for _, event := range []string{"made", "removed"} {
			e := w.event()
			want(t, "event", fmt.Sprint(e["event"], e.object()), fmt.Sprint(event, "pshm:/short-", i))
		}
	}
	w.stop(syscall.SIGTERM)
}

// TestWatchSelection: the conditions of ls select events, too.
func TestWatchSelection(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	w := g.observe(t, "--where", `size == 8192 || kind == "msg"`, "--events", "present,made,removed")
	small, err := sysv.CreateSegment(sysv.Private, 4096, nil)
	check(t, err)
	large, err := sysv.CreateSegment(sysv.Private, 8192, nil)
	check(t, err)
	mem, err := large.Attach(nil)
	check(t, errors.Join(err, mem.Detach()))
	want(t, "selected", w.event().object(), fmt.Sprint("shm:", int(large)))
	check(t, errors.Join(small.Remove(), large.Remove()))
	want(t, "selected", w.event().object(), fmt.Sprint("shm:", int(large)))
	w.stop(syscall.SIGTERM)

	w = g.observe(t, "--where", `name startsWith "/a" || kind == "msg"`)
	for _, name := range []string{"/b", "/a"} {
		o, err := posix.CreateObject(name, 1, nil)
		check(t, errors.Join(err, o.Close(), posix.UnlinkObject(name)))
	}
	want(t, "selected", w.event().object(), "pshm:/a")
	w.stop(syscall.SIGTERM)
}

// TestWatchNamespace: -N watches another namespace, and nothing else.
func TestWatchNamespace(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	there := ipctest.Run(t, "unshare", "-i", "sh", "-c", "ipcmk -M 4096 >&2; echo; read x; ipcmk -M 8192 >&2; read x; true")
	there.Line()
	w := &observer{ipctest.Run(t, g[0], "watch", "-N", fmt.Sprint(there.PID()), "--kind", "shm", "--initial", "--interval", "20ms", "--format", "ndjson"), t}
	want(t, "size of the first one", w.next("present", "shm:0")["size"], 4096.0)
	here, err := sysv.CreateSegment(sysv.Private, 100, nil)
	check(t, err)
	there.Tell("")
	e := w.event()
	want(t, "the next event", fmt.Sprint(e["event"], e["size"]), "made8192")
	check(t, here.Remove())
	w.stop(syscall.SIGTERM)
	there.End()
}

// TestWatchExec: the program is run for each event in order, --count ends the watch, and
// names that other users choose are no danger.
func TestWatchExec(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	log := filepath.Join(t.TempDir(), "log")
	name := "/$(touch oops)\n\x1b[2J'\""
	w := ipctest.Run(t, g[0], "watch", "--interval", "20ms", "--count", "2", "--kind", "pshm", "--exec", "/bin/sh", "--",
		"-c", `read -r line; printf '%s %s %s\n' "$GIPCS_EVENT" "$GIPCS_NAME" "$line" >>"$1"`, "sh", log)
	check(t, eventually(func() bool { // until gipcs has looked for the first time
		o, err := posix.CreateObject(name, 1, nil)
		check(t, err)
		check(t, errors.Join(o.Close(), posix.UnlinkObject(name)))
		text, _ := os.ReadFile(log)
		return len(text) > 0
	}))
	out := w.Wait()
	if strings.Count(out, "\n") != 2 || strings.ContainsAny(out, "\x1b") {
		t.Errorf("%q", out)
	}
	text, err := os.ReadFile(log)
	check(t, err)
	parts := strings.SplitN(string(text), name+" ", 3)
	if len(parts) != 3 || parts[0] != "made " && parts[0] != "removed " || !strings.HasPrefix(parts[1], `{"time":`) {
		t.Errorf("%q", text)
	}
	if _, err := os.Stat("oops"); err == nil {
		t.Error("a name was run as a command")
	}
}

// TestWatchClosedOutput: gipcs watch ends when its reader has ended.
func TestWatchClosedOutput(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	q, err := sysv.CreateQueue(sysv.Private, nil)
	check(t, err)
	defer func() { check(t, q.Remove()) }()
	r, w, err := os.Pipe()
	check(t, err)
	check(t, r.Close())
	ipctest.AwaitNoReader(t, w)
	cmd := g.command("watch", "--initial")
	cmd.Stdout = w
	err = cmd.Run()
	check(t, w.Close())
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 128+int(syscall.SIGPIPE) {
		t.Errorf("%v", err)
	}
}

// playChurn makes and attaches segments until it is killed, and prints what it made.
func playChurn([]string) error {
	for {
		s, err := sysv.CreateSegment(sysv.Private, 4096, nil)
		if err != nil {
			return err
		}
		fmt.Println(int(s))
		mem, err := s.Attach(nil)
		if err == nil && rand.IntN(2) == 0 {
			err = mem.Detach()
		}
		if err == nil && rand.IntN(3) > 0 {
			err = s.Remove()
		}
		if err != nil && !errors.Is(err, unix.EIDRM) && !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
}

// TestWatchKills: processes that make, attach and remove segments are killed at random.
// Whatever is reported is true: the maker, the order of the events of an object, the number
// of attachments, and the end.
func TestWatchKills(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	w := g.observe(t, "-m", "-q")
	for range ipctest.Rounds(t, 8, 1, w.PID()) {
		p := ipctest.Start(t, "churn", nil)
		printed := make(map[string]bool)
		for range rand.IntN(300) {
			printed["shm:"+p.Line()] = true
		}
		p.Kill()
		for info, err := range sysv.Segments() {
			check(t, errors.Join(err, sysv.Segment(info.ID).Remove()))
		}
		last, err := sysv.CreateQueue(sysv.Private, nil)
		check(t, err)
		w.checkChurn(printed, p.PID(), fmt.Sprint("msg:", int(last)))
		check(t, last.Remove())
		w.next("removed", fmt.Sprint("msg:", int(last)))
	}
	w.stop(syscall.SIGTERM)
}

// checkChurn checks the events up to the making of the object last. All segments are gone
// by then.
func (w *observer) checkChurn(printed map[string]bool, maker int, last string) {
	w.t.Helper()
	made, attachments := make(map[string]bool), make(map[string]float64)
	over := false
	for !over || len(made) > 0 { // the look that finds last may report removals after it
		e := w.event()
		switch name := e.object(); e["event"] {
		case "made":
			if name == last {
				over = true
				break
			}
			want(w.t, name+" made twice", made[name], false)
			made[name], attachments[name] = true, 0
			if printed[name] { // the last lines of a killed process are lost
				want(w.t, name+": maker", e["pid"], float64(maker))
			}
		case "attached", "detached":
			want(w.t, name+": attachments before", e["nattch_before"], attachments[name])
			attachments[name] = e["nattch"].(float64)
		case "removed":
			want(w.t, name+" there before it was removed", made[name], true)
			want(w.t, name+": who removed it", e["pid"], nil)
			delete(made, name)
		}
	}
}
