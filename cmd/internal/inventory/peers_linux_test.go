package inventory

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// A postgres is a server of the test's own, on a socket in its own directory.
type postgres struct {
	t      *testing.T
	bin    string
	dir    string // data directory
	who    *syscall.Credential
	server *exec.Cmd
}

func newPostgres(t *testing.T) *postgres {
	t.Helper()
	ipctest.SkipUnderQEMU(t, "PostgreSQL is a program of this machine")
	if os.Geteuid() != 0 {
		t.Skip("needs root, to run the server as another user")
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		t.Skip("no PostgreSQL: install postgresql")
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		t.Skip(err)
	}
	ids := numbers([]string{who.Uid, who.Gid})
	top, err := os.MkdirTemp("", "gipc-postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	if err := os.Chown(top, ids[0], ids[1]); err != nil {
		t.Fatal(err)
	}
	p := &postgres{
		t: t, bin: filepath.Dir(found[len(found)-1]), dir: filepath.Join(top, "data"),
		who: &syscall.Credential{Uid: uint32(ids[0]), Gid: uint32(ids[1])},
	}
	if out, err := p.command("initdb", "--no-sync", "-A", "trust", "-D", p.dir).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	return p
}

func (p *postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.who}
	cmd.Dir = filepath.Dir(p.dir)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return cmd
}

// start starts the server and waits until it takes connections.
func (p *postgres) start() {
	p.t.Helper()
	socket := filepath.Dir(p.dir)
	p.server = p.command("postgres", "-D", p.dir, "-k", socket, "-c", "listen_addresses=",
		"-c", "shared_memory_type=sysv", "-c", "dynamic_shared_memory_type=sysv", "-c", "shared_buffers=1MB", "-c", "fsync=off")
	out, err := os.Create(filepath.Join(socket, "log"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	p.server.Stdout, p.server.Stderr = out, out
	if err := p.server.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.kill)
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if p.command("pg_isready", "-q", "-h", socket).Run() == nil {
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(out.Name())
			p.t.Fatalf("the server does not start:\n%s", log)
		}
	}
}

// kill kills the server; its children end when they notice.
func (p *postgres) kill() {
	if p.server.ProcessState == nil {
		_ = p.server.Process.Kill()
		_ = p.server.Wait()
	}
}

func segmentsOf(inv *Inventory) (list []*Object) {
	for i := range inv.Objects {
		if o := &inv.Objects[i]; o.Kind == ref.Shm {
			list = append(list, o)
		}
	}
	return list
}

func TestPostgreSQL(t *testing.T) {
	p := newPostgres(t)
	t.Cleanup(func() {
		for _, o := range segmentsOf(collectAll(t, Options{})) {
			remove(t, sysv.Segment(o.ID()))
		}
	})
	p.start()
	// One segment is like those that a child of the server leaves behind. The other is the
	// same of a user who has no server.
	theirs, strangers := leftBy(t, p.who), leftBy(t, nobody)
	p.wantRunning(t, theirs, strangers)
	if err := strangers.Remove(); err != nil {
		t.Fatal(err)
	}
	p.kill()
	p.wantDead(t, theirs)
}

// leftBy returns a segment of a process that ran as a user and has ended.
func leftBy(t *testing.T, who *syscall.Credential) sysv.Segment {
	t.Helper()
	maker := ipctest.Start(t, "make", who)
	ids := numbers(strings.Fields(maker.Line()))
	t.Cleanup(func() { remove(t, sysv.Set(ids[1])); remove(t, sysv.Queue(ids[2])) })
	maker.Kill()
	return sysv.Segment(ids[0])
}

func wantNeverAttached(t *testing.T, segment sysv.Segment) {
	t.Helper()
	if info, err := segment.Stat(); err != nil || !info.ATime.IsZero() {
		t.Errorf("it was attached: %+v, %v", info, err)
	}
}

