package interrupt

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/abi"
)

// The signal is repeated after firstPause, then at intervals that double up to
// longestPause.
const (
	firstPause   = 20 * time.Microsecond
	longestPause = 5 * time.Millisecond
)

// Do makes call, a system call that may sleep, again and again until it returns
// something other than EINTR or ctx is done. It returns nil, the error number or
// ctx.Err(). call must use Syscall, not RawSyscall, and must not start over with
// a timeout of its own.
//
// A call that succeeds although ctx is done counts: Do returns nil.
func Do(ctx context.Context, call func() abi.Errno) error {
	if ctx.Done() == nil {
		for {
			if e := call(); e != unix.EINTR {
				return errOrNil(e)
			}
		}
	}

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w := watch(ctx)
	defer w.end()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e := call(); e != unix.EINTR {
			return errOrNil(e)
		}
	}
}

func errOrNil(e abi.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// A watcher signals the thread that made it from the moment its context is done.
type watcher struct {
	stop func() bool
	over chan struct{} // closed when the call has returned
	gone chan struct{} // closed when no more signals will be sent
}

func watch(ctx context.Context) *watcher {
	w := &watcher{over: make(chan struct{}), gone: make(chan struct{})}
	tid := unix.Gettid()
	w.stop = context.AfterFunc(ctx, func() {
		defer close(w.gone)
		w.signal(unix.Getpid(), tid)
	})
	return w
}

func (w *watcher) signal(pid, tid int) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		// An error would mean that the thread is gone, and w.over says so.
		_ = unix.Tgkill(pid, tid, unix.SIGURG)
		select {
		case <-w.over:
			return
		case <-time.After(pause):
		}
	}
}

// end returns when no signal is under way any more.
func (w *watcher) end() {
	close(w.over)
	if !w.stop() {
		<-w.gone
	}
}
