package shmring_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
)

// selectAndReply receives the messages of RINGS rings, in the descriptors from 3, and sends
// each back through the ring in the descriptor after them. If ERRNO is not 0, the kernel
// refuses futex_waitv(2) with it.
func selectAndReply(args []string) error {
	if e := number(args[1]); e != 0 {
		if err := ipctest.RefuseCall(unix.SYS_FUTEX_WAITV, unix.Errno(e)); err != nil {
			return err
		}
	}
	var sources []shmring.Source
	var consumers []*shmring.Consumer
	for i := range number(args[0]) {
		ring, err := inherited(uintptr(3+i), shmring.OpenIn)
		if err != nil {
			return err
		}
		c, err := ring.JoinConsumer()
		if err != nil {
			return err
		}
		consumers, sources = append(consumers, c), append(sources, c)
	}
	ring, err := inherited(uintptr(3+len(sources)), shmring.OpenIn)
	if err != nil {
		return err
	}
	back, err := ring.JoinProducer()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	var s shmring.Selector
	for ctx := context.Background(); ; {
		i, err := s.Select(ctx, sources...)
		if err != nil {
			return err
		}
		msg, ok, err := consumers[i].TryReceive()
		if !ok || err != nil {
			return fmt.Errorf("source %d is ready: %v, %w", i, ok, err)
		}
		if err := back.Send(ctx, msg); err != nil {
			return err
		}
	}
}

// TestSelectWakes sends messages to a process that selects from several rings, to one or
// to some at a time. Each message wakes it at once, even if the kernel has no
// futex_waitv(2).
func TestSelectWakes(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	for name, e := range map[string]unix.Errno{"together": 0, "older kernel": unix.ENOSYS, "policy": unix.EPERM} {
		for _, rings := range []int{1, 2, 9} {
			t.Run(fmt.Sprintf("%s/%d", name, rings), func(t *testing.T) { testSelectWakes(t, rings, e) })
		}
	}
}

func testSelectWakes(t *testing.T, rings int, e unix.Errno) {
	ctx := background(t)
	var out []*shmring.Producer
	var files []*os.File
	for i := range rings {
		ring, f := newRing(t, 4096, shmring.Producers(1+i%2))
		out, files = append(out, producer(t, ring)), append(files, f)
	}
	ring, f := newRing(t, 4096, shmring.One)
	in := consumer(t, ring)
	cmd := goPeer(t, self(t), nil, "selector", rings, int(e))
	cmd.ExtraFiles = append(files, f)
	start(t, cmd)
	slow := newSlowness(t)
	var numbers [9]int // of the next message
	for round := range ipctest.Rounds(t, 400, 0) {
		if pause := rand.IntN(4); pause > 0 { // so that it spins, falls asleep, or sleeps
			time.Sleep(time.Duration(rand.IntN(100*pause)) * time.Microsecond)
		}
		began, some := time.Now(), rand.Perm(rings)[:1+rand.IntN(min(rings, 3))]
		for _, i := range some {
			noError(t, out[i].Send(ctx, []byte{byte(i), byte(numbers[i])}))
		}
		for range some {
			msg, err := in.Receive(ctx)
			noError(t, err)
			i := int(msg[0])
			if !slices.Contains(some, i) || msg[1] != byte(numbers[i]) {
				t.Fatalf("round %d: reply %v, sent to %v, numbers %v", round, msg, some, numbers)
			}
			numbers[i]++
		}
		slow.count(began)
	}
	slow.check(t)
}

