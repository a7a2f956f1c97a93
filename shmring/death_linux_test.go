package shmring_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
	"github.com/sysvipc/gipc/shmring"
	"github.com/sysvipc/gipc/sysv"
)

// A memory is memory with a ring in it, and how a child finds it.
type memory struct {
	ring *shmring.Ring
	file *os.File // descriptor 3 of the child, or nil
	env  string

	program string        // the child is a program in C
	alive   time.Duration // how long it lives while this process waits, if not 0
}

// lives returns how long a child lives while this process waits.
func (m memory) lives(usual time.Duration) time.Duration {
	if m.alive != 0 {
		return m.alive
	}
	return usual
}

// memories makes a ring for many producers in each kind of memory.
var memories = map[string]func(t *testing.T) memory{
	"memfd": func(t *testing.T) memory {
		ring, f := newRing(t, 4096, shmring.Many)
		return memory{ring: ring, file: f}
	},
	"object": func(t *testing.T) memory {
		name := "/" + strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())
		o, err := posix.CreateObject(name, int64(shmring.Size(4096)), &posix.ObjectOptions{Mode: 0o600})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = posix.UnlinkObject(name) })
		m, err := o.Map(nil)
		if err != nil {
			t.Fatal(err)
		}
		o.Close() // it has a name
		t.Cleanup(func() { _ = m.Unmap() })
		return memory{ring: create(t, m.Bytes()), env: name}
	},
	"unnamed": func(t *testing.T) memory {
		ring, err := shmring.CreateUnnamed("gipc-test", &shmring.UnnamedOptions{Producers: shmring.Many, Capacity: 4096})
		if err != nil {
			t.Fatal(err)
		}
		return memory{ring: ring, file: ring.Object().File(), env: memoryInherited}
	},
	"segment": func(t *testing.T) memory {
		s, err := sysv.CreateSegment(sysv.Private, int64(shmring.Size(4096)), &sysv.SegmentOptions{Mode: 0o600})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Remove() })
		a, err := s.Attach(nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = a.Detach() })
		return memory{ring: create(t, a.Bytes()), env: strconv.Itoa(int(s))}
	},
	"name": func(t *testing.T) memory {
		return meeting(t, "/"+strings.NewReplacer("/", "-", " ", "-", "#", "-").Replace(t.Name()))
	},
	"key": func(t *testing.T) memory { return meeting(t, sysv.Key(lastKey.Add(1)).String()) },
}

// lastKey is the key that a test used last.
var lastKey atomic.Int32

