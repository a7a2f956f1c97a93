package shmsync_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmsync"
)

// openMutex opens the lock in a child.
func openMutex(args []string) (*shmsync.Mutex, *page, error) {
	mem, p, err := open(args[0])
	if err != nil {
		return nil, nil, err
	}
	mu, err := shmsync.NewMutex(mem, 0)
	return mu, p, err
}

// playHold locks, and then does what the test tells it.
func playHold(args []string) error {
	mu, _, err := openMutex(args)
	if err != nil {
		return err
	}
	if _, err := mu.Lock(context.Background()); err != nil {
		return err
	}
	fmt.Println("held")
	switch ipctest.Told() {
	case "oom":
		return ipctest.ExhaustMemory()
	case "exec":
		return unix.Exec("/bin/sleep", []string{"sleep", "60"}, nil)
	case "unlock":
		if err := mu.Unlock(); err != nil {
			return err
		}
	}
	return mu.Close()
}

// playWait waits for the lock.
func playWait(args []string) error {
	mu, _, err := openMutex(args)
	if err != nil {
		return err
	}
	fmt.Println("waits")
	abandoned, err := mu.Lock(context.Background())
	if err != nil {
		return err
	}
	fmt.Println("abandoned:", abandoned)
	return errors.Join(mu.MarkConsistent(), mu.Unlock(), mu.Close())
}

// playRace locks again and again, and checks that it is alone.
func playRace(args []string) error {
	mu, p, err := openMutex(args)
	if err != nil {
		return err
	}
	i, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	me := uint64(os.Getpid())
	for p.stop.Load() == 0 {
		abandoned, err := mu.Lock(context.Background())
		if err != nil {
			return err
		}
		before := p.inside.Swap(me)
		switch {
		case abandoned:
			p.told.Add(1)
			p.second = p.plain
			if err := mu.MarkConsistent(); err != nil {
				return err
			}
		case before != 0 || p.second != p.plain:
			p.fails()
		}
		p.plain++
		p.count[i].n.Add(1)
		p.second++
		if !p.inside.CompareAndSwap(me, 0) {
			p.fails()
		}
		if err := mu.Unlock(); err != nil {
			return err
		}
	}
	return mu.Close()
}

// TestKills kills processes that count under the lock, at random moments.
func TestKills(t *testing.T) {
	w := newWorld(t)
	var children [6]*child
	for i := range children {
		children[i] = w.start(nil, "race", i)
	}
	kills := 0
	for round := range ipctest.Rounds(t, 200, 1) {
		c := &children[round%len(children)]
		mark := w.page.count[round%len(children)].n.Load()
		eventually(t, "the child to count", func() bool { return w.page.count[round%len(children)].n.Load() > mark })
		time.Sleep(time.Duration(round*7919%4000) * time.Microsecond)
		(*c).kill()
		if (*c).said.Len() > 0 {
			t.Fatalf("a child failed: %s", &(*c).said)
		}
		*c = w.start(nil, "race", round%len(children))
		kills++
	}
	w.page.stop.Store(1)
	for _, c := range children {
		c.wait()
	}
	if line := w.page.fault.Load(); line != 0 {
		t.Fatalf("a process saw a fault at line %d", line)
	}
	sum, told := uint64(0), w.page.told.Load()
	for i := range children {
		sum += w.page.count[i].n.Load()
	}
	if lost := w.page.plain - sum; lost > uint64(told) {
		t.Errorf("%d counts under the lock, %d outside, %d deaths told", w.page.plain, sum, told)
	}
	// One kill in ten or so hits the holder.
	if told == 0 && kills >= 200 || int(told) > kills {
		t.Errorf("%d deaths were told of %d", told, kills)
	}
	t.Logf("%d kills, %d of them of the holder, %d locks", kills, told, w.page.plain)
}

func inNamespaces(flags uintptr) func(testing.TB, *exec.Cmd) {
	return func(_ testing.TB, cmd *exec.Cmd) {
		cmd.SysProcAttr.Cloneflags = flags
		if os.Geteuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		}
		if cmd.SysProcAttr.Cloneflags&unix.CLONE_NEWUSER != 0 {
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
		}
	}
}