// TestSelectDeath kills the other side of a source, while another source lives.
func TestSelectDeath(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	for how, prepare := range selectors {
		for name, begin := range mortals {
			t.Run(how+"/"+name, func(t *testing.T) {
				t.Parallel()
				m := begin(t)
				living, f := newRing(t, 4096, shmring.Many)
				start(t, goPeer(t, self(t), f, "holder", "producer"))
				c := consumer(t, living)
				var s shmring.Selector
				prepare(&s)
				selected := make(chan error, 1)
				go func() {
					i, err := s.Select(background(t), c, m.source)
					if err == nil && i != 1 {
						err = fmt.Errorf("source %d is ready", i)
					}
					selected <- err
				}()
				select {
				case err := <-selected:
					t.Fatalf("Select returned before it died: %v", err)
				case <-time.After(2 * noticed): // by now it sleeps, for the longest times
				}
				watch := ipctest.StartWatch(t)
				m.die()
				err := <-selected
				if d, tooLong := watch.Stop(noticed); err != nil || tooLong {
					t.Errorf("Select: %v after %v, want the death within %v", err, d, noticed)
				}
				if err := m.try(); !errors.Is(err, m.want) {
					t.Errorf("the next call: %v, want %v", err, m.want)
				}
			})
		}
	}
}

// A mortal is a source whose other side dies.
type mortal struct {
	source shmring.Source
	die    func()
	try    func() error
	want   error
}

var mortals = map[string]func(t *testing.T) mortal{
	"consumer": func(t *testing.T) mortal {
		ring, f := newRing(t, 4096, shmring.One)
		child := start(t, goPeer(t, self(t), f, "holder", "producer"))
		c := consumer(t, ring)
		return mortal{c, func() { kill(t, child) }, func() error { _, _, err := c.TryReceive(); return err }, shmring.ErrPeerDied}
	},
	"claim": func(t *testing.T) mortal { // the message after it arrives
		ring, f := newRing(t, 4096, shmring.Many)
		child := start(t, goPeer(t, self(t), f, "holder", "claim"))
		c := consumer(t, ring)
		noError(t, producer(t, ring).Send(t.Context(), []byte("after the claim")))
		return mortal{c, func() { kill(t, child) }, func() error {
			msg, ok, err := c.TryReceive()
			if string(msg) != "after the claim" {
				err = fmt.Errorf("received %q, %v, %w", msg, ok, err)
			}
			return err
		}, nil}
	},
	"subscription": func(t *testing.T) mortal {
		b, f := newBroadcast(t, 4096)
		child := start(t, goPeer(t, self(t), f, "writer"))
		s := subscribe(t, b, shmring.Latest, nil)
		return mortal{s, func() { kill(t, child) }, func() error { _, _, err := s.TryReceive(); return err }, shmring.ErrPeerDied}
	},
	"room": func(t *testing.T) mortal {
		ring, f := newRing(t, 4096, shmring.Many)
		child := start(t, goPeer(t, self(t), f, "holder", "consumer"))
		p := producer(t, ring)
		for range 2 {
			noError(t, p.Send(t.Context(), make([]byte, 2000)))
		}
		return mortal{p.Room(2000), func() { kill(t, child) }, func() error { _, _, err := p.TryClaim(2000); return err }, shmring.ErrPeerDied}
	},
}

// holdWriter joins a broadcast as its writer and waits for its end.
func holdWriter([]string) error {
	b, err := inherited(3, shmring.OpenBroadcastIn)
	if err != nil {
		return err
	}
	if _, err := b.JoinWriter(nil); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// TestSelectOutlives kills the other side of sources that outlive it.
func TestSelectOutlives(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	ring, err := shmring.OpenOrCreate(t.Context(), "/outlives", &shmring.NamedOptions{Outlive: true, Producers: shmring.Many})
	noError(t, err)
	f, err := os.OpenFile("/dev/shm/outlives", os.O_RDWR, 0)
	noError(t, err)
	defer f.Close()
	child := start(t, goPeer(t, self(t), f, "holder", "producer"))
	c := consumer(t, ring)
	ctx, cancel := context.WithTimeout(t.Context(), 2*noticed)
	defer cancel()
	time.AfterFunc(noticed/2, func() { _ = child.Process.Kill() })
	var s shmring.Selector
	if i, err := s.Select(ctx, c); i != -1 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Select = %d, %v", i, err)
	}
	if m := ring.Members(); m.Died != 1 {
		t.Errorf("%+v, want one that died", m)
	}
	noError(t, errors.Join(c.Close(), ring.CloseAndRemove()))
}

