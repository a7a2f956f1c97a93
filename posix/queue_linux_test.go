package posix_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
)

// createQueue creates a queue until the end of the test.
func createQueue(t testing.TB, name string, o *posix.QueueOptions) *posix.Queue {
	t.Helper()
	q, err := posix.CreateQueue(name, o)
	must(t, err)
	t.Cleanup(func() {
		if err := q.Close(); !errors.Is(err, fs.ErrClosed) {
			must(t, err)
		}
		must(t, posix.UnlinkQueue(name))
	})
	return q
}

var small = &posix.QueueOptions{Mode: 0o600, MaxMsgs: 3, MsgSize: 16}

func TestQueue(t *testing.T) {
	q := createQueue(t, "/q", small)
	ctx := t.Context()
	if a, err := q.Attributes(); err != nil || a != (posix.Attributes{MaxMsgs: 3, MsgSize: 16}) {
		t.Errorf("Attributes = %+v, %v", a, err)
	}
	must(t, q.Send(ctx, []byte("low"), 0))
	must(t, q.Send(ctx, []byte("high"), 32767))
	must(t, q.Send(ctx, nil, 0))
	if ok, err := q.TrySend([]byte("x"), 0); ok || err != nil {
		t.Errorf("TrySend to a full queue = %v, %v", ok, err)
	}
	must(t, q.Wait(ctx))
	if a, err := q.Attributes(); a.CurMsgs != 3 || err != nil {
		t.Errorf("Attributes = %+v, %v", a, err)
	}
	buf := make([]byte, 16)
	for _, want := range []string{"high 32767", "low 0", " 0"} {
		n, prio, err := q.Receive(ctx, buf)
		if got := fmt.Sprint(string(buf[:n]), " ", prio); got != want || err != nil {
			t.Errorf("received %q, %v, want %q", got, err, want)
		}
	}
	if n, prio, ok, err := q.TryReceive(buf); n != 0 || prio != 0 || ok || err != nil {
		t.Errorf("TryReceive from an empty queue = %d, %d, %v, %v", n, prio, ok, err)
	}
	if info, err := q.Stat(); err != nil || info.Name != "/q" || info.Mode != 0o600 {
		t.Errorf("Stat = %+v, %v", info, err)
	}
	must(t, q.Chmod(0o640))
	must(t, q.Chown(-1, -1))
	if info, _ := q.Stat(); info.Mode != 0o640 {
		t.Errorf("mode %v after Chmod", info.Mode)
	}
}

func TestQueueErrors(t *testing.T) {
	ctx := t.Context()
	q := createQueue(t, "/q", small)
	readOnly, err := posix.OpenQueue("q", posix.ReadOnly)
	must(t, err)
	defer readOnly.Close()
	writeOnly, err := posix.OpenQueue("/q", posix.WriteOnly)
	must(t, err)
	defer writeOnly.Close()
	if writeOnly.Name() != "/q" {
		t.Errorf("Name() = %q", writeOnly.Name())
	}
	receive := func(q *posix.Queue, size int) error {
		_, _, err := q.Receive(ctx, make([]byte, size))
		return err
	}
	createErr := func(o *posix.QueueOptions) error {
		_, err := posix.CreateQueue("/none", o)
		return err
	}
	limits, err := posix.MqLimits()
	must(t, err)
	huge := limits.MsgSizeMax
	if os.Getuid() == 0 {
		huge = 16 << 20 // the limit with CAP_SYS_RESOURCE
	}
	for _, tt := range []struct {
		what string
		err  error
		want error
	}{
		{"a message too long", q.Send(ctx, make([]byte, 17), 0), unix.EMSGSIZE},
		{"a priority too high", q.Send(ctx, nil, 32768), unix.EINVAL},
		{"the highest priority", q.Send(ctx, nil, ^uint(0)), unix.EINVAL},
		{"a priority that could be cut to 5", q.Send(ctx, nil, 1<<(strconv.IntSize-1)|5), unix.EINVAL},
		{"a buffer too short", receive(q, 15), unix.EMSGSIZE},
		{"send to read-only", readOnly.Send(ctx, nil, 0), unix.EBADF},
		{"receive from write-only", receive(writeOnly, 16), unix.EBADF},
		{"open what is not there", second(posix.OpenQueue("/none", posix.ReadWrite)), fs.ErrNotExist},
		{"unlink what is not there", posix.UnlinkQueue("/none"), fs.ErrNotExist},
		{"create what is there", second(posix.CreateQueue("/q", nil)), fs.ErrExist},
		{"one size alone", createErr(&posix.QueueOptions{MaxMsgs: 1}), unix.EINVAL},
		{"a negative size", createErr(&posix.QueueOptions{MaxMsgs: -1, MsgSize: 1}), unix.EINVAL},
		{"messages too large", createErr(&posix.QueueOptions{MaxMsgs: 1, MsgSize: huge + 1}), unix.EINVAL},
		{"a mode with a type", createErr(&posix.QueueOptions{Mode: fs.ModeDir}), unix.EINVAL},
		{"chmod with a type", q.Chmod(fs.ModeDir), unix.EINVAL},
	} {
		var e *posix.Error
		if !errors.Is(tt.err, tt.want) || !errors.As(tt.err, &e) {
			t.Errorf("%s: %v, want %v", tt.what, tt.err, tt.want)
		}
	}
	must(t, q.Close())
	wantErr(t, q.Send(ctx, nil, 0), fs.ErrClosed)
	wantErr(t, receive(q, 16), fs.ErrClosed)
	wantErr(t, second(q.Attributes()), fs.ErrClosed)
	wantErr(t, second(q.Stat()), fs.ErrClosed)
	wantErr(t, q.Wait(ctx), fs.ErrClosed)
	wantErr(t, q.Close(), fs.ErrClosed)
}

