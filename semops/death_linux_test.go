package semops_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/semops"
	"github.com/sysvipc/gipc/sysv"
)

// mortal locks the mutex, and dies on SIGUSR1 in the way that its argument says.
func mortal(set sysv.Set, _ *page) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGUSR1)
	mu, err := semops.NewMutex(set, 0, 1)
	check(err)
	fmt.Println(lock(mu, forEver))
	<-told
	switch os.Args[3] {
	case "oom":
		check(ipctest.ExhaustMemory())
	case "exec":
		check(unix.Exec("/bin/sleep", []string{"sleep", "60"}, nil))
	}
	unix.Exit(0) // at os.Exit the race detector sleeps for a second
}

func inNamespaces(flags uintptr) func(testing.TB, *exec.Cmd) {
	return func(_ testing.TB, cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: unix.SIGKILL}
		if os.Geteuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		}
		if cmd.SysProcAttr.Cloneflags&unix.CLONE_NEWUSER != 0 {
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
		}
	}
}

// TestDeath ends the owner of a mutex in every way and in every kind of place. The kernel
// undoes its operations, whoever it is, so the process that waits is told.
func TestDeath(t *testing.T) {
	places := map[string]func(testing.TB, *exec.Cmd){
		"here":           func(testing.TB, *exec.Cmd) {},
		"pid namespace":  inNamespaces(unix.CLONE_NEWPID),
		"user namespace": inNamespaces(unix.CLONE_NEWPID | unix.CLONE_NEWUSER),
	}
	ways := map[string]func(*child){
		"killed": func(*child) {},
		"ended":  dieByItself,
		"oom": func(c *child) {
			ipctest.LimitMemory(c.t, c.cmd.Process.Pid)
			dieByItself(c)
		},
	}
	for name, place := range places {
		for way, die := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				w := newWorld(t, semops.MutexValues())
				mu, ctx := newMutex(t, w.set), within(t)
				c := w.startIn(place, "mortal", way)
				c.line(t)
				waiting := run(func() error { return lock(mu, ctx) })
				w.asleep(0, 1)
				watch := ipctest.StartWatch(t)
				die(c)
				if way == "killed" {
					c.kill()
				}
				err := result(t, waiting)
				if d, tooLong := watch.Stop(500 * time.Millisecond); tooLong || !errors.Is(err, errOwnerDied) {
					t.Errorf("Lock: %v after %v, want to be told of the death", err, d)
				}
				must(t, errors.Join(mu.MarkConsistent(), mu.Unlock()))
			})
		}
	}
}

func dieByItself(c *child) { must(c.t, c.cmd.Process.Signal(unix.SIGUSR1)) }

// TestSiblings runs the owner and a waiter in a pid namespace of their own each, so that
// neither can see the other.
func TestSiblings(t *testing.T) {
	w := newWorld(t, semops.MutexValues())
	apart := inNamespaces(unix.CLONE_NEWPID)
	owner := w.startIn(apart, "hold")
	owner.line(t)
	waiter := w.startIn(apart, "hold")
	w.asleep(0, 1)
	owner.kill()
	if got, want := waiter.line(t), errOwnerDied.Error(); got != want {
		t.Errorf("the waiter was told %q, want %q", got, want)
	}
}

// TestExec checks that a process which executes another program keeps the lock, as
// execve(2) says, and that its end is told.
func TestExec(t *testing.T) {
	w := newWorld(t, semops.MutexValues())
	mu, ctx := newMutex(t, w.set), within(t)
	c := w.start("mortal", "exec")
	c.line(t)
	waiting := run(func() error { return lock(mu, ctx) })
	w.asleep(0, 1)
	dieByItself(c)
	comm := filepath.Join("/proc", fmt.Sprint(c.cmd.Process.Pid), "comm")
	eventually(t, "the other program", func() bool {
		name, err := os.ReadFile(comm)
		must(t, err)
		return strings.TrimSpace(string(name)) == "sleep"
	})
	pending(t, waiting)
	w.asleep(0, 1)
	c.kill()
	mustBe(t, result(t, waiting), errOwnerDied)
}
