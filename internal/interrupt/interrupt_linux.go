package interrupt

import (
	"context"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/abi"
)

// The signal is repeated after firstPause, then at intervals that double up to
// longestPause.
const (
	firstPause   = 20 * time.Microsecond
	longestPause = 5 * time.Millisecond
)

// Do repeats call, a system call that may sleep, until it returns something other than
// EINTR or ctx is done. It returns nil, the error number or ctx.Err(). call must use
// Syscall, not RawSyscall, and must not restart a relative timeout.
//
// If call succeeds although ctx is done, Do returns nil.
func Do(ctx context.Context, call func() abi.Errno) error { return do(ctx, call, nil) }

// DoRestarted is Do for a call that the kernel restarts after a signal, such as
// mq_timedreceive(2). The restarted call reads its deadline again, which ends it.
func DoRestarted(ctx context.Context, deadline *abi.Deadline, call func() abi.Errno) error {
	return do(ctx, call, deadline)
}

func do(ctx context.Context, call func() abi.Errno, deadline *abi.Deadline) error {
	if ctx.Done() == nil {
		for {
			if e := call(); e != unix.EINTR {
				return errOrNil(e)
			}
		}
	}

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var mask unix.Sigset_t
	if unblock(&mask) {
		defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil) }()
	}
	w := watch(ctx, deadline)
	defer w.end()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch e := call(); {
		case e == unix.EINTR:
		case e == unix.ETIMEDOUT && deadline != nil && ctx.Err() != nil:
		default:
			return errOrNil(e)
		}
	}
}

// unblock unblocks SIGURG for this thread, and reports whether it was blocked. It stores
// the previous mask in mask. The Go runtime unblocks SIGURG itself, except with
// GODEBUG=asyncpreemptoff=1: then threads inherit the mask of the parent process.
func unblock(mask *unix.Sigset_t) (blocked bool) {
	const bits = 8 * int(unsafe.Sizeof(mask.Val[0]))
	const word, bit = (int(unix.SIGURG) - 1) / bits, (int(unix.SIGURG) - 1) % bits
	var urgent unix.Sigset_t
	urgent.Val[word] = 1 << bit
	err := unix.PthreadSigmask(unix.SIG_UNBLOCK, &urgent, mask)
	return err == nil && mask.Val[word]&(1<<bit) != 0
}

func errOrNil(e abi.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// A watcher signals the thread that took it once its context is done.
type watcher struct {
	tid      int
	deadline *abi.Deadline
	stop     func() bool
	start    func()        // signal, as a function value
	over     chan struct{} // receives a value when the call has returned
	gone     chan struct{} // receives a value when no more signals will be sent
}

// watchers holds unused watchers, because making one takes four allocations.
var watchers = sync.Pool{New: func() any {
	w := &watcher{over: make(chan struct{}, 1), gone: make(chan struct{}, 1)}
	w.start = w.signal
	return w
}}

func watch(ctx context.Context, deadline *abi.Deadline) *watcher {
	w := watchers.Get().(*watcher)
	w.tid, w.deadline = unix.Gettid(), deadline
	w.stop = context.AfterFunc(ctx, w.start)
	return w
}

func (w *watcher) signal() {
	if w.deadline != nil {
		w.deadline.Expire()
	}
	pid := unix.Getpid()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		// An error means that the thread is gone; then w.over gets a value.
		_ = unix.Tgkill(pid, w.tid, unix.SIGURG)
		select {
		case <-w.over:
			w.gone <- struct{}{}
			return
		case <-time.After(pause):
		}
	}
}

// end returns when no more signals will be sent.
func (w *watcher) end() {
	if !w.stop() {
		w.over <- struct{}{}
		<-w.gone
	}
	w.stop, w.deadline = nil, nil
	watchers.Put(w)
}
