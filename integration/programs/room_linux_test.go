package programs_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
)

// patience is how long a program may take for what is immediate on a quiet machine.
const patience = 20 * time.Second

// A room is a set of IPC, mount and network namespaces, with an empty /dev/shm, /run
// and /dev/mqueue, and the loopback interface. The test enters its IPC namespace only
// to start programs there, so that it never counts as a user of the objects.
type room struct {
	t      *testing.T
	dir    string // for all files of the programs
	user   string // that they run as, unless their package defines one
	spaces []space
	ipc    string // as in /proc/PID/ns/ipc
	log    *os.File

	mu    sync.Mutex
	spare []int // processes that killAll spares
}

// A space is a namespace that a thread can enter.
type space struct {
	file *os.File
	kind int
}

func newRoom(t *testing.T, user string) *room {
	t.Helper()
	r := &room{t: t, dir: t.TempDir(), user: user}
	for dir := r.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		r.check(os.Chmod(dir, 0o755)) // the programs run as several users
	}
	var err error
	r.log, err = os.Create(filepath.Join(r.dir, "log"))
	r.check(err)
	r.check(inThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWIPC | unix.CLONE_NEWNS | unix.CLONE_NEWNET); err != nil {
			return err
		}
		return errors.Join(furnish(), r.hold("ipc", unix.CLONE_NEWIPC), r.hold("net", unix.CLONE_NEWNET), r.hold("mnt", unix.CLONE_NEWNS))
	}))
	r.startWard()
	t.Cleanup(func() {
		r.mu.Lock()
		r.spare = nil
		r.mu.Unlock()
		r.killAll()
		if t.Failed() {
			said, _ := os.ReadFile(r.log.Name())
			t.Logf("what the programs said:\n%s", said[max(0, len(said)-4000):])
		}
		for _, s := range r.spaces {
			s.file.Close()
		}
		r.log.Close()
	})
	return r
}

// furnish mounts what the calling thread's new namespaces need. gipcs finds out from /dev
// whether the clock was set since boot, and then trusts no times. A new /dev hides clock
// changes from before this room.
func furnish() error {
	return errors.Join(
		ipctest.MountDev(),
		unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"),
		exec.Command("ip", "link", "set", "lo", "up").Run(),
	)
}

// hold keeps a namespace of the calling thread.
func (r *room) hold(name string, kind int) error {
	path := "/proc/thread-self/ns/" + name
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	r.spaces = append(r.spaces, space{f, kind})
	if name == "ipc" {
		r.ipc, err = os.Readlink(path)
	}
	return err
}

// inThread calls f on a thread that ends with it, so that f may change the thread for
// good.
func inThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

// inside calls f on a thread in the room's namespaces of the given kinds.
func (r *room) inside(kinds int, f func() error) error {
	return inThread(func() error {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		for _, s := range r.spaces {
			if s.kind&kinds == 0 {
				continue
			}
			if err := unix.Setns(int(s.file.Fd()), s.kind); err != nil {
				return fmt.Errorf("setns: %w", err)
			}
		}
		return f()
	})
}

const allSpaces = unix.CLONE_NEWIPC | unix.CLONE_NEWNS | unix.CLONE_NEWNET

func (r *room) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// path returns the path of a file in the room's directory.
func (r *room) path(name string) string { return filepath.Join(r.dir, name) }

// write writes a file in the room's directory and returns its path.
func (r *room) write(name, text string) string {
	r.t.Helper()
	r.check(os.WriteFile(r.path(name), []byte(text), 0o755))
	return r.path(name)
}

// discard removes a file that a killed program may have left.
func (r *room) discard(path string) {
	r.t.Helper()
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		r.check(err)
	}
}

// owned makes a directory that belongs to a user, and returns its path.
func (r *room) owned(name, owner string) string {
	r.t.Helper()
	r.check(os.MkdirAll(r.path(name), 0o755))
	c := credential(r.t, owner)
	r.check(os.Chown(r.path(name), int(c.Uid), int(c.Gid)))
	return r.path(name)
}

// home makes a directory that belongs to the room's user, and returns its path.
func (r *room) home() string { return r.owned("home", r.user) }

