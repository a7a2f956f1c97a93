package integration_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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

// take takes a snapshot and returns its path and its header.
func (g gipcs) take(t *testing.T, name string, flags ...string) (path string, header map[string]any) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	g.prints(t, slices.Concat([]string{"snapshot", path}, flags)...)
	text, err := os.ReadFile(path)
	check(t, err)
	first, _, _ := bytes.Cut(text, []byte("\n"))
	check(t, json.Unmarshal(first, &header))
	return path, header
}

// TestLeak: two programs leak, a third one does not. gipcs diff names both, and says how
// fast they leak.
func TestLeak(t *testing.T) {
	inNamespace(t)
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip(err)
	}
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	leaker := ipctest.Compile(t, "peers/leaker.c")
	inC := ipctest.Run(t, leaker, "65536")
	inPython := ipctest.Run(t, "python3", "peers/leaker.py", "8192")
	steady := ipctest.Run(t, leaker, "4096")
	leak := func(p *ipctest.Process, n int) {
		for range n {
			p.Tell("")
			id, err := strconv.Atoi(p.Line())
			check(t, err)
			t.Cleanup(func() { check(t, sysv.Segment(id).Remove()) })
		}
	}
	leak(inC, 1)
	leak(inPython, 2)
	leak(steady, 3)
	before, from := g.take(t, "before")
	leak(inC, 40)
	leak(inPython, 5)
	after, to := g.take(t, "after")
	seconds := to["boottime"].(float64) - from["boottime"].(float64)

	wanted := []map[string]float64{
		{"came": 40, "went": 0, "objects": 44, "objects_change": 40, "bytes": 41*65536 + 3*4096, "bytes_change": 40 * 65536},
		{"came": 5, "went": 0, "objects": 7, "objects_change": 5, "bytes": 7 * 8192, "bytes_change": 5 * 8192},
	}
	sums := g.rows(t, "diff", before, after, "--by", "program")
	if len(sums) != len(wanted) {
		t.Fatalf("%d programs, want %d: %v", len(sums), len(wanted), sums)
	}
	for i, program := range []string{filepath.Base(leaker), "pyleaker"} {
		want(t, "program", sums[i]["program"], program)
		for name, n := range wanted[i] {
			want(t, program+": "+name, sums[i][name], n)
		}
		for _, name := range []string{"objects", "bytes"} {
			rate := wanted[i][name+"_change"] / seconds * 3600
			if got := sums[i][name+"_per_hour"].(float64); math.Abs(got-rate) > rate/1e6+1 {
				t.Errorf("%s: %v %s an hour, want %v", program, got, name, rate)
			}
		}
	}
	// After the program has ended, gipcs diff still knows its segments by their creator's
	// pid.
	inC.Kill()
	sums = g.rows(t, "diff", before, "--by", "program")
	want(t, "programs", len(sums), 2)
	want(t, "program that has ended", fmt.Sprint(sums[0]["program"], " ", sums[0]["came"]), filepath.Base(leaker)+" 40")
	inPython.End()
	steady.End()
}

// TestReusedID: an identifier is used again, and gipcs diff says that the object is
// another one.
func TestReusedID(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	old, err := sysv.CreateSegment(0x4d2, 4096, nil)
	check(t, err)
	queue, err := sysv.CreateQueue(0x4d3, nil)
	check(t, err)
	set, err := sysv.CreateSet(0x4d4, 2, nil)
	check(t, err)
	check(t, set.SetValue(0, 1)) // changes ctime, though it is still the same set
	before, _ := g.take(t, "before")
	made, err := old.Stat()
	check(t, err)

	check(t, old.Remove())
	err = os.WriteFile("/proc/sys/kernel/shm_next_id", []byte(strconv.Itoa(int(old))), 0)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("kernel without checkpoint and restore: %v", err)
	}
	check(t, err)
	// Wait until the kernel's clock for ctime, which lags behind time.Now, has advanced.
	check(t, eventually(func() bool {
		check(t, set.SetValue(0, 1))
		now, err := set.Stat()
		check(t, err)
		return now.CTime.After(made.CTime)
	}))
	again, err := sysv.CreateSegment(0x4d2, 4096, nil)
	check(t, err)
	want(t, "identifier", again, old)
	check(t, set.SetValue(0, 2))
	check(t, queue.Send(t.Context(), 1, []byte("text")))

	var got []string
	for _, row := range g.rows(t, "diff", before) {
		got = append(got, fmt.Sprintf("%v %v:%v %v", row["change"], row["kind"], row["id"], row["size_change"]))
	}
	want(t, "changes", strings.Join(got, ", "), fmt.Sprintf("came shm:%d 4096, grew msg:%d 4, went shm:%d -4096", again, queue, old))
	check(t, errors.Join(again.Remove(), queue.Remove(), set.Remove()))
}