// wantRunning checks the verdicts while the server runs: what it has attached is in use,
// and what its user has left may be the server's.
func (p *postgres) wantRunning(t *testing.T, theirs, strangers sysv.Segment) {
	t.Helper()
	inUse := func(o *Object) bool {
		return o.Use.Verdict == InUse && o.Use.HiddenAttachments == 0 && outline(o.Use.Program) == "PostgreSQL? "+p.dir // its working directory is no proof
	}
	// The server makes, and ends, processes while it starts.
	running := await(t, Options{Want: everything, Contents: anyObject}, func(inv *Inventory) bool {
		return !slices.ContainsFunc(segmentsOf(inv), func(o *Object) bool { return o.Segment.NAttch > 0 && !inUse(o) })
	})
	main := 0
	for _, o := range segmentsOf(running) {
		switch {
		case o.ID() == int(strangers):
			wantVerdict(t, o, Orphan, "not-attached process-gone age")
		case o.Segment.NAttch == 0: // segments that its own children have left count too
			wantVerdict(t, o, Unknown, codes(o.Use.Reasons))
			if !strings.Contains(codes(o.Use.Reasons), "server-alive") {
				t.Error(dump(o))
			}
		case o.Segment.CPID == p.server.Process.Pid && o.Perm().Key != sysv.Private && len(o.Use.Attached) > 1:
			main++
		}
	}
	wantNeverAttached(t, theirs) // since it was no orphan
	if main == 0 || running.find(ref.Shm, int(theirs)) == nil || running.find(ref.Shm, int(strangers)) == nil {
		t.Fatalf("no segment: %s", dump(running))
	}
}

// wantDead checks what is known of the segments of a server that was killed: from its
// postmaster.pid, and without that from the header in the segment.
func (p *postgres) wantDead(t *testing.T, theirs sysv.Segment) {
	t.Helper()
	o := Options{Want: WantVerdict | WantProgram, DataDirs: []string{p.dir}}
	dead := await(t, o, func(inv *Inventory) bool {
		return !slices.ContainsFunc(segmentsOf(inv), func(o *Object) bool { return o.Use.Verdict != Orphan })
	})
	if len(segmentsOf(dead)) == 0 {
		t.Fatal("it left nothing behind")
	}
	wantProgram := func(how, program string, inv *Inventory, named bool) {
		t.Helper()
		if got := programsOf(inv); slices.Contains(got, program) != named {
			t.Errorf("%s: %q, contains %q: want %v", how, got, program, named)
		}
	}
	wantProgram("by postmaster.pid", "PostgreSQL! "+p.dir, dead, true)
	wantNeverAttached(t, theirs) // since that was not asked for
	if err := os.Remove(filepath.Join(p.dir, "postmaster.pid")); err != nil {
		t.Fatal(err)
	}
	wantProgram("without a look at contents", "PostgreSQL!", collectAll(t, Options{Want: WantProgram}), false)
	o = Options{Want: WantProgram | WantVerdict, Contents: anyObject}
	inv := collectAll(t, o)
	wantProgram("by its header", "PostgreSQL!", inv, true)
	for _, o := range segmentsOf(inv) {
		if o.Use.Verdict != Orphan {
			t.Errorf("after a look at its contents: %s", dump(o))
		}
	}
	if strconv.IntSize != 64 {
		t.Skip("the rest of the header is that of a 64-bit program")
	}
	o.DataDirs = []string{"/nonexistent", "/tmp", p.dir}
	wantProgram("by its header, with the directory", "PostgreSQL! "+p.dir, collectAll(t, o), true)
}

// programsOf returns the programs that the segments belong to.
func programsOf(inv *Inventory) (list []string) {
	for _, o := range segmentsOf(inv) {
		if o.Use.Program != nil {
			list = append(list, outline(o.Use.Program))
		}
	}
	return list
}

// TestTwoPostgreSQL: one of two servers of the same user is killed. The segment that its
// postmaster.pid names is an orphan; the rest may belong to either server.
func TestTwoPostgreSQL(t *testing.T) {
	runs, dies := newPostgres(t), newPostgres(t)
	t.Cleanup(func() {
		for _, o := range segmentsOf(collectAll(t, Options{})) {
			remove(t, sysv.Segment(o.ID()))
		}
	})
	runs.start()
	dies.start()
	dies.kill()
	verdicts := func(inv *Inventory) (list []Verdict) {
		for _, o := range segmentsOf(inv) {
			if o.Segment.CPID == dies.server.Process.Pid && o.Segment.NAttch == 0 {
				list = append(list, o.Use.Verdict)
			}
		}
		slices.Sort(list)
		return list
	}
	of := func(o Options, want ...Verdict) {
		t.Helper()
		await(t, o, func(inv *Inventory) bool { return slices.Equal(verdicts(inv), want) })
	}
	of(Options{Want: WantVerdict}, Unknown, Unknown)
	of(Options{Want: WantVerdict, DataDirs: []string{runs.dir, dies.dir}}, Unknown, Orphan)
	runs.kill()
	of(Options{Want: WantVerdict}, Orphan, Orphan)
}