// overlay lets programs change a directory of the machine for this room only.
func (r *room) overlay(dir string) {
	r.t.Helper()
	name := strings.ReplaceAll(dir, "/", "_")
	if _, err := os.Stat(r.path(name)); err == nil {
		return // the program has run here before
	}
	upper, work := r.owned(name, "root"), r.owned(name+".work", "root")
	info, err := os.Stat(dir)
	r.check(err)
	owner := info.Sys().(*syscall.Stat_t) //nolint:forcetypeassert // always so on Linux
	r.check(os.Chown(upper, int(owner.Uid), int(owner.Gid)))
	r.check(os.Chmod(upper, info.Mode().Perm()))
	r.check(r.inside(unix.CLONE_NEWNS, func() error {
		return unix.Mount("overlay", dir, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work))
	}))
}

// runtimeDir makes a directory in /run that belongs to a user, like systemd.
func (r *room) runtimeDir(name, owner string) string {
	r.t.Helper()
	path := filepath.Join("/run", name)
	c := credential(r.t, owner)
	r.check(r.inside(unix.CLONE_NEWNS, func() error {
		return errors.Join(os.MkdirAll(path, 0o755), os.Chown(path, int(c.Uid), int(c.Gid)))
	}))
	return path
}

// credential returns the credential of a user: a name, or a number that need not have
// an account.
func credential(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		return &syscall.Credential{Uid: uint32(id), Gid: uint32(id)}
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// debianPath is where packages put programs; programs that this machine's users
// installed do not count.
const debianPath = "/usr/sbin:/usr/bin:/sbin:/bin"

// program returns the path of a program from a package.
func (r *room) program(name string) string {
	r.t.Helper()
	if strings.Contains(name, "/") {
		return name
	}
	for _, dir := range filepath.SplitList(debianPath) {
		path := filepath.Join(dir, name)
		if unix.Access(path, unix.X_OK) == nil {
			return path
		}
	}
	r.t.Fatalf("there is no program %s", name)
	return ""
}

// command prepares a program that runs as a user in the room's directory.
func (r *room) command(who string, args ...string) *exec.Cmd {
	r.t.Helper()
	cmd := exec.Command(r.program(args[0]), args[1:]...)
	cmd.Dir = r.dir
	cmd.Env = []string{"PATH=" + debianPath, "LC_ALL=C", "HOME=" + r.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if who != "root" {
		cmd.SysProcAttr.Credential = credential(r.t, who)
	}
	return cmd
}

// A process was started by start.
type process struct {
	pid  int
	over chan struct{}
}

// start starts a program that keeps running, in its own session.
func (r *room) start(who string, args ...string) *process {
	r.t.Helper()
	return r.startCommand(r.command(who, args...))
}

func (r *room) startCommand(cmd *exec.Cmd) *process {
	r.t.Helper()
	cmd.SysProcAttr.Setsid = true
	cmd.Stderr = r.log
	if cmd.Stdout == nil {
		cmd.Stdout = r.log
	}
	r.check(r.inside(allSpaces, cmd.Start))
	p := &process{cmd.Process.Pid, make(chan struct{})}
	go func() {
		_ = cmd.Wait() // most are killed
		close(p.over)
	}()
	return p
}

// startReady starts a program and waits until it prints a line, when it is ready.
func (r *room) startReady(cmd *exec.Cmd) *process {
	r.t.Helper()
	in, out, err := os.Pipe()
	r.check(err)
	defer in.Close()
	cmd.Stdout = out
	p := r.startCommand(cmd)
	out.Close()
	r.check(in.SetReadDeadline(time.Now().Add(patience)))
	if _, err := in.Read(make([]byte, 1)); err != nil {
		r.t.Fatalf("%s is not ready: %v", cmd.Path, err)
	}
	return p
}

// A dialogue is a program that answers each line on standard input with a line on
// standard output.
type dialogue struct {
	*process
	in      *os.File
	out     *os.File
	answers *bufio.Reader
}

// startDialogue starts a dialogue.
func (r *room) startDialogue(cmd *exec.Cmd) *dialogue {
	r.t.Helper()
	in, ours, err := os.Pipe()
	r.check(err)
	answers, out, err := os.Pipe()
	r.check(err)
	r.t.Cleanup(func() {
		ours.Close()
		answers.Close()
	})
	cmd.Stdin, cmd.Stdout = in, out
	d := &dialogue{r.startCommand(cmd), ours, answers, bufio.NewReader(answers)}
	in.Close()
	out.Close()
	return d
}

// ask sends a line, and fails unless the answer is want.
func (d *dialogue) ask(line, want string) error {
	if _, err := fmt.Fprintln(d.in, line); err != nil {
		return err
	}
	if err := d.out.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	got, err := d.answers.ReadString('\n')
	if err == nil && strings.TrimSpace(got) != want {
		err = fmt.Errorf("to %q it answered %q, not %q", line, got, want)
	}
	return err
}

// run runs a program to its end and returns its standard output.
func (r *room) run(who string, args ...string) (string, error) {
	return r.runCommand(r.command(who, args...))
}

func (r *room) runCommand(cmd *exec.Cmd) (string, error) {
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = time.Second // a daemon that it started may have kept its output open
	if err := r.inside(allSpaces, cmd.Start); err != nil {
		return "", err
	}
	end := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer end.Stop()
	if err := cmd.Wait(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return out.String(), fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}

// must is run for a program that must not fail.
func (r *room) must(who string, args ...string) string {
	r.t.Helper()
	out, err := r.run(who, args...)
	r.check(err)
	return out
}

// dial connects to an address in the room's network.
func (r *room) dial(network, address string) (conn net.Conn, err error) {
	err = r.inside(unix.CLONE_NEWNET, func() (err error) {
		conn, err = net.DialTimeout(network, address, patience)
		return err
	})
	return conn, err
}

// get returns the answer of a web server in the room.
func (r *room) get(url string) (string, error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
			return r.dial(network, address)
		},
	}}
	answer, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, answer.Status)
	}
	return string(body), err
}

