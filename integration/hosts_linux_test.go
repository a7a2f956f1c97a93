package integration_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/sysv"
)

var (
	howMany   = flag.Int("hosts", 3, "how many `hosts` TestHosts makes, besides those with faults")
	hostDelay = flag.Duration("host-delay", 0, "how long each host of TestHosts takes before it answers")
)

// A hostLab is a set of hosts, simulated by real sshds on the loopback interface. Each host
// has its own IPC namespace with one segment.
type hostLab struct {
	t       *testing.T
	dir     string
	program string // sshd
	config  bytes.Buffer
	mutex   sync.Mutex
	servers []*exec.Cmd
}

func newHostLab(t *testing.T, bin string) *hostLab {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to log in as itself by ssh")
	}
	l := &hostLab{t: t, dir: t.TempDir()}
	for _, program := range []string{"/usr/sbin/sshd", "ssh", "ssh-keygen"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Skip("no openssh-server: " + program + " is missing")
		}
		if l.program == "" {
			l.program = path
		}
	}
	for _, key := range []string{"host", "user"} {
		out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", l.file(key)).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	public, err := os.ReadFile(l.file("host.pub"))
	check(t, err)
	writeFile(t, l.file("known"), "lab "+string(public))
	// HOME is the lab's directory, so that the start-up files of root's own shell do not
	// matter.
	writeFile(t, l.file("sshd"), fmt.Sprintf("HostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"+
		"PidFile none\nLogLevel ERROR\nBanner /etc/passwd\nMaxStartups 200\nSetEnv HOME=%s\n", l.file("host"), l.file("user.pub"), l.dir))
	// This login shell has the commands on its PATH.
	writeFile(t, l.file("shell"), fmt.Sprintf("#!/bin/sh\nPATH=%s:$PATH GORACE=atexit_sleep_ms=0\nexec sh -c \"$SSH_ORIGINAL_COMMAND\"\n", bin))
	fmt.Fprintf(&l.config, "Host *\nUser root\nHostName 127.0.0.1\nIdentityFile %s\nIdentitiesOnly yes\nUserKnownHostsFile %s\n"+
		"GlobalKnownHostsFile /dev/null\nStrictHostKeyChecking ask\n", l.file("user"), l.file("known"))
	t.Cleanup(l.end)
	return l
}

func (l *hostLab) file(name string) string { return filepath.Join(l.dir, name) }

// end kills all processes that the sessions left.
func (l *hostLab) end() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, server := range l.servers {
		_ = unix.Kill(-server.Process.Pid, unix.SIGKILL)
		_ = server.Wait()
	}
}

// add makes a host with one segment of the given size. command takes the place of the login
// shell.
func (l *hostLab) add(name string, size int64, command string) {
	l.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(l.t, err)
	l.t.Cleanup(func() { listener.Close() })
	l.known(name, listener.Addr(), "lab")
	ready := make(chan error)
	go l.serve(listener.(*net.TCPListener), size, command, ready)
	check(l.t, <-ready)
}

// known tells ssh the address of a host, and the name of its key in known_hosts.
func (l *hostLab) known(name string, at net.Addr, key string) {
	fmt.Fprintf(&l.config, "Host %s\nPort %d\nHostKeyAlias %s\n", name, at.(*net.TCPAddr).Port, key)
}

// serve starts an sshd for each connection, as inetd(8) does. It runs on a thread with
// namespaces of its own, which ends with it.
func (l *hostLab) serve(listener *net.TCPListener, size int64, command string, ready chan<- error) {
	err := enterNamespace()
	if err == nil {
		err = unix.Mount("", "/run", "tmpfs", 0, "")
	}
	if err == nil {
		err = os.Mkdir("/run/sshd", 0o755)
	}
	if err == nil {
		_, err = sysv.CreateSegment(sysv.Private, size, nil)
	}
	ready <- err
	for err == nil {
		var conn *net.TCPConn
		if conn, err = listener.AcceptTCP(); err == nil {
			err = l.start(conn, command)
		}
	}
}

func (l *hostLab) start(conn *net.TCPConn, command string) error {
	file, err := conn.File()
	if err != nil {
		return err
	}
	defer file.Close()
	defer conn.Close()
	server := exec.Command(l.program, "-i", "-e", "-f", l.file("sshd"), "-o", "ForceCommand="+command)
	server.Stdin, server.Stdout = file, file
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.servers = append(l.servers, server)
	return server.Start()
}

// ssh returns the value of --ssh.
func (l *hostLab) ssh() string {
	writeFile(l.t, l.file("config"), l.config.String())
	return "ssh -F " + l.file("config")
}

// left returns the ssh processes that run with the lab's configuration.
func (l *hostLab) left() (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range all {
		line, _ := os.ReadFile(name)
		if bytes.HasPrefix(line, []byte("ssh\x00-F\x00"+l.file("config")+"\x00")) {
			pids = append(pids, name)
		}
	}
	return pids
}

