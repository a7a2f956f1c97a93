package relay_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
)

func init() { roles["apart"] = playApart }

// playApart plays another role in a network namespace of its own, or in that of a process,
// if WHERE is its id.
func playApart(args []string) error {
	where, role := args[0], args[1]
	var err error
	if where == "new" {
		err = unix.Unshare(unix.CLONE_NEWNET)
	} else {
		var f *os.File
		if f, err = os.Open("/proc/" + where + "/ns/net"); err == nil {
			err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
		}
	}
	if err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	fmt.Println("apart")
	ipctest.Told()
	env := os.Environ()
	for i, e := range env {
		if name, ok := strings.CutSuffix(e, "=apart"); ok {
			env[i] = name + "=" + role
		}
	}
	return syscall.Exec("/proc/self/exe", append([]string{"relay"}, args[2:]...), env)
}

// startApart starts a role in a network namespace. The process waits until it is told.
func startApart(t testing.TB, where, role string, args ...string) *ipctest.Process {
	t.Helper()
	p := ipctest.Start(t, "apart", nil, append([]string{where, role}, args...)...)
	if line := p.Line(); line != "apart" {
		t.Fatalf("it says %q", line)
	}
	return p
}

func goOn(t testing.TB, p *ipctest.Process) {
	t.Helper()
	p.Tell("go on")
	if line := p.Line(); line != "ready" {
		t.Fatalf("it says %q", line)
	}
}

// inside runs a command in the network namespace of a process.
func inside(t testing.TB, p *ipctest.Process, words string) {
	t.Helper()
	args := append([]string{"-t", fmt.Sprint(p.PID()), "-n"}, strings.Fields(words)...)
	if out, err := exec.Command("nsenter", args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", words, err, out)
	}
}

// TestCut has the two relays in network namespaces of their own, and cuts the link between
// them at random moments, once for long enough that the client gives up its connection.
func TestCut(t *testing.T) {
	ipctest.NeedOtherUsers(t) // only root of the machine can make links
	const port, address = "4222", "10.9.8.1"
	from := open(t, "/from", shmring.NamedOptions{})
	to := open(t, "/to", shmring.NamedOptions{})
	near := startApart(t, "new", "server", port)
	far := startApart(t, "new", "receive", "nats://"+address+":"+port, "/to", "ipc.test")
	inside(t, near, fmt.Sprint("ip link add name near type veth peer name far netns ", far.PID()))
	inside(t, near, "ip addr add "+address+"/24 dev near")
	inside(t, far, "ip addr add 10.9.8.2/24 dev far")
	inside(t, near, "ip link set lo up")
	inside(t, near, "ip link set near up")
	inside(t, far, "ip link set far up")
	goOn(t, near)
	send := startApart(t, fmt.Sprint(near.PID()), "send", "nats://"+address+":"+port, "/from", "ipc.test")
	goOn(t, far)
	goOn(t, send)
	f := startFlow(t, from, to)
	f.await(t)
	const long = 5 * time.Second
	for round := range ipctest.Rounds(t, 6, 0) {
		cut := time.Duration(20+rand.IntN(300)) * time.Millisecond
		if round%6 == 5 {
			cut = long
		}
		inside(t, near, "ip link set near down")
		time.Sleep(cut)
		inside(t, near, "ip link set near up")
		back := time.Now()
		f.await(t)
		took := time.Since(back)
		t.Logf("cut for %v: a message %v after", cut, took.Round(time.Millisecond))
		if took > 5*time.Second {
			t.Errorf("after a cut of %v, no message arrives for %v", cut, took)
		}
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
	}
	f.end(t)
	t.Logf("%d messages", f.sent.Load())
}