// until waits until condition holds.
func (r *room) until(what string, condition func() bool) {
	r.t.Helper()
	for began := time.Now(); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > patience {
			r.t.Fatalf("it did not happen in time: %s", what)
		}
	}
}

// serves waits until a request succeeds.
func (r *room) serves(request func() error) {
	r.t.Helper()
	var err error
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if err = request(); err == nil {
			return
		}
		if time.Since(began) > patience {
			r.t.Fatalf("it does not serve: %v", err)
		}
	}
}

// spares makes killAll spare a process until the end of the room.
func (r *room) spares(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spare = append(r.spare, pid)
}

// processes returns the processes in the room's IPC namespace, except spared ones.
func (r *room) processes() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(inhabitants(r.ipc), func(pid int) bool { return slices.Contains(r.spare, pid) })
}

// inhabitants returns the processes in an IPC namespace.
func inhabitants(ipc string) (pids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/ns/ipc") // the pattern is valid
	for _, link := range links {
		if to, err := os.Readlink(link); err != nil || to != ipc {
			continue // it has ended
		}
		if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killAll kills all processes in the room and waits for their end.
func (r *room) killAll() {
	r.t.Helper()
	killAll(r.processes)
	r.until("the processes have ended", func() bool { return len(r.processes()) == 0 })
}

// killAll kills processes at once: it stops them first, so that none can react to the
// end of another.
func killAll(list func() []int) {
	var stopped []int
	for {
		fresh := slices.DeleteFunc(list(), func(pid int) bool { return slices.Contains(stopped, pid) })
		if len(fresh) == 0 {
			break
		}
		for _, pid := range fresh {
			_ = unix.Kill(pid, unix.SIGSTOP) // it may have ended
		}
		stopped = append(stopped, fresh...)
	}
	for _, pid := range stopped {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// children returns a process's children, whichever thread started them.
func children(pid int) (pids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is valid
	for _, list := range lists {
		text, _ := os.ReadFile(list) // empty if it has ended
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// alive is the request function of a program that takes no requests: it checks that the
// program still runs.
func (p *process) alive() error {
	select {
	case <-p.over:
		return errors.New("it has ended")
	case <-time.After(100 * time.Millisecond):
		return nil
	}
}

// killChildren kills a process's current children of the same name, one by one, like a
// crash or an operator, and waits until they are gone.
func (r *room) killChildren(pid int) {
	r.t.Helper()
	for _, child := range children(pid) {
		if comm(child) != comm(pid) {
			continue
		}
		_ = unix.Kill(child, unix.SIGKILL) // it may have ended
		r.until("a worker has ended", func() bool { return !slices.Contains(children(pid), child) })
	}
}

// comm returns a process's name, or "" if it has ended.
func comm(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return string(text)
}

// pidIn reads a process id from a file.
func (r *room) pidIn(file string) int {
	r.t.Helper()
	text, err := os.ReadFile(file)
	r.check(err)
	pid, err := strconv.Atoi(strings.Trim(strings.SplitN(string(text), "\n", 2)[0], " \x00"))
	r.check(err)
	return pid
}