// TestSnapshotPostgreSQL restarts a server between two snapshots. gipcs diff must list its
// old objects as gone and its new ones as come, and attribute both to PostgreSQL.
func TestSnapshotPostgreSQL(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	inNamespace(t)
	p := newPostgres(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	stop := func() {
		check(t, p.server.Process.Signal(unix.SIGINT)) // a fast shutdown, which leaves nothing
		check(t, p.server.Wait())
	}
	objects := func() (list []string) {
		for _, row := range g.rows(t, "ls", "-o", "kind,id,name") {
			list = append(list, fmt.Sprint(row["kind"], row["id"], row["name"]))
		}
		slices.Sort(list)
		return list
	}
	p.start(t)
	before, _ := g.take(t, "before")
	had := objects()
	stop()
	p.start(t)
	has := objects()
	rows := g.rows(t, "diff", before)
	sums := g.rows(t, "diff", before, "--by", "program")
	stop()

	changes := map[any][]string{}
	for _, row := range rows {
		changes[row["change"]] = append(changes[row["change"]], fmt.Sprint(row["kind"], row["id"], row["name"]))
		if row["kind"] == "shm" {
			want(t, "program of a segment", row["program"], "PostgreSQL")
		}
	}
	for _, list := range changes {
		slices.Sort(list)
	}
	want(t, "went", changes["went"], had)
	want(t, "came", changes["came"], has)
	i := slices.IndexFunc(sums, func(r row) bool { return r["program"] == "PostgreSQL" })
	if i < 0 || sums[i]["came"] == 0.0 || sums[i]["went"] == 0.0 {
		t.Errorf("sums %v, want PostgreSQL's to have come and gone", sums)
	}
}

// TestSnapshotKilled: whenever gipcs snapshot is killed, it leaves one complete snapshot,
// the old one or the new one, and no other file.
func TestSnapshotKilled(t *testing.T) {
	inNamespace(t)
	g := gipcs{filepath.Join(install(t, "gipcs"), "gipcs")}
	segment, err := sysv.CreateSegment(0x4d2, 4096, nil)
	check(t, err)
	dir := t.TempDir()
	path := filepath.Join(dir, "snapshot.gz")
	begun := time.Now()
	g.prints(t, "snapshot", path)
	usual := time.Since(begun)
	for range ipctest.Rounds(t, 20, 1) {
		cmd := g.command("snapshot", path)
		check(t, cmd.Start())
		time.Sleep(rand.N(usual)) // any moment will do
		check(t, cmd.Process.Signal(syscall.SIGKILL))
		_ = cmd.Wait()
		files, err := filepath.Glob(filepath.Join(dir, "snapshot*"))
		check(t, err)
		want(t, "files", files, []string{path})
		want(t, "changes", g.rows(t, "diff", path), "[]")
		wantComplete(t, g, dir)
	}
	check(t, segment.Remove())
}

// wantComplete removes the files that processes left that were killed just before they
// renamed them. Each holds a whole snapshot.
func wantComplete(t *testing.T, g gipcs, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	check(t, err)
	for _, file := range left {
		want(t, "changes since "+file, g.rows(t, "diff", file), "[]")
		check(t, os.Remove(file))
	}
}

// TestSnapshotJSON compares the lines of a snapshot, and what gipcs diff prints, with
// docs/json.md.
func TestSnapshotJSON(t *testing.T) {
	inNamespace(t)
	bin := install(t, "gipcs")
	g := gipcs{filepath.Join(bin, "gipcs")}
	before, _ := g.take(t, "before")
	oneOfEach(t)
	check(t, sysv.Queue(0).Send(t.Context(), 1, []byte("text")))
	after, header := g.take(t, "after")
	tables := readTables(t)
	checkFields(t, "gipcs snapshot", tables["gipcs snapshot"], "", header)

	text, err := os.ReadFile(after)
	check(t, err)
	objects := slices.DeleteFunc(slices.Clone(tables["gipcs ls"]), func(f documented) bool {
		return slices.Contains([]string{"rss", "swap", "reasons"}, f.name)
	})
	for line := range strings.Lines(string(text[bytes.IndexByte(text, '\n')+1:])) {
		var object map[string]any
		check(t, json.Unmarshal([]byte(line), &object))
		checkFields(t, "a line of a snapshot", objects, object["kind"].(string), object)
	}
	changes := decode[[]map[string]any](t, bin, "gipcs diff --json "+before+" "+after)
	want(t, "changes", len(changes), 6)
	for _, object := range changes {
		checkFields(t, "gipcs diff", tables["gipcs diff"], object["kind"].(string), object)
	}
	for _, object := range decode[[]map[string]any](t, bin, "gipcs diff --json --by kind "+before+" "+after) {
		delete(object, "kind") // named by --by
		checkFields(t, "gipcs diff --by", tables["gipcs diff --by"], "", object)
	}
}
