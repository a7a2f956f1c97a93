package integration_test

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

	"golang.org/x/sys/unix"
)

// clusters is where Debian's servers keep their data, and where gipcs looks for the
// data of a server that has ended.
const clusters = "/var/lib/postgresql"

// A postgres is the test's own server.
type postgres struct {
	bin, data, socket string
	who               *syscall.Credential
	server            *exec.Cmd
}

// newPostgres makes a server whose data directory only this goroutine and its child
// processes can see.
func newPostgres(t *testing.T) *postgres {
	t.Helper()
	if !severalUsers() {
		t.Skip("needs root, to run the server as another user")
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	check(t, err)
	if len(found) == 0 {
		t.Skip("no PostgreSQL: install postgresql")
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		t.Skip(err)
	}
	uid, err := strconv.Atoi(who.Uid)
	check(t, err)
	gid, err := strconv.Atoi(who.Gid)
	check(t, err)
	if _, err := os.Stat(clusters); err != nil {
		t.Skip(err)
	}
	check(t, unix.Unshare(unix.CLONE_NEWNS))
	check(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	check(t, unix.Mount("tmpfs", clusters, "tmpfs", 0, fmt.Sprintf("mode=700,uid=%d,gid=%d", uid, gid)))
	p := &postgres{
		bin: filepath.Dir(found[len(found)-1]), data: clusters + "/17/main", socket: clusters,
		who: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)},
	}
	if out, err := p.command("initdb", "--no-sync", "-A", "trust", "-D", p.data).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	return p
}

func (p *postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	// The server ends with this thread at the latest.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.who, Pdeathsig: unix.SIGQUIT}
	cmd.Dir = clusters
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return cmd
}

// start starts the server and waits until it answers.
func (p *postgres) start(t *testing.T) {
	t.Helper()
	p.server = p.command("postgres", "-D", p.data, "-k", p.socket, "-c", "listen_addresses=", "-c", "shared_memory_type=sysv",
		"-c", "dynamic_shared_memory_type=sysv", "-c", "shared_buffers=1MB", "-c", "fsync=off")
	log, err := os.OpenFile(p.socket+"/log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	check(t, err)
	defer log.Close()
	p.server.Stdout, p.server.Stderr = log, log
	check(t, p.server.Start())
	t.Cleanup(func() { _ = p.server.Process.Kill() }) // it has ended, unless the test failed
	if err := eventually(func() bool { return p.answers() }); err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("the server does not start:\n%s", said)
	}
}

func (p *postgres) answers() bool {
	out, err := p.command("psql", "-h", p.socket, "-d", "postgres", "-Atc", "select 6 * 7").Output()
	return err == nil && string(out) == "42\n"
}

// killAll kills all processes of the server nearly at once: it stops them first, so
// that they cannot make others.
func (p *postgres) killAll(t *testing.T) {
	t.Helper()
	main := p.server.Process.Pid
	check(t, unix.Kill(main, unix.SIGSTOP))
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", main, main))
	check(t, err)
	for _, child := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(child)
		check(t, err)
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && err != unix.ESRCH {
			t.Fatal(err)
		}
	}
	check(t, p.server.Process.Kill())
	_ = p.server.Wait() // it was killed
}

// testPostgreSQL: a server runs and is killed, gipcs removes its objects, and the server
// runs again.
func testPostgreSQL(t *testing.T, g gipcs) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	p := newPostgres(t)
	p.start(t)
	verdicts := func() (list []string) {
		for _, r := range g.rows(t, "ls", "-o", "id,verdict,program") {
			list = append(list, fmt.Sprint(r["verdict"], " ", r["program"]))
		}
		slices.Sort(list)
		return slices.Compact(list)
	}
	if got := verdicts(); len(got) == 0 || slices.ContainsFunc(got, func(v string) bool { return strings.HasPrefix(v, "orphan") }) ||
		!slices.ContainsFunc(got, func(v string) bool { return strings.HasPrefix(v, "in use PostgreSQL") }) {
		t.Errorf("a running server: %q, want in use and PostgreSQL, and no orphan", got)
	}
	// An unattached segment of the server's user is no orphan: a process of the server may
	// attach it again.
	user := gipcs{"setpriv", "--reuid", fmt.Sprint(p.who.Uid), "--regid", fmt.Sprint(p.who.Gid), "--clear-groups", "--", g[0]}
	idle := strings.TrimSpace(user.prints(t, "mk", "--shmem", "4096"))
	want(t, idle, g.show(t, idle).only("verdict"), `{"verdict":"unknown"}`)
	want(t, "removed while it runs", g.prints(t, "rm", "--orphans", "--yes"), "")
	want(t, "the server answers", p.answers(), true)

	p.killAll(t)
	// The killed processes take a moment to disappear.
	if err := eventually(func() bool {
		return !slices.ContainsFunc(verdicts(), func(v string) bool { return !strings.HasPrefix(v, "orphan") })
	}); err != nil {
		t.Fatalf("a killed server: %q, want orphans", verdicts())
	}
	left := g.rows(t, "ls", "-o", "kind,id,key")
	known := 0
	for _, r := range left {
		program, _ := g.show(t, fmt.Sprintf("%v:%v", r["kind"], r["id"]))["program"].(map[string]any)
		if program["name"] == "PostgreSQL" && program["data_directory"] == p.data && program["sure"] == true {
			known++
		}
	}
	if known == 0 {
		t.Errorf("none of %v is recognized as PostgreSQL's in %s", left, p.data)
	}
	dir := filepath.Join(t.TempDir(), "saved")
	g.prints(t, "rm", "--orphans", "--yes", "--backup", dir)
	want(t, "left", g.rows(t, "ls"), "[]")
	saved, err := filepath.Glob(dir + "/*.json")
	check(t, err)
	want(t, "saved", len(saved), len(left))

	p.start(t)
	check(t, p.server.Process.Signal(unix.SIGINT)) // a fast shutdown, which leaves nothing
	check(t, p.server.Wait())
}