// addGood makes n hosts whose segments have 1001, 1002 ... bytes, and returns their names.
func (l *hostLab) addGood(n int) (names []string) {
	delay := ""
	if *hostDelay > 0 {
		delay = fmt.Sprintf("sleep %v; ", hostDelay.Seconds())
	}
	for i := range n {
		name := fmt.Sprintf("good%d", i+1)
		l.add(name, int64(1001+i), delay+l.file("shell"))
		names = append(names, name)
	}
	return names
}

// addBad makes a host for each fault, and returns the message that gipcs must print about
// it.
func (l *hostLab) addBad() (names []string, said map[string]string) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	check(l.t, err)
	closed.Close()
	l.known("refused", closed.Addr(), "lab")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	check(l.t, err)
	l.t.Cleanup(func() { silent.Close() })
	l.known("silent", silent.Addr(), "lab")
	fmt.Fprintln(&l.config, "Host stranger\nHostKeyAlias stranger") // prevails over the lines that add writes
	l.add("stranger", 1, l.file("shell"))
	l.add("stopped", 1, "kill -STOP $PPID")
	l.add("missing", 1, `PATH=/usr/bin:/bin; exec sh -c "$SSH_ORIGINAL_COMMAND"`)
	l.add("noisy", 1, "echo Welcome; "+l.file("shell"))
	said = map[string]string{
		"refused":  fmt.Sprintf("ssh: connect to host 127.0.0.1 port %d: Connection refused", closed.Addr().(*net.TCPAddr).Port),
		"silent":   "no answer within *",
		"stranger": "Host key verification failed. Connect once with ssh to check its key and accept it",
		"stopped":  "no answer within *",
		"missing":  "gipcs is not installed there, or not on the PATH of its shell (*gipcs: not found); --remote-gipcs says where it is",
		"noisy":    `its answer is not one of gipcs: it is no JSON object: "Welcome"`,
	}
	return []string{"refused", "silent", "stranger", "stopped", "missing", "noisy"}, said
}

// TestHosts lists the objects of many hosts over real ssh, and gives up on hosts that do
// not answer. `make hosts` runs it with fifty hosts.
func TestHosts(t *testing.T) {
	inNamespace(t)
	bin := install(t, "gipcs")
	l := newHostLab(t, bin)
	good := l.addGood(*howMany)
	bad, said := l.addBad()
	g := gipcs{filepath.Join(bin, "gipcs")}
	flags := []string{"--ssh", l.ssh(), "--parallel", "100", "--timeout", "5m"}
	began := time.Now()
	g.prints(t, slices.Concat([]string{"ls", "--host", good[0]}, flags)...)
	t.Logf("one host takes %v", time.Since(began))

	began = time.Now()
	out, messages, status := g.run(t, slices.Concat([]string{"ls", "--json", "-o", "size", "--sort", "-size", "--host", strings.Join(good, ",")}, flags)...)
	t.Logf("%d hosts take %v", len(good), time.Since(began))
	if status != 0 || messages != "" {
		t.Fatalf("status %d: %s", status, messages)
	}
	checkSizes(t, out, good)

	flags[len(flags)-1] = "8s"
	if *hostDelay > 0 {
		flags[len(flags)-1] = (2 * *hostDelay).String()
	}
	began = time.Now()
	_, messages, status = g.run(t, slices.Concat([]string{"ls", "--host", strings.Join(slices.Concat(bad, good), ",")}, flags)...)
	t.Logf("%d hosts, two of which are silent for %s, take %v", len(good)+len(bad), flags[len(flags)-1], time.Since(began))
	if status != 1 || !strings.HasSuffix(messages, fmt.Sprintf(" of %d hosts did not answer\n", len(good)+len(bad))) {
		t.Errorf("status %d: %s", status, messages)
	}
	checkFaults(t, messages, bad, said)
	if left := l.left(); len(left) > 0 {
		t.Errorf("ssh is left: %v", left)
	}
}

// checkSizes compares a sorted listing with the segments of the hosts.
func checkSizes(t *testing.T, out string, hosts []string) {
	t.Helper()
	var rows []row
	check(t, json.Unmarshal([]byte(out), &rows))
	if len(rows) != len(hosts) {
		t.Fatalf("%d rows of %d hosts: %s", len(rows), len(hosts), out)
	}
	for i, r := range rows {
		n := len(hosts) - 1 - i
		if r["host"] != hosts[n] || r["size"] != float64(1001+n) || len(r) != 2 {
			t.Errorf("row %d is %v, want %s with %d", i, r, hosts[n], 1001+n)
		}
	}
}