// inContainer runs the child with its own /proc and boot_id.
func inContainer(t testing.TB, cmd *exec.Cmd) {
	inNamespaces(unix.CLONE_NEWPID|unix.CLONE_NEWNS)(t, cmd)
	id := filepath.Join(t.TempDir(), "boot_id")
	must(t, os.WriteFile(id, []byte("01234567-89ab-cdef-0123-456789abcdef\n"), 0o444))
	const script = `mount --make-rprivate / && mount -t proc proc /proc &&
		mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`
	cmd.Args = append([]string{"sh", "-c", script, id, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
}

// noticed is the longest time that may pass until a death is noticed.
const noticed = 500 * time.Millisecond

// TestDeath ends holders in every way, for every kind of memory and in every kind of
// place.
func TestDeath(t *testing.T) {
	places := map[string]func(testing.TB, *exec.Cmd){
		"here":           nil,
		"pid namespace":  inNamespaces(unix.CLONE_NEWPID),
		"user namespace": inNamespaces(unix.CLONE_NEWPID | unix.CLONE_NEWUSER),
		"container":      inContainer,
	}
	ways := map[string]func(c *child){
		"killed": func(c *child) { c.signal(unix.SIGKILL) },
		"exec":   func(c *child) { c.tell("exec") },
		"oom": func(c *child) {
			ipctest.LimitMemory(c.t, c.cmd.Process.Pid)
			c.tell("oom")
		},
		"ended": func(c *child) { c.tell("end") },
	}
	// With -short each place is tried with one kind of memory.
	short := map[string]string{"here": "object", "pid namespace": "segment", "user namespace": "memfd", "container": "segment"}
	for kind, make := range worlds {
		for name, where := range places {
			if testing.Short() && short[name] != kind {
				continue
			}
			if os.Geteuid() != 0 && name == "container" {
				t.Log("SKIPPED: containers: only root can mount over boot_id")
				continue
			}
			for way, die := range ways {
				t.Run(fmt.Sprintf("%s/%s/%s", kind, name, way), func(t *testing.T) {
					t.Parallel()
					w := make(t)
					c := w.start(where, "hold")
					c.line("held")
					w.dies(func() { die(c) })
				})
			}
		}
	}
}

// dies lets the holder die while this process waits, and tries the lock afterwards.
func (w *world) dies(die func()) {
	w.t.Helper()
	mu, ctx := w.mutex(), within(w.t)
	if ok, _, err := mu.TryLock(); ok || err != nil {
		w.t.Fatalf("TryLock while a living process holds it: %v, %v", ok, err)
	}
	short, cancel := context.WithTimeout(ctx, 3*noticed/2) // long enough for several checks of the holder
	defer cancel()
	if _, err := mu.Lock(short); !errors.Is(err, context.DeadlineExceeded) {
		w.t.Fatalf("Lock while a living process holds it: %v", err)
	}
	watch := ipctest.StartWatch(w.t)
	die()
	abandoned, err := mu.Lock(ctx)
	if d, tooLong := watch.Stop(noticed); err != nil || !abandoned || tooLong {
		w.t.Errorf("Lock = %v, %v after %v, want to be told of the death within %v", abandoned, err, d, noticed)
	}
	must(w.t, errors.Join(mu.MarkConsistent(), mu.Unlock()))
	if ok, abandoned, err := mu.TryLock(); !ok || abandoned || err != nil {
		w.t.Errorf("TryLock = %v, %v, %v afterwards", ok, abandoned, err)
	}
	must(w.t, mu.Unlock())
}

// TestSiblings runs the holder and the waiter each in its own pid namespace.
func TestSiblings(t *testing.T) {
	for kind, make := range worlds {
		t.Run(kind, func(t *testing.T) {
			w := make(t)
			holder := w.start(inNamespaces(unix.CLONE_NEWPID), "hold")
			holder.line("held")
			waiter := w.start(inNamespaces(unix.CLONE_NEWPID), "wait")
			waiter.line("waits")
			time.Sleep(noticed)
			holder.kill()
			waiter.line("abandoned: true")
			waiter.wait()
		})
	}
}

// TestTryLockAfterDeath calls TryLock after the holder has died while nobody waited.
func TestTryLockAfterDeath(t *testing.T) {
	w := newWorld(t)
	mu := w.mutex()
	c := w.start(nil, "hold")
	c.line("held")
	c.kill()
	if ok, abandoned, err := mu.TryLock(); !ok || !abandoned || err != nil {
		t.Errorf("TryLock = %v, %v, %v, want to be told of the death at once", ok, abandoned, err)
	}
	mustBe(t, mu.Unlock(), nil) // without MarkConsistent
	_, err := mu.Lock(within(t))
	mustBe(t, err, shmsync.ErrNotRecoverable)
	_, _, err = mu.TryLock()
	mustBe(t, err, shmsync.ErrNotRecoverable)
	mustBe(t, mu.Unlock(), shmsync.ErrNotHeld)
}

// TestStopped stops the holder for a while. It must not count as dead.
func TestStopped(t *testing.T) {
	stopped := 10 * time.Second
	if testing.Short() {
		stopped = time.Second
	}
	for kind, make := range worlds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := make(t)
			c := w.start(inNamespaces(unix.CLONE_NEWPID), "hold")
			c.line("held")
			c.signal(unix.SIGSTOP)
			mu := w.mutex()
			ctx, cancel := context.WithTimeout(context.Background(), stopped)
			defer cancel()
			if _, err := mu.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("Lock while the holder is stopped: %v", err)
			}
			c.signal(unix.SIGCONT)
			c.tell("unlock")
			if abandoned, err := mu.Lock(within(t)); abandoned || err != nil {
				t.Fatalf("Lock = %v, %v when it has gone on", abandoned, err)
			}
			must(t, mu.Unlock())
			c.wait()
		})
	}
}

// playChurn opens, locks, unlocks and closes the lock again and again.
func playChurn(args []string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for range count {
		mu, p, err := openMutex(args)
		if err != nil {
			return err
		}
		abandoned, err := mu.Lock(context.Background())
		if err != nil || abandoned {
			return fmt.Errorf("abandoned %v, %w", abandoned, err)
		}
		p.plain++
		if err := errors.Join(mu.Unlock(), mu.Close()); err != nil {
			return err
		}
	}
	return nil
}

// TestNobodyDies lets processes come and go while others check whether the holder has
// died.
func TestNobodyDies(t *testing.T) {
	w := newWorld(t)
	count := 2000
	if testing.Short() {
		count /= 10
	}
	var children []*child
	for range 3 {
		children = append(children, w.start(nil, "churn", count))
	}
	mu, done := w.mutex(), make(chan struct{})
	go func() {
		defer close(done)
		for _, c := range children {
			c.wait()
		}
	}()
	for rounds, over := uint64(0), false; !over; rounds++ {
		select {
		case <-done:
			over = true
			t.Logf("%d rounds of looking", rounds)
		default:
		}
		ok, abandoned, err := mu.TryLock()
		if abandoned || err != nil {
			t.Fatalf("TryLock: %v, %v", abandoned, err)
		}
		if ok {
			must(t, mu.Unlock())
		}
	}
	if want := uint64(3 * count); w.page.plain != want {
		t.Errorf("%d locks, want %d", w.page.plain, want)
	}
}
