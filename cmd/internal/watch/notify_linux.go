package watch

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/abi"
	"github.com/sysvipc/gipc/internal/interrupt"
)

// A Notifier receives the kernel's notices about names in /dev/shm and /dev/mqueue. It is
// not safe for concurrent use. Its methods must be called on a thread that sees these
// directories as the looks do.
type Notifier struct {
	fd      int
	dirs    map[int32]string // by watch descriptor
	buf     [16 << 10]byte
	notices []Notice
	lost    int
}

// maxNotices is how many notices are kept until Take. The kernel keeps further ones, as many
// as the sysctl fs.inotify.max_queued_events allows, and then drops them.
const maxNotices = 1 << 16

// The directories of POSIX objects.
const (
	devShm    = "/dev/shm"
	devMqueue = "/dev/mqueue"
)

// NewNotifier returns a Notifier that receives nothing yet. Close it.
func NewNotifier() (*Notifier, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	return &Notifier{fd: fd, dirs: make(map[int32]string)}, nil
}

// Close ends all notices.
func (n *Notifier) Close() error { return os.NewSyscallError("close", unix.Close(n.fd)) }

// Dirs returns the directories whose notices are received.
func (n *Notifier) Dirs() (list []string) {
	for _, dir := range []string{devShm, devMqueue} {
		if n.has(dir) {
			list = append(list, dir)
		}
	}
	return list
}

func (n *Notifier) has(dir string) bool {
	for _, d := range n.dirs {
		if d == dir {
			return true
		}
	}
	return false
}

// Add asks for notices about objects of a kind. It does nothing for System V objects, and if
// they are received already.
func (n *Notifier) Add(kind ref.Kind) error {
	dir := devShm
	if kind == ref.PMsg {
		dir = devMqueue
	}
	if !kind.POSIX() || n.has(dir) {
		return nil
	}
	const events = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ONLYDIR
	wd, err := unix.InotifyAddWatch(n.fd, dir, events)
	if err != nil {
		return &os.PathError{Op: "inotify_add_watch", Path: dir, Err: err}
	}
	n.dirs[int32(wd)] = dir
	return nil
}

// Wait receives notices for a while, or until ctx is done, whose error it returns.
func (n *Notifier) Wait(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); ; {
		if time.Until(end) <= 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		fds := []unix.PollFd{{Fd: int32(n.fd), Events: unix.POLLIN}}
		if len(n.notices) >= maxNotices {
			fds = nil // sleep
		}
		err := interrupt.Do(ctx, func() (e abi.Errno) {
			timeout := unix.NsecToTimespec(int64(max(0, time.Until(end))))
			_, err := unix.Ppoll(fds, &timeout, nil)
			_ = errors.As(err, &e) // 0 if err is nil
			return e
		})
		if err == nil {
			err = n.read()
		}
		if err != nil {
			return err
		}
	}
}

// Take returns the notices since the last call, and how often the kernel dropped some; it
// does not say how many. They include everything that happened before the call.
func (n *Notifier) Take() (notices []Notice, lost int, err error) {
	err = n.read()
	notices, lost = n.notices, n.lost
	n.notices, n.lost = nil, 0
	return notices, lost, err
}

// read reads the notices that are there, and looks at the files that were made.
func (n *Notifier) read() error {
	looked := make(map[ref.Object]int) // indices of the notices with an Object that is not certain
	for {
		first := len(n.notices)
		if err := n.drain(); err != nil {
			return err
		}
		last := make(map[ref.Object]int)
		for i := first; i < len(n.notices); i++ {
			name := n.notices[i].Ref
			last[name] = i
			if j, ok := looked[name]; ok && n.notices[i].Removed {
				n.notices[j].Object = nil // this may have been a later file of that name
			}
		}
		clear(looked)
		for name, i := range last {
			if n.notices[i].Removed {
				continue
			}
			o, err := look(name)
			n.notices[i].Object, n.notices[i].other = o, errors.Is(err, unix.EINVAL)
			if err == nil {
				looked[name] = i
			}
		}
		if len(looked) == 0 {
			return nil
		}
	}
}

// drain reads the notices that are there.
func (n *Notifier) drain() error {
	for len(n.notices) < maxNotices {
		size, err := unix.Read(n.fd, n.buf[:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return os.NewSyscallError("read", err)
		}
		n.parse(n.buf[:size], time.Now())
	}
	return nil
}

// parse parses structures inotify_event.
func (n *Notifier) parse(b []byte, now time.Time) {
	for len(b) >= unix.SizeofInotifyEvent {
		word := func(i int) uint32 { return binary.NativeEndian.Uint32(b[4*i:]) }
		wd, mask, size := int32(word(0)), word(1), unix.SizeofInotifyEvent+int(word(3))
		if size > len(b) {
			return
		}
		name, _, _ := bytes.Cut(b[unix.SizeofInotifyEvent:size], []byte{0})
		b = b[size:]
		dir, ok := n.dirs[wd]
		switch {
		case mask&unix.IN_Q_OVERFLOW != 0:
			n.lost++
		case mask&unix.IN_IGNORED != 0: // it was unmounted or removed
			delete(n.dirs, wd)
		case ok && mask&unix.IN_ISDIR == 0 && len(name) > 0:
			n.notices = append(n.notices, Notice{
				Time: now, Ref: nameOf(dir, string(name)), Removed: mask&(unix.IN_DELETE|unix.IN_MOVED_FROM) != 0,
			})
		}
	}
}

// nameOf returns the object that a file is.
func nameOf(dir, file string) ref.Object {
	if dir == devMqueue {
		return ref.Object{Kind: ref.PMsg, Name: "/" + file}
	}
	if name, ok := strings.CutPrefix(file, "sem."); ok {
		return ref.Object{Kind: ref.PSem, Name: "/" + name}
	}
	return ref.Object{Kind: ref.PShm, Name: "/" + file}
}

// look returns an object.
func look(name ref.Object) (*inventory.Object, error) {
	o, err := inventory.Look(name)
	if err != nil {
		return nil, err
	}
	return &o, nil
}