func anyObject(*Object) bool { return true }

// TestContentsLeftAlone: a segment that the kernel destroys once nobody is attached
// must not be attached.
func TestContentsLeftAlone(t *testing.T) {
	const sysctl = "/proc/sys/kernel/shm_rmid_forced"
	maker := ipctest.Start(t, "make", nil)
	ids := numbers(strings.Fields(maker.Line()))
	t.Cleanup(func() { remove(t, sysv.Segment(ids[0])); remove(t, sysv.Set(ids[1])); remove(t, sysv.Queue(ids[2])) })
	maker.Kill()
	c := &collector{o: Options{Contents: anyObject}, inv: &Inventory{Objects: []Object{segment(ids[0], sysv.Perm{}, 4096)}}}
	c.inv.Objects[0].Use.Verdict = Orphan
	c.contents(&c.inv.Objects[0], nil) // nothing is known of the sysctl
	if info, err := sysv.Segment(ids[0]).Stat(); err != nil || !info.ATime.IsZero() {
		t.Errorf("attached without knowing: %+v, %v", info, err)
	}
	// The sysctl belongs to the namespace of this test. Setting it destroys segments
	// without attachments, so the segment is attached meanwhile.
	user := start(t, "attach", nil, "ro", ids[0])
	if err := os.WriteFile(sysctl, []byte("1"), 0); err != nil {
		t.Skip(err)
	}
	defer os.WriteFile(sysctl, []byte("0"), 0)
	c.openProc()
	if c.procErr != nil {
		t.Fatal(c.procErr)
	}
	defer c.fs.Close()
	before, err := sysv.Segment(ids[0]).Stat()
	if err != nil {
		t.Fatal(err)
	}
	c.contents(&c.inv.Objects[0], nil)
	if after, err := sysv.Segment(ids[0]).Stat(); err != nil || after.LPID != user.PID() || !after.DTime.Equal(before.DTime) {
		t.Errorf("attached though that could destroy it: %+v, %v", after, err)
	}
}

func TestFakeroot(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "fakeroot is a program of this machine")
	faked, err := exec.LookPath("faked-sysv")
	if err != nil {
		t.Skip("no fakeroot: install fakeroot")
	}
	// It prints its key and process id, and goes into the background.
	out, err := exec.Command(faked).Output()
	if err != nil {
		t.Fatal(err)
	}
	key, id, ok := strings.Cut(strings.TrimSpace(string(out)), ":")
	pid, err := strconv.Atoi(id)
	if !ok || err != nil {
		t.Fatalf("faked printed %q", out)
	}
	daemon, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = daemon.Kill() })
	o := Options{Want: everything, HiddenIdle: true}
	inv := await(t, o, func(inv *Inventory) bool {
		return slices.ContainsFunc(inv.Objects, func(o Object) bool { return len(o.Use.Waiting) == 1 })
	})
	t.Cleanup(func() {
		for _, o := range inv.Objects {
			if o.Kind == ref.Sem {
				remove(t, sysv.Set(o.ID()))
			} else {
				remove(t, sysv.Queue(o.ID()))
			}
		}
	})
	kinds := ""
	for _, o := range inv.Objects {
		kinds += o.Kind.String() + " "
		if o.Use.Program == nil || o.Use.Program.Name != "fakeroot" {
			t.Errorf("key %s: %s", key, dump(o))
		}
		for _, w := range o.Use.Waiting {
			if w.Comm != "faked-sysv" || w.PID != pid || w.Sending {
				t.Errorf("waiter: %s", dump(w))
			}
			wantVerdict(t, &o, InUse, codes(o.Use.Reasons))
		}
	}
	if kinds != "sem msg msg " {
		t.Errorf("faked made %s", kinds)
	}
}

// TestOpenMPI: the environment of a process shows that it belongs to Open MPI.
func TestOpenMPI(t *testing.T) {
	seg := createSegment(t, sysv.Private, 4096, 0o600)
	rank := startApart(t, "attach", []string{"env", "OMPI_COMM_WORLD_RANK=3"}, "rw", int(seg))
	rank.Line()
	o := find(t, collectAll(t, Options{Want: WantProgram}), ref.Shm, int(seg))
	if p := o.Use.Program; p == nil || p.Sure || !strings.Contains(fmt.Sprint(p.Reasons)+p.Name, "OMPI_COMM_WORLD_RANK=3") {
		t.Error(dump(o))
	}
}
