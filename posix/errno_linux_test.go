package posix_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
)

// A limited describes what a process with few rights attempts on /shared, the name of an
// object, a semaphore and a queue of root. All attempts must fail with the same error.
type limited struct {
	name    string
	nobody  bool // run as another user than root
	attempt func() []error
	want    unix.Errno
}

func limits() []limited {
	return []limited{
		{"open no more files", false, func() []error {
			sure(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}))
			for {
				if _, err := unix.Open("/dev/null", unix.O_RDONLY, 0); err != nil {
					break
				}
			}
			return []error{
				second(posix.CreateObject("/limited", 1, nil)),
				second(posix.OpenObject("/shared", posix.ReadOnly)),
				second(posix.CreateMemfd("limited", 1, nil)),
				second(posix.CreateSemaphore("/limited", 1, nil)),
				second(posix.OpenSemaphore("/shared")),
				second(posix.CreateQueue("/limited", small)),
				second(posix.OpenQueue("/shared", posix.ReadOnly)),
			}
		}, unix.EMFILE},
		{"map little memory", false, func() []error {
			const size = 1 << 30
			o, err := posix.CreateMemfd("sparse", size, nil)
			sure(err)
			space := mappedPages()*uint64(page) + size/2
			sure(unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: space, Max: space}))
			return []error{
				second(o.Map(nil)),
				second(posix.MapFile(o.File(), &posix.MapOptions{Length: size})),
				second(posix.MapAnonymous(size, nil)),
			}
		}, unix.ENOMEM},
		{"have few mappings", false, func() []error {
			// This first open makes the runtime allocate and keep what it needs to open
			// files.
			s, err := posix.OpenSemaphore("/shared")
			sure(err)
			sure(s.Close())
			// Every other page is made read-only, so that there are as many mappings as
			// pages.
			m, err := posix.MapAnonymous(manyMappings*page, &posix.AnonymousOptions{NoReserve: true})
			sure(err)
			for off := 0; err == nil && off < m.Len(); off += 2 * page {
				err = m.Protect(off, page, posix.ProtRead)
			}
			last := error(nil)
			for last == nil { // Protect needs two mappings at once, so one may be left
				_, last = posix.MapAnonymous(1, nil)
			}
			return []error{err, last, second(posix.OpenSemaphore("/shared"))}
		}, unix.ENOMEM},
		{"make small files", false, func() []error {
			o, err := posix.CreateMemfd("small", 1, nil)
			sure(err)
			signal.Ignore(unix.SIGXFSZ)
			sure(unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4096, Max: 4096}))
			reserved := &posix.ObjectOptions{Reserve: true}
			return []error{
				o.Truncate(4097),
				o.Reserve(4097),
				second(posix.CreateObject("/limited", 4097, nil)),
				second(posix.CreateObject("/limited", 4097, reserved)),
				second(posix.CreateMemfd("limited", 4097, nil)),
			}
		}, unix.EFBIG},
		{"have few bytes in queues", false, func() []error {
			sure(unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &unix.Rlimit{Cur: 1, Max: 1}))
			return []error{second(posix.CreateQueue("/limited", small))}
		}, unix.EMFILE},
		{"lock nothing", true, func() []error {
			sure(unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{}))
			return []error{lockAnonymous()}
		}, unix.EPERM},
		{"lock one page", true, func() []error {
			sure(unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: uint64(page), Max: uint64(page)}))
			return []error{lockAnonymous()}
		}, unix.ENOMEM},
		{"make queues within the limits", true, func() []error {
			l, err := posix.MqLimits()
			sure(err)
			return []error{
				second(posix.CreateQueue("/limited", &posix.QueueOptions{MaxMsgs: l.MsgMax + 1, MsgSize: 1})),
				second(posix.CreateQueue("/limited", &posix.QueueOptions{MaxMsgs: 1, MsgSize: l.MsgSizeMax + 1})),
			}
		}, unix.EINVAL},
		{"make no queue", true, func() []error {
			return []error{second(posix.CreateQueue("/limited", small))}
		}, unix.ENOSPC},
		{"use what is there as its mode says", true, func() []error {
			return []error{
				second(posix.OpenObject("/shared", posix.ReadWrite)),
				third(posix.OpenOrCreateObject("/shared", 1, nil)),
				second(posix.OpenSemaphore("/shared")),
				third(posix.OpenOrCreateSemaphore("/shared", 1, nil)),
				second(posix.OpenQueue("/shared", posix.WriteOnly)),
				third(posix.OpenOrCreateQueue("/shared", small)),
			}
		}, unix.EACCES},
		{"change nothing of others", true, func() []error {
			o, err := posix.OpenObject("/shared", posix.ReadOnly)
			sure(err)
			q, err := posix.OpenQueue("/shared", posix.ReadOnly)
			sure(err)
			return []error{
				o.Chmod(0o777), o.Chown(65534, -1), q.Chmod(0o777), q.Chown(65534, -1),
				posix.UnlinkObject("/shared"), posix.UnlinkSemaphore("/shared"), posix.UnlinkQueue("/shared"),
			}
		}, unix.EPERM},
	}
}

// manyMappings is more than a process may have, unless vm.max_map_count was raised.
const manyMappings = 1 << 17

func mostMappings(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/vm/max_map_count")
	must(t, err)
	_, err = fmt.Sscan(string(text), &n)
	must(t, err)
	return n
}

func lockAnonymous() error {
	m, err := posix.MapAnonymous(4*page, nil)
	sure(err)
	return m.Lock()
}

// sure ends the second process if its preparations fail.
func sure(err error) {
	if err != nil {
		panic(err)
	}
}

