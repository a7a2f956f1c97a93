package watch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/watch"
	"github.com/sysvipc/gipc/posix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newNotifier(t *testing.T) *watch.Notifier {
	t.Helper()
	n, err := watch.NewNotifier()
	must(t, err)
	t.Cleanup(func() { must(t, n.Close()) })
	for _, kind := range ref.Kinds() {
		must(t, n.Add(kind))
	}
	if got := fmt.Sprint(n.Dirs()); got != "[/dev/shm /dev/mqueue]" {
		t.Fatalf("notices about %s", got)
	}
	return n
}

// take returns the notices so far, as words.
func take(t *testing.T, n *watch.Notifier) (list []string) {
	t.Helper()
	notices, lost, err := n.Take()
	must(t, err)
	if lost > 0 {
		t.Errorf("notices were lost %d times", lost)
	}
	for _, notice := range notices {
		what := "made"
		if notice.Removed {
			what = "removed"
		}
		list = append(list, what+" "+notice.Ref.String())
	}
	return list
}

// TestNotices: the kernel reports all kinds of POSIX objects as they come and go.
func TestNotices(t *testing.T) {
	n := newNotifier(t)
	o, err := posix.CreateObject("/memory", 4096, nil)
	must(t, err)
	must(t, o.Close())
	s, err := posix.CreateSemaphore("/sem", 1, nil)
	must(t, err)
	must(t, s.Close())
	q, err := posix.CreateQueue("/queue", nil)
	must(t, err)
	must(t, q.Close())
	must(t, os.Mkdir("/dev/shm/dir", 0o700))
	must(t, os.Remove("/dev/shm/dir"))
	must(t, os.Rename("/dev/shm/memory", "/dev/shm/renamed"))
	must(t, posix.UnlinkSemaphore("/sem"))
	must(t, posix.UnlinkQueue("/queue"))
	must(t, posix.UnlinkObject("/renamed"))
	want := []string{
		"made pshm:/memory", "made psem:/sem", "made pmsg:/queue", "removed pshm:/memory", "made pshm:/renamed",
		"removed psem:/sem", "removed pmsg:/queue", "removed pshm:/renamed",
	}
	if got := take(t, n); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestNoticedObject: an object that is still there when the notice is read is described by
// the notice, but not if it may be another one.
func TestNoticedObject(t *testing.T) {
	n := newNotifier(t)
	remake := func() uint64 {
		_ = posix.UnlinkObject("/x")
		o, err := posix.CreateObject("/x", 4096, nil)
		must(t, err)
		info, err := o.Stat()
		must(t, errors.Join(err, o.Close()))
		return info.Ino
	}
	remake()
	last := remake()
	notices, _, err := n.Take()
	must(t, err)
	must(t, posix.UnlinkObject("/x"))
	if len(notices) != 3 || notices[0].Object != nil || notices[2].Object == nil || notices[2].Object.PShm.Ino != last {
		t.Errorf("%+v, want a description of the inode %d only", notices, last)
	}
}

// TestDescribedOnce: while a name is used again and again, no two notices describe the same
// file.
func TestDescribedOnce(t *testing.T) {
	n := newNotifier(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		var err error
		for err == nil && ctx.Err() == nil {
			var o *posix.Object
			if o, err = posix.CreateObject("/x", 1, nil); err == nil {
				err = errors.Join(o.Close(), posix.UnlinkObject("/x"))
			}
		}
		done <- err
	}()
	seen := make(map[uint64]bool)
	const looks = 2000
	for range looks {
		notices, _, err := n.Take()
		must(t, err)
		for _, notice := range notices {
			if notice.Object == nil {
				continue
			}
			ino := notice.Object.PShm.Ino
			if seen[ino] {
				t.Fatalf("two notices describe the inode %d", ino)
			}
			seen[ino] = true
		}
	}
	cancel()
	must(t, <-done)
}

// TestNotifierWait: Wait reads notices while it waits, and a context ends it.
func TestNotifierWait(t *testing.T) {
	n := newNotifier(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- n.Wait(ctx, time.Hour) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	o, err := posix.CreateObject("/x", 4096, nil)
	must(t, errors.Join(err, o.Close(), posix.UnlinkObject("/x")))
	must(t, n.Wait(t.Context(), time.Millisecond))
	if got := take(t, n); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// TestOverflow: notices that the kernel drops are counted, and later ones arrive.
func TestOverflow(t *testing.T) {
	n := newNotifier(t)
	const most = 16384 // fs.inotify.max_queued_events by default
	for lost := 0; lost == 0; {
		for range most {
			fd, err := unix.Open("/dev/shm/x", unix.O_CREAT|unix.O_CLOEXEC, 0o600)
			must(t, errors.Join(err, unix.Close(fd), unix.Unlink("/dev/shm/x")))
		}
		var err error
		_, lost, err = n.Take()
		must(t, err)
	}
	o, err := posix.CreateObject("/y", 4096, nil)
	must(t, errors.Join(err, o.Close(), posix.UnlinkObject("/y")))
	if got := take(t, n); !slices.Equal(got, []string{"made pshm:/y", "removed pshm:/y"}) {
		t.Errorf("after the overflow: %q", got)
	}
}

// TestUnmounted: a directory that was unmounted is noticed, and can be added again.
func TestUnmounted(t *testing.T) {
	n := newNotifier(t)
	must(t, unix.Unmount("/dev/shm", 0))
	must(t, unix.Mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777"))
	if got := take(t, n); len(got) > 0 {
		t.Errorf("%q", got)
	}
	if got := fmt.Sprint(n.Dirs()); got != "[/dev/mqueue]" {
		t.Errorf("after the unmount: notices about %s", got)
	}
	must(t, n.Add(ref.PSem))
	s, err := posix.CreateSemaphore("/s", 1, nil)
	must(t, errors.Join(err, s.Close(), posix.UnlinkSemaphore("/s")))
	if got := take(t, n); !slices.Equal(got, []string{"made psem:/s", "removed psem:/s"}) {
		t.Errorf("%q", got)
	}
}