// Every wait ends when its context is done, and leaves the queue unchanged.
func TestQueueCancelled(t *testing.T) {
	full, empty := createQueue(t, "/full", small), createQueue(t, "/empty", small)
	for range 3 {
		must(t, full.Send(t.Context(), nil, 0))
	}
	for what, wait := range map[string]func(context.Context) error{
		"Send":    func(ctx context.Context) error { return full.Send(ctx, []byte("x"), 0) },
		"Receive": func(ctx context.Context) error { _, _, err := empty.Receive(ctx, make([]byte, 16)); return err },
		"Wait":    empty.Wait,
	} {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := wait(ctx)
		cancel()
		if d := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || d < 20*time.Millisecond || d > patience {
			t.Errorf("%s = %v after %v", what, err, d)
		}
	}
	if a, _ := full.Attributes(); a.CurMsgs != 3 {
		t.Errorf("%d messages, want 3", a.CurMsgs)
	}
}

// With a done context, a call that need not wait does nothing.
func TestDoneContext(t *testing.T) {
	q, s := createQueue(t, "/q", small), createSemaphore(t, "/s", 1)
	must(t, q.Send(t.Context(), nil, 0))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, err := range map[string]error{
		"Send": q.Send(ctx, nil, 0), "Receive": third(q.Receive(ctx, make([]byte, 16))), "Wait": q.Wait(ctx), "Acquire": s.Acquire(ctx, 1),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", what, err)
		}
	}
	wantValue(t, s, 1)
	if a, err := q.Attributes(); a.CurMsgs != 1 || err != nil {
		t.Errorf("%d messages, %v, want 1", a.CurMsgs, err)
	}
}