// TestSelectIdle has Selectors wait for processes that do nothing.
func TestSelectIdle(t *testing.T) {
	const each = 5
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan error)
	for _, prepare := range selectors {
		for range each {
			var sources []shmring.Source
			for range each {
				ring, _ := newRing(t, 4096, shmring.Many)
				producer(t, ring)
				sources = append(sources, consumer(t, ring))
			}
			go func() {
				var s shmring.Selector
				prepare(&s)
				_, err := s.Select(ctx, sources...)
				results <- err
			}()
		}
	}
	time.Sleep(time.Second) // past the spins and the first ticks
	before, began := cpuTime(t), time.Now()
	time.Sleep(time.Second)
	used, wall := cpuTime(t)-before, time.Since(began)
	if used > wall/50 {
		t.Errorf("waiting Selectors used %v of processor in %v", used, wall)
	}
	t.Logf("waiting Selectors used %v of processor in %v", used, wall)
	cancel()
	for range each * len(selectors) {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("Select = %v", err)
		}
	}
}

// TestSelectTruncated truncates the memory of a source, also while a Selector sleeps.
func TestSelectTruncated(t *testing.T) {
	ipctest.SkipUnderQEMU(t, "a SIGBUS comes without its address")
	for how, prepare := range selectors {
		t.Run(how, func(t *testing.T) {
			c, f := newCell[page](t)
			never := consumerCandidate(background(t), t, shmring.Many).source()
			var s shmring.Selector
			prepare(&s)
			notReady(t, &s, never, c.Newer(0))
			time.AfterFunc(20*time.Millisecond, func() { noError(t, f.Truncate(0)) })
			for range 2 {
				selects(t, &s, 1, never, c.Newer(0))
			}
			if _, _, err := c.Load(); !errors.Is(err, shmring.ErrFault) {
				t.Errorf("Load = %v, want ErrFault", err)
			}
			noError(t, f.Truncate(int64(shmring.CellSize[page]()))) // for the clean-up
		})
	}
}

// TestMadSources has peers that write garbage into the memory of four sources. Every call
// ends, without a panic.
func TestMadSources(t *testing.T) {
	ipctest.SkipUnderQEMU(t, cannotStart)
	for trial := range ipctest.Rounds(t, 10, 4) {
		t.Run(strconv.Itoa(trial), func(t *testing.T) { testMadSources(t, trial) })
	}
}

func testMadSources(t *testing.T, trial int) {
	mem, ringFile := shared(t, shmring.Size(16<<10))
	ring, err := shmring.Create(mem, &shmring.Options{Producers: shmring.Many})
	noError(t, err)
	b, broadcastFile := newBroadcast(t, 16<<10)
	cell, cellFile := newCell[page](t)
	service, serviceFile := newService(t, killLimits())
	v := joinServer(t, service)
	var s shmring.Selector
	if trial%2 > 0 {
		s.SleepApart()
	}
	c, sub := consumer(t, ring), subscribe(t, b, shmring.Latest, nil)
	for role, f := range map[string]*os.File{"mad": ringFile, "madBroadcast": broadcastFile, "madCell": cellFile, "madService": serviceFile} {
		child := goPeer(t, self(t), f, role, trial)
		noError(t, child.Start())
		defer kill(t, child)
	}
	version := uint64(0)
	for end := time.Now().Add(150 * time.Millisecond); time.Now().Before(end); {
		limited(t, "Select", func(ctx context.Context) {
			switch i, _ := s.Select(ctx, c, sub, cell.Newer(version), v); i {
			case 0:
				_, _, _ = c.TryReceive()
			case 1:
				_, _, _ = sub.TryReceive()
			case 2:
				_, version, _ = cell.Load()
			case 3:
				if r, ok, err := v.TryReceive(); ok && err == nil {
					_ = r.Reply(nil, nil)
				}
			}
		})
	}
}
