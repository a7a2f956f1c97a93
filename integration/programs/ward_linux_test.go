package programs_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
)

var warded = flag.String("ward", "", "internal: when standard input ends, kill all processes of this IPC `namespace`")

// startWard starts a process that kills all others in the room when the test ends, even
// if the test is killed: nothing else ties a daemonized program to the test.
func (r *room) startWard() {
	r.t.Helper()
	ward := exec.Command("/proc/self/exe", "-ward", r.ipc)
	ward.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // out of reach of the terminal's interrupt
	held, err := ward.StdinPipe()
	r.check(err)
	r.check(ward.Start())
	r.t.Cleanup(func() {
		held.Close()
		r.check(ward.Wait())
	})
}

// keepWard is the main function of that process.
func keepWard(ipc string) {
	_, _ = io.Copy(io.Discard, os.Stdin) // nothing is ever written
	killAll(func() []int { return inhabitants(ipc) })
}

// TestWard kills a test that has started a daemon, and checks that the ward kills the
// daemon.
func TestWard(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	const abandon = "GIPC_TEST_ABANDON"
	if os.Getenv(abandon) != "" {
		r := newRoom(t, "root")
		r.must("root", "sh", "-c", "setsid sleep 1000 <&- >&- 2>&- &")
		fmt.Println("room", r.ipc, len(r.processes()))
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestWard$")
	cmd.Env = append(os.Environ(), abandon+"=1", "TMPDIR="+t.TempDir())
	said, _ := cmd.CombinedOutput() // it is killed
	var ipc string
	var processes int
	if _, err := fmt.Sscanf(string(said), "room %s %d", &ipc, &processes); err != nil || processes == 0 {
		t.Fatalf("the test to be killed said %q: %v", said, err)
	}
	(&room{t: t}).until("the daemon has been killed", func() bool { return len(inhabitants(ipc)) == 0 })
	if strings.Contains(string(said), "FAIL") {
		t.Error(string(said))
	}
}