// meeting makes a ring with a name or a key. The test is the last to close it.
func meeting(t *testing.T, w string) memory {
	ring, err := openWhere(w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(ring.Unlink(), ring.Close()); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	return memory{ring: ring, env: "meet:" + w}
}

func create(t *testing.T, mem []byte) *shmring.Ring {
	t.Helper()
	ring, err := shmring.Create(mem, &shmring.Options{Producers: shmring.Many})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// A place is where a child runs.
type place func(t *testing.T, cmd *exec.Cmd)

func inNamespaces(flags uintptr) place {
	return func(_ *testing.T, cmd *exec.Cmd) {
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

// inContainer runs the child with a /proc and a boot_id of its own, as systemd-nspawn and
// LXC do.
func inContainer(t *testing.T, cmd *exec.Cmd) {
	inNamespaces(unix.CLONE_NEWPID|unix.CLONE_NEWNS)(t, cmd)
	id := filepath.Join(t.TempDir(), "boot_id")
	if err := os.WriteFile(id, []byte("01234567-89ab-cdef-0123-456789abcdef\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	const script = `mount --make-rprivate / && mount -t proc proc /proc &&
		mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`
	cmd.Args = append([]string{"sh", "-c", script, id, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
}

var places = map[string]place{
	"here":           func(*testing.T, *exec.Cmd) {},
	"pid namespace":  inNamespaces(unix.CLONE_NEWPID),
	"user namespace": inNamespaces(unix.CLONE_NEWPID | unix.CLONE_NEWUSER),
	"container":      inContainer,
}

// A holder is a child that has a role.
type holder struct {
	cmd *exec.Cmd
	in  io.Writer
}

func (m memory) hold(t *testing.T, where place, role string) holder {
	t.Helper()
	cmd := goPeer(t, self(t), m.file, "holder", role)
	if m.program != "" {
		cmd = command(m.program, m.file, "hold", role)
	}
	cmd.Env = append(cmd.Env, childMemory+"="+m.env)
	where(t, cmd)
	return holder{cmd, startTold(t, cmd)}
}

func (h holder) tell(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(h.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// noticed is the time within which a death must be noticed.
const noticed = 500 * time.Millisecond

// ways are the ways in which a holder loses its role.
var ways = map[string]func(t *testing.T, h holder){
	"killed": func(t *testing.T, h holder) { kill(t, h.cmd) },
	"oom": func(t *testing.T, h holder) {
		ipctest.LimitMemory(t, h.cmd.Process.Pid)
		h.tell(t, "oom")
	},
	"exec": func(t *testing.T, h holder) { h.tell(t, "exec") },
}

// TestDeath ends a process in every kind of place, with a role in a ring in every kind of
// memory. The waiting side notices the death, and no committed message is lost.
func TestDeath(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	// With -short, each kind of memory and each place is tried once.
	short := map[string]string{"memfd": "container", "segment": "user namespace", "object": "here", "name": "pid namespace", "key": "container", "memfd and C": "pid namespace", "unnamed": "user namespace"}
	kinds := maps.Clone(memories)
	program := compileC(t, "ring")
	kinds["memfd and C"] = func(t *testing.T) memory {
		m := memories["memfd"](t)
		m.program = program
		return m
	}
	for kind, make := range kinds {
		for name, where := range places {
			if testing.Short() && short[kind] != name {
				continue
			}
			if os.Geteuid() != 0 && name == "container" {
				t.Log("SKIPPED: containers: only root can mount over boot_id")
				continue
			}
			for way, die := range ways {
				if kind == "memfd and C" && way == "oom" {
					continue // the C program does not know this command
				}
				t.Run(fmt.Sprintf("%s/%s/%s", kind, name, way), func(t *testing.T) {
					t.Parallel()
					t.Run("producer", func(t *testing.T) { producerDies(t, make(t), where, die) })
					t.Run("consumer", func(t *testing.T) { consumerDies(t, make(t), where, die) })
				})
			}
		}
	}
}

// TestDeaths is TestDeath with random choices, for as long as a soak lasts.
func TestDeaths(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	kinds, where, how := slices.Sorted(maps.Keys(memories)), slices.Sorted(maps.Keys(places)), slices.Sorted(maps.Keys(ways))
	if os.Geteuid() != 0 {
		where = slices.DeleteFunc(where, func(name string) bool { return name == "container" })
	}
	for round := range ipctest.Rounds(t, 20, 1) {
		kind, place, way := kinds[rng.IntN(len(kinds))], where[rng.IntN(len(where))], how[rng.IntN(len(how))]
		dies := producerDies
		if rng.IntN(2) == 0 {
			dies = consumerDies
		}
		ok := t.Run(fmt.Sprintf("%d/%s/%s/%s", round, kind, place, way), func(t *testing.T) {
			m := memories[kind](t)
			m.alive = time.Duration(1+rng.IntN(200)) * time.Millisecond
			dies(t, m, places[place], ways[way])
		})
		if !ok {
			t.Fatalf("seed %d", seed)
		}
	}
}

func producerDies(t *testing.T, m memory, where place, die func(*testing.T, holder)) {
	ctx := background(t)
	child := m.hold(t, where, "claim")
	c, p := consumer(t, m.ring), producer(t, m.ring)
	if err := p.Send(ctx, []byte("after the claim")); err != nil {
		t.Fatal(err)
	}
	type result struct {
		msg string
		err error
	}
	results := make(chan result, 2)
	go func() {
		for range 2 {
			msg, err := c.Receive(ctx)
			results <- result{string(msg), err}
		}
	}()
	select {
	case r := <-results:
		t.Fatalf("received %q, %v past a claim of a living producer", r.msg, r.err)
	case <-time.After(m.lives(2 * noticed)): // by now it sleeps, for the longest times
	}
	watch := ipctest.StartWatch(t)
	die(t, child)
	r := <-results
	if d, tooLong := watch.Stop(noticed); r.msg != "after the claim" || r.err != nil || tooLong {
		t.Errorf("received %q, %v after %v, want the message within %v", r.msg, r.err, d, noticed)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if r := <-results; !errors.Is(r.err, shmring.ErrPeerDied) {
		t.Errorf("at the end: %q, %v, want ErrPeerDied", r.msg, r.err)
	}
	if got := m.ring.Members(); got.Died != 1 || got.Producers != 0 {
		t.Errorf("%+v, want one that died", got)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func consumerDies(t *testing.T, m memory, where place, die func(*testing.T, holder)) {
	ctx := background(t)
	child := m.hold(t, where, "consumer")
	p := producer(t, m.ring)
	sent, failed := 0, make(chan error, 1)
	go func() {
		for {
			if err := p.Send(ctx, make([]byte, 1000)); err != nil {
				failed <- err
				return
			}
			sent++
		}
	}()
	select {
	case err := <-failed:
		t.Fatalf("%v with a living consumer", err)
	case <-time.After(m.lives(3 * noticed)):
	}
	watch := ipctest.StartWatch(t)
	die(t, child)
	err := <-failed
	if d, tooLong := watch.Stop(noticed); !errors.Is(err, shmring.ErrPeerDied) || tooLong {
		t.Errorf("%v after %v, want ErrPeerDied within %v", err, d, noticed)
	}
	c := consumer(t, m.ring)
	for i := range sent {
		if _, ok, err := c.TryReceive(); !ok || err != nil {
			t.Fatalf("message %d of %d: %v, %v", i, sent, ok, err)
		}
	}
	if err := errors.Join(p.Close(), c.Close()); err != nil {
		t.Error(err)
	}
}

// TestSiblings runs a producer and a consumer in PID namespaces of their own. Each notices
// the other's death.
func TestSiblings(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	for kind, make := range memories {
		t.Run(kind, func(t *testing.T) {
			m := make(t)
			child := m.hold(t, inNamespaces(unix.CLONE_NEWPID), "claim")
			cmd := goPeer(t, self(t), m.file, "consume", 0)
			cmd.Env = append(cmd.Env, childMemory+"="+m.env)
			inNamespaces(unix.CLONE_NEWPID)(t, cmd)
			var said strings.Builder
			cmd.Stderr = &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if !eventually(func() bool { return m.ring.Members().Consumer }) {
				t.Fatal("no consumer came")
			}
			time.Sleep(noticed)
			watch := ipctest.StartWatch(t)
			kill(t, child.cmd)
			_ = cmd.Wait()
			if d, tooLong := watch.Stop(noticed); !strings.Contains(said.String(), shmring.ErrPeerDied.Error()) || tooLong {
				t.Errorf("the consumer said %q after %v", said.String(), d)
			}
			if !m.ring.Abandoned() {
				t.Error("the ring is not abandoned, though both are dead")
			}
		})
	}
}

// TestStopped stops a producer with a claim, and continues it. Meanwhile it does not count
// as dead.
func TestStopped(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	stopped := 10 * time.Second
	if testing.Short() {
		stopped = 2 * time.Second
	}
	for kind, make := range memories {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			m := make(t)
			child := m.hold(t, inNamespaces(unix.CLONE_NEWPID), "claim")
			if err := child.cmd.Process.Signal(unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			c := consumer(t, m.ring)
			ctx, cancel := context.WithTimeout(context.Background(), stopped)
			defer cancel()
			if msg, err := c.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("while it is stopped: %q, %v", msg, err)
			}
			if m.ring.Abandoned() {
				t.Error("abandoned, though both live")
			}
			if err := child.cmd.Process.Signal(unix.SIGCONT); err != nil {
				t.Fatal(err)
			}
			child.tell(t, "end")
			if msg, err := c.Receive(background(t)); string(msg) != "late" || err != nil {
				t.Errorf("when it goes on: %q, %v", msg, err)
			}
			if msg, err := c.Receive(background(t)); !errors.Is(err, io.EOF) {
				t.Errorf("at the end: %q, %v", msg, err)
			}
			check(t, c.Close())
		})
	}
}

// TestNobodyDies lets processes join and leave all the time, while others check for
// deaths.
func TestNobodyDies(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	count := 10_000
	if testing.Short() {
		count /= 10
	}
	ring, f := newRing(t, 4096, shmring.Many)
	keeper := producer(t, ring)
	over := make(chan struct{})
	var churns []func()
	for range 2 {
		churns = append(churns, func() { must(t, goPeer(t, self(t), f, "churn", count)) })
	}
	go func() { together(churns...); close(over) }()
	for more, rounds := true, 0; more; rounds++ {
		select {
		case <-over:
			more = false
			t.Logf("%d rounds of looking", rounds)
		default:
		}
		c := consumer(t, ring)
		c.ReapProducers()
		if err := keeper.CheckConsumer(); err != nil {
			t.Fatal(err)
		}
		closing := make(chan error)
		go func() { closing <- c.Close() }()
		for closed := false; !closed; {
			if err := keeper.CheckConsumer(); errors.Is(err, shmring.ErrPeerDied) {
				t.Fatal(err)
			}
			select {
			case err := <-closing:
				if closed = true; err != nil {
					t.Fatal(err)
				}
			default:
			}
		}
	}
	if m := ring.Members(); m.Died != 0 || int(m.Joined) != 2*count+1 {
		t.Errorf("%+v, want %d joined and none dead", m, 2*count+1)
	}
}

// TestStale opens a ring in a file with the boot id of another run of the system, or of a
// container.
func TestStale(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "ring"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		t.Fatal(err)
	}
	if fs.Type == unix.TMPFS_MAGIC {
		t.Skip("SKIPPED: the directory for temporary files is not on a disk: set TMPDIR")
	}
	if err := f.Truncate(int64(shmring.Size(4096))); err != nil {
		t.Fatal(err)
	}
	mem, err := mapFile(f)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(mem) }()
	ring := create(t, mem)
	put64(112, 12345)(mem)
	if _, err := shmring.Open(mem); !errors.Is(err, shmring.ErrStale) {
		t.Errorf("Open = %v, want ErrStale", err)
	}
	p := producer(t, ring)
	if _, err := shmring.Open(mem); err != nil {
		t.Errorf("Open = %v while somebody in it lives", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestForgottenDescriptor closes the descriptor of the memory after Create. Processes can
// still join through that Ring, but Open fails. A ring made after that has its locks in the
// file of the IPC namespace.
func TestForgottenDescriptor(t *testing.T) {
	mem, f := shared(t, shmring.Size(4096))
	ring := create(t, mem)
	f.Close()
	if err := errors.Join(producer(t, ring).Close(), ring.Close()); err != nil {
		t.Error(err)
	}
	if _, err := shmring.Open(mem); !errors.Is(err, shmring.ErrForeign) {
		t.Errorf("Open = %v, want ErrForeign", err)
	}
	ring = create(t, mem) // with locks in the file of the IPC namespace
	again, err := shmring.Open(mem)
	if err != nil {
		t.Fatal(err)
	}
	producer(t, ring)
	if again.Abandoned() {
		t.Error("abandoned, though the producer lives")
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if _, err := again.JoinConsumer(); !errors.Is(err, shmring.ErrClosed) {
		t.Errorf("Consumer of a Ring that is closed: %v, want ErrClosed", err)
	}
}