func mappedPages() (pages uint64) {
	text, err := os.ReadFile("/proc/self/statm")
	sure(err)
	_, err = fmt.Sscan(string(text), &pages)
	sure(err)
	return pages
}

// playLimited prints the error numbers of all attempts.
func playLimited(args []string) error {
	all := limits()
	i := slices.IndexFunc(all, func(l limited) bool { return l.name == args[0] })
	var got []string
	for _, err := range all[i].attempt() {
		var e unix.Errno
		if !errors.As(err, &e) {
			return fmt.Errorf("no error number: %w", err)
		}
		got = append(got, unix.ErrnoName(e))
	}
	fmt.Println(strings.Join(got, " "))
	return nil
}

// TestLimited checks errors of processes with few rights. They create nothing.
func TestLimited(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	ipctest.SkipUnderQEMU(t, "it cannot start the test program again")
	o := create(t, "/shared", 1)
	must(t, o.Chmod(0o644))
	createSemaphore(t, "/shared", 1)
	q := createQueue(t, "/shared", small)
	must(t, q.Chmod(0o644))
	const path = "/proc/sys/fs/mqueue/queues_max"
	for _, l := range limits() {
		t.Run(l.name, func(t *testing.T) {
			if l.name == "have few mappings" {
				if ipctest.UnderRace() {
					t.Skip("the race detector needs mappings of its own")
				}
				if mostMappings(t) >= manyMappings {
					t.Skip("vm.max_map_count lets all mappings be made")
				}
			}
			var who *syscall.Credential
			if l.nobody {
				who = &syscall.Credential{Uid: 65534, Gid: 65534}
			}
			if l.want == unix.ENOSPC {
				old, err := os.ReadFile(path)
				must(t, err)
				must(t, os.WriteFile(path, []byte("1"), 0))
				defer func() { must(t, os.WriteFile(path, old, 0)) }()
			}
			got := strings.Fields(ipctest.Start(t, "limited", who, l.name).Wait())
			for i, name := range got {
				if name != unix.ErrnoName(l.want) {
					t.Errorf("attempt %d: %s, want %s", i, name, unix.ErrnoName(l.want))
				}
			}
			if len(got) == 0 {
				t.Error("nothing was attempted")
			}
			for _, path := range []string{"/dev/shm/limited", "/dev/shm/sem.limited", "/dev/mqueue/limited"} {
				if exists(path) {
					t.Errorf("%s was made in spite of the error", path)
				}
			}
		})
	}
}

// A user that may not write to the directories creates and unlinks nothing there.
func TestUnwritableDirectory(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	ipctest.SkipUnderQEMU(t, "it cannot start the test program again")
	create(t, "/shared", 1)
	createSemaphore(t, "/shared", 1)
	createQueue(t, "/shared", small)
	for _, dir := range []string{"/dev/shm", "/dev/mqueue"} {
		must(t, os.Chmod(dir, 0o755))
		defer func() { must(t, os.Chmod(dir, fs.ModeSticky|0o777)) }()
	}
	p := ipctest.Start(t, "change directories", &syscall.Credential{Uid: 65534, Gid: 65534})
	if got, want := p.Wait(), strings.Repeat("EACCES\n", 6); got != want {
		t.Errorf("errors %q, want %q", got, want)
	}
}

// playChangeDirectories prints the error numbers of calls that create and unlink.
func playChangeDirectories([]string) error {
	for _, err := range []error{
		second(posix.CreateObject("/x", 1, nil)),
		second(posix.CreateSemaphore("/x", 1, nil)),
		second(posix.CreateQueue("/x", small)),
		posix.UnlinkObject("/shared"),
		posix.UnlinkSemaphore("/shared"),
		posix.UnlinkQueue("/shared"),
	} {
		var e unix.Errno
		errors.As(err, &e)
		fmt.Println(unix.ErrnoName(e))
	}
	return nil
}

// Pages beyond the end cannot be locked.
func TestLockBeyondTheEnd(t *testing.T) {
	o, m := mapped(t, int64(2*page), nil)
	must(t, o.Truncate(0))
	wantErr(t, m.Lock(), unix.ENOMEM)
}

// If a file system cannot make files without a name, the error says so.
func TestWithoutUnnamedFiles(t *testing.T) {
	needRoot(t)
	must(t, unix.Mount("mqueue", "/dev/shm", "mqueue", 0, ""))
	defer func() { must(t, unix.Unmount("/dev/shm", 0)) }()
	wantErr(t, second(posix.CreateObject("/x", 1, nil)), unix.EOPNOTSUPP)
	wantErr(t, second(posix.CreateSemaphore("/x", 1, nil)), unix.EOPNOTSUPP)
	if exists("/dev/shm/x") {
		t.Error("something was made")
	}
}

// On a file system without free inodes, the error is ENOSPC and nothing is created.
func TestNoInodes(t *testing.T) {
	needRoot(t)
	must(t, unix.Mount("tmpfs", "/dev/shm", "tmpfs", 0, "nr_inodes=2"))
	t.Cleanup(func() { must(t, unix.Unmount("/dev/shm", 0)) })
	create(t, "/last", 1)
	wantErr(t, second(posix.CreateObject("/x", 1, nil)), unix.ENOSPC)
	wantErr(t, second(posix.CreateSemaphore("/x", 1, nil)), unix.ENOSPC)
	o, err := posix.OpenObject("/last", posix.ReadOnly)
	must(t, err)
	must(t, o.Close())
	for info, err := range posix.Objects() {
		if must(t, err); info.Name != "/last" {
			t.Errorf("there is %s", info.Name)
		}
	}
}