// checkFaults looks for one line about each host. On a busy machine a host may time out
// before its fault shows.
func checkFaults(t *testing.T, messages string, hosts []string, said map[string]string) {
	t.Helper()
	for _, host := range hosts {
		prefix := "gipcs: " + host + ": "
		var lines []string
		for line := range strings.Lines(messages) {
			if text, ok := strings.CutPrefix(strings.TrimSpace(line), prefix); ok {
				lines = append(lines, text)
			}
		}
		if len(lines) != 1 {
			t.Errorf("%s: %q", host, lines)
			continue
		}
		before, after, _ := strings.Cut(said[host], "*")
		if !strings.HasPrefix(lines[0], "no answer within ") && (!strings.HasPrefix(lines[0], before) || !strings.HasSuffix(lines[0], after)) {
			t.Errorf("%s: %s, want %s", host, lines[0], said[host])
		}
	}
}

// TestHostsRemoval removes objects on several hosts. gipcs must remove nothing until all
// hosts have made a plan, and then exactly the planned objects.
func TestHostsRemoval(t *testing.T) {
	inNamespace(t)
	bin := install(t, "gipcs")
	l := newHostLab(t, bin)
	good := l.addGood(3)
	l.add("missing", 1, `PATH=/usr/bin:/bin; exec sh -c "$SSH_ORIGINAL_COMMAND"`)
	g := gipcs{filepath.Join(bin, "gipcs")}
	flags := []string{"--ssh", l.ssh(), "--timeout", "5m", "--host", strings.Join(good, ",")}
	conditions := []string{"--kind", "shm", "--where", "size > 1001 && owner == 'root'"}
	plan := slices.Concat([]string{"rm", "--format", "csv"}, conditions, flags)

	out, said, status := g.run(t, slices.Concat(plan, []string{"--host", "missing", "--yes"})...)
	if status != 1 || strings.Count(out, "\n") != 3 || !strings.Contains(said, "gipcs: nothing was removed, since not every host answered completely; --partial removes what is listed\n") {
		t.Errorf("a host is missing: status %d: %s%s", status, out, said)
	}
	if out = g.prints(t, append(plan, "--dry-run")...); strings.Count(out, "\n") != 3 {
		t.Errorf("the plan is %s", out)
	}
	out, said, status = g.run(t, append(plan, "--yes", "--verbose")...)
	if want := "gipcs"; status != 0 || strings.Contains(said, want) || strings.Count(said, ": removed shm:0\n") != 2 || strings.Count(out, "\n") != 3 {
		t.Errorf("status %d: %s%s", status, out, said)
	}
	out = g.prints(t, slices.Concat([]string{"ls", "--format", "ndjson", "-o", "size"}, flags)...)
	if out != "{\"host\":\"good1\",\"size\":1001}\n" {
		t.Errorf("left are %s", out)
	}
}

// TestHostsEnd: however gipcs ends, its ssh ends too.
func TestHostsEnd(t *testing.T) {
	inNamespace(t)
	bin := install(t, "gipcs")
	l := newHostLab(t, bin)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer silent.Close()
	l.known("silent1", silent.Addr(), "lab")
	l.known("silent2", silent.Addr(), "lab")
	g := gipcs{filepath.Join(bin, "gipcs")}
	ssh := l.ssh()
	for _, signal := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGKILL} {
		cmd := g.command("ls", "--host", "silent1,silent2", "--timeout", "10m", "--ssh", ssh)
		var said bytes.Buffer
		cmd.Stderr = &said
		check(t, cmd.Start())
		check(t, eventually(func() bool { return len(l.left()) == 2 }))
		check(t, cmd.Process.Signal(signal))
		if err := cmd.Wait(); err == nil {
			t.Errorf("%v: it succeeds", signal)
		}
		if signal != unix.SIGKILL && said.String() != "gipcs: interrupted\n" {
			t.Errorf("%v: it says %q", signal, said.String())
		}
		if err := eventually(func() bool { return len(l.left()) == 0 }); err != nil {
			t.Errorf("%v: ssh is left: %v", signal, l.left())
		}
	}
}

// TestHostsMaster: with a ControlPersist master a second call needs no new connection,
// and the master outlives both.
func TestHostsMaster(t *testing.T) {
	inNamespace(t)
	bin := install(t, "gipcs")
	l := newHostLab(t, bin)
	fmt.Fprintf(&l.config, "ControlMaster auto\nControlPath %s\nControlPersist 10m\n", l.file("%n"))
	good := l.addGood(1)
	g := gipcs{filepath.Join(bin, "gipcs")}
	ssh := l.ssh()
	defer func() {
		if out, err := exec.Command("ssh", "-F", l.file("config"), "-O", "exit", good[0]).CombinedOutput(); err != nil {
			t.Errorf("the master: %v: %s", err, out)
		}
	}()
	for range 2 {
		if out := g.prints(t, "ls", "--host", good[0], "--timeout", "5m", "--ssh", ssh, "--format", "ndjson", "-o", "size"); out != "{\"host\":\"good1\",\"size\":1001}\n" {
			t.Errorf("%s", out)
		}
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if len(l.servers) != 1 {
		t.Errorf("%d connections", len(l.servers))
	}
}