// Waiters go on when there is something for them, whatever signals arrive.
func TestQueueWakes(t *testing.T) {
	q := createQueue(t, "/q", small)
	const count = 2000
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Kill(os.Getpid(), unix.SIGURG)
			}
		}
	}()
	sent := make(chan error, 1)
	go func() {
		for i := range count {
			if err := q.Send(context.Background(), []byte(fmt.Sprint(i)), 1); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	buf := make([]byte, 16)
	for i := range count {
		must(t, q.Wait(t.Context()))
		n, prio, err := q.Receive(t.Context(), buf)
		if string(buf[:n]) != fmt.Sprint(i) || prio != 1 || err != nil {
			t.Fatalf("message %d is %q, %d, %v", i, buf[:n], prio, err)
		}
	}
	must(t, <-sent)
}

func TestQueues(t *testing.T) {
	b := createQueue(t, "/b", small)
	createQueue(t, "/a", &posix.QueueOptions{Mode: 0o400})
	must(t, b.Send(t.Context(), []byte("12345"), 0))
	must(t, b.Send(t.Context(), []byte("678"), 0))
	limits, err := posix.MqLimits()
	must(t, err)
	var got []string
	for info, err := range posix.Queues() {
		must(t, err)
		got = append(got, fmt.Sprint(info.Name, info.Mode, info.Known, info.Attributes, info.Bytes, info.NotifyPID))
	}
	want := []string{
		fmt.Sprint("/a", fs.FileMode(0o400), true, posix.Attributes{MaxMsgs: limits.MsgDefault, MsgSize: limits.MsgSizeDefault}, 0, 0),
		fmt.Sprint("/b", fs.FileMode(0o600), true, posix.Attributes{MaxMsgs: 3, MsgSize: 16, CurMsgs: 2}, 8, 0),
	}
	if !slices.Equal(got, want) {
		t.Errorf("Queues = %q, want %q", got, want)
	}
	for range posix.Queues() {
		break
	}
	if limits.QueuesMax == 0 || limits.MsgMax == 0 || limits.MsgSizeMax == 0 {
		t.Errorf("MqLimits = %+v", limits)
	}
}

// If the file system is not mounted, the error says so.
func TestQueuesNotMounted(t *testing.T) {
	needRoot(t)
	for what, hide := range map[string]func() error{
		"something else is there": func() error { return unix.Mount("tmpfs", "/dev/mqueue", "tmpfs", 0, "") },
		"nothing is there":        func() error { return unix.Mount("tmpfs", "/dev", "tmpfs", 0, "") },
	} {
		must(t, hide())
		var got []error
		for _, err := range posix.Queues() {
			got = append(got, err)
		}
		var objects, semaphores error
		for _, err := range posix.Objects() {
			objects = err
		}
		for _, err := range posix.Semaphores() {
			semaphores = err
		}
		_, usage := posix.ShmUsage()
		dir := "/dev/mqueue"
		if strings.HasPrefix(what, "nothing") {
			dir = "/dev"
		}
		must(t, unix.Unmount(dir, 0))
		if len(got) != 1 || !errors.Is(got[0], posix.ErrNotMounted) || !strings.Contains(got[0].Error(), "mount -t mqueue") {
			t.Errorf("%s: %v, want ErrNotMounted", what, got)
		}
		if dir == "/dev" {
			for _, err := range []error{objects, semaphores, usage} {
				wantErr(t, err, fs.ErrNotExist)
			}
		}
	}
}

func TestQueueAgainstC(t *testing.T) {
	program := compile(t)
	q := createQueue(t, "/q", &posix.QueueOptions{Mode: 0o600, MaxMsgs: 4, MsgSize: 100})
	must(t, q.Send(t.Context(), []byte("from-go"), 7))
	if got := output(t, program, "mq-receive", "/q"); got != "from-go 7 4 100" {
		t.Errorf("C receives %q", got)
	}
	// The other direction, and a wait.
	type received struct {
		text string
		err  error
	}
	done := make(chan received, 1)
	go func() {
		buf := make([]byte, 100)
		n, prio, err := q.Receive(context.Background(), buf)
		done <- received{fmt.Sprint(string(buf[:n]), " ", prio), err}
	}()
	output(t, program, "mq-send", "/q", "from-c", "9")
	if got := <-done; got.text != "from-c 9" || got.err != nil {
		t.Errorf("Go receives %q, %v", got.text, got.err)
	}

	ipctest.SkipUnderQEMU(t, "it has no mq_notify")
	peer := start(t, program, "mq-notify", "/q")
	peer.Line()
	for info, err := range posix.Queues() {
		must(t, err)
		if info.NotifyPID != peer.PID() {
			t.Errorf("NotifyPID %d, want %d", info.NotifyPID, peer.PID())
		}
	}
	peer.End()
}

// The error names the limit on the number of queues.
func TestQueuesMax(t *testing.T) {
	needRoot(t)
	const path = "/proc/sys/fs/mqueue/queues_max"
	old, err := os.ReadFile(path)
	must(t, err)
	if err := os.WriteFile(path, []byte("1"), 0); err != nil {
		t.Skip(err)
	}
	defer func() { must(t, os.WriteFile(path, old, 0)) }()
	createQueue(t, "/one", small)
	if _, err := posix.CreateQueue("/two", small); err == nil { // root may, with CAP_SYS_RESOURCE
		must(t, posix.UnlinkQueue("/two"))
	} else {
		wantErr(t, err, unix.ENOSPC)
	}
}
