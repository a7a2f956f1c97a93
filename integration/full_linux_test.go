package integration_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/sysv"
)

// A creation makes something in a system that is full.
type creation struct {
	what string
	do   func() (message string, failed bool)
}

// TestFullSystem sets each limit to the amount in use, then to zero. Every creation must
// fail, name the limit and leave nothing behind; existing objects can still be listed and
// removed.
func TestFullSystem(t *testing.T) {
	if !severalUsers() {
		t.Skip("only root may set limits")
	}
	inNamespace(t)
	bin := install(t, "gshm", "gipcs")
	backups := backUp(t, bin)
	gshm, gipcs := filepath.Join(bin, "gshm"), filepath.Join(bin, "gipcs")
	segments, sets, queues := creations(gshm, gipcs, backups)
	seg, err1 := sysv.CreateSegment(sysv.Private, int64(os.Getpagesize()), nil)
	set, err2 := sysv.CreateSet(sysv.Private, 2, nil)
	queue, err3 := sysv.CreateQueue(sysv.Private, nil)
	check(t, errors.Join(err1, err2, err3))

	for _, limit := range []struct {
		name, sysctl, full, zero string
		library                  func() error
		want                     unix.Errno
		creations                []creation
	}{
		{"SHMMNI", "shmmni", "1", "0", func() error { _, err := sysv.CreateSegment(7, 1, nil); return err }, unix.ENOSPC, segments},
		{"SHMALL", "shmall", "1", "0", func() error { _, err := sysv.CreateSegment(7, 1, nil); return err }, unix.ENOSPC, segments},
		{"SHMMAX", "shmmax", "4096", "0", func() error { _, err := sysv.CreateSegment(7, 4097, nil); return err }, unix.EINVAL, segments},
		{"SEMMNI", "sem", "32000 32000 500 1", "32000 32000 500 0", openOrCreate, unix.ENOSPC, sets},
		{"SEMMNS", "sem", "32000 2 500 32000", "32000 0 500 32000", openOrCreate, unix.ENOSPC, sets},
		{"SEMMSL", "sem", "1 32000 500 32000", "0 32000 500 32000", openOrCreate, unix.EINVAL, sets},
		{"MSGMNI", "msgmni", "1", "0", func() error { _, err := sysv.CreateQueue(7, nil); return err }, unix.ENOSPC, queues},
	} {
		path := "/proc/sys/kernel/" + limit.sysctl
		before, err := os.ReadFile(path)
		check(t, err)
		for _, value := range []string{limit.full, limit.zero} {
			check(t, os.WriteFile(path, []byte(value), 0))
			there := objects(t.Fatal)
			if err := limit.library(); !errors.Is(err, limit.want) {
				t.Errorf("%s = %s, library: %v, want %v", limit.name, value, err, limit.want)
			}
			for _, c := range limit.creations {
				c.wantRefused(t, limit.name, limit.name+" = "+value, there)
			}
			stillListed(t, gipcs, int(seg), int(set), int(queue))
		}
		check(t, os.WriteFile(path, before, 0))
	}
	wantRemovable(t, gshm, gipcs, seg, set, queue)
}

// creations returns commands that make objects of each kind.
func creations(gshm, gipcs string, backups [3]string) (segments, sets, queues []creation) {
	command := func(args ...string) creation {
		return creation{strings.Join(append([]string{filepath.Base(args[0])}, args[1:]...), " "), func() (string, bool) {
			out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
			return string(out), err != nil
		}}
	}
	segments = []creation{
		command(gshm, "create", "private", "--size", "4097"),
		command(gshm, "create", "key:7", "--size", "4097", "--mode", "640"),
		command(gshm, "create", "key:7", "--size", "4097", "--exclusive"),
		command(gshm, "create", "private", "--size", "4097", "--populate", "--lock"),
		command(gshm, "demo", "--size", "8KiB"), // makes its semaphores before the segment
		command(gipcs, "mk", "--shmem", "4097"),
		command(gipcs, "mk", "--shmem", "4097", "--key", "private", "--uid", "1", "--mode", "666"),
		command(gipcs, "restore", backups[sysv.Shm]),
	}
	sets = []creation{
		command(gipcs, "mk", "--semaphore", "2"),
		command(gipcs, "mk", "--values", "1,2", "--key", "key:7"),
		command(gshm, "demo"),
		command(gipcs, "restore", backups[sysv.Sem]),
	}
	queues = []creation{
		command(gipcs, "mk", "--queue"),
		command(gipcs, "mk", "--queue", "--key", "key:7", "--qbytes", "10", "--uid", "1"),
		command(gipcs, "restore", backups[sysv.Msg]),
	}
	return segments, sets, queues
}

// wantRefused checks that the creation fails, names the limit and makes nothing.
func (c creation) wantRefused(t *testing.T, limit, when string, there []string) {
	t.Helper()
	message, failed := c.do()
	if !failed || !strings.Contains(message, limit) {
		t.Errorf("%s, %s: %q, want a failure that names the limit", when, c.what, message)
	}
	if now := objects(t.Fatal); !slices.Equal(now, there) {
		t.Fatalf("%s, %s left something:\n%q\nwant\n%q", when, c.what, now, there)
	}
}

// wantRemovable sets all limits to zero, and checks that existing objects can be listed and
// removed.
func wantRemovable(t *testing.T, gshm, gipcs string, seg sysv.Segment, set sysv.Set, queue sysv.Queue) {
	t.Helper()
	for name, value := range map[string]string{"shmmni": "0", "shmall": "0", "shmmax": "0", "sem": "0 0 0 0", "msgmni": "0", "msgmnb": "0", "msgmax": "0"} {
		check(t, os.WriteFile("/proc/sys/kernel/"+name, []byte(value), 0))
	}
	stillListed(t, gipcs, int(seg), int(set), int(queue))
	for _, args := range [][]string{
		{gshm, "stat", fmt.Sprint("id:", int(seg))},
		{gshm, "rm", fmt.Sprint("id:", int(seg))},
		{gipcs, "rm", fmt.Sprint("sem:", int(set)), fmt.Sprint("msg:", int(queue))},
		{gipcs, "ls"},
		{gipcs, "limits"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", strings.Join(args[1:], " "), err, out)
		}
	}
}

// openOrCreate makes a set with values. If it fails, it must leave no set.
func openOrCreate() error {
	_, err := sysv.CreateSetWith(7, []uint16{1, 2}, nil)
	return err
}

// backUp makes an object of each kind, and removes it with a backup in a directory.
func backUp(t *testing.T, bin string) (dirs [3]string) {
	t.Helper()
	_, err1 := sysv.CreateSegment(11, 5000, nil)
	set, err2 := sysv.CreateSet(11, 2, nil)
	queue, err3 := sysv.CreateQueue(11, nil)
	check(t, errors.Join(err1, err2, err3))
	check(t, set.SetValues([]uint16{3, 4}))
	check(t, queue.Send(t.Context(), 1, []byte("text")))
	for kind, option := range []string{"--shmem-key", "--semaphore-key", "--queue-key"} {
		dirs[kind] = filepath.Join(t.TempDir(), "backup")
		if out, err := exec.Command(filepath.Join(bin, "gipcs"), "rm", "--backup", dirs[kind], option, "11").CombinedOutput(); err != nil {
			t.Fatalf("gipcs rm --backup: %v: %s", err, out)
		}
	}
	return dirs
}

// stillListed checks that gipcs lists the three objects.
func stillListed(t *testing.T, gipcs string, ids ...int) {
	t.Helper()
	out, err := exec.Command(gipcs, "ls", "--format", "csv", "-o", "kind,id").Output()
	if err != nil {
		t.Errorf("gipcs ls: %v", err)
	}
	for kind, id := range ids {
		if line := fmt.Sprintf("%v,%d\r\n", sysv.Kind(kind), id); !strings.Contains(string(out), line) {
			t.Errorf("gipcs ls says\n%s\nwithout %s", out, line)
		}
	}
}

// TestFullShm makes objects in a /dev/shm with room for one page, and in one without room
// for another file. An object that does not fit must not be made, and the message must give
// the reason.
func TestFullShm(t *testing.T) {
	if !severalUsers() {
		t.Skip("only root may mount")
	}
	inNamespace(t)
	bin := install(t, "gshm", "gipcs")
	check(t, unix.Unshare(unix.CLONE_NEWNS)) // on this thread, which ends with the test
	check(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	run := func(args ...string) (string, error) {
		out, err := exec.Command(filepath.Join(bin, args[0]), args[1:]...).CombinedOutput()
		return string(out), err
	}
	for _, tt := range []struct {
		options string
		create  []string
		says    string
	}{
		{"size=4k", []string{"gshm", "create", "/x", "--size", "8KiB"}, "/dev/shm cannot hold 8192 bytes"},
		{"size=4k", []string{"gshm", "create", "/x", "--size", "8KiB", "--populate"}, "/dev/shm cannot hold 8192 bytes"},
		{"nr_inodes=1", []string{"gshm", "create", "/x", "--size", "1"}, "/dev/shm"},
	} {
		check(t, unix.Mount("tmpfs", "/dev/shm", "tmpfs", 0, tt.options))
		if out, err := run(tt.create...); err == nil || !strings.Contains(out, tt.says) {
			t.Errorf("%s, %q: %v, %q, want a message with %q", tt.options, tt.create, err, out, tt.says)
		}
		left, err := os.ReadDir("/dev/shm")
		if err != nil || len(left) > 0 {
			t.Errorf("%s, %q left %v, %v", tt.options, tt.create, left, err)
		}
		if strings.HasPrefix(tt.options, "size") {
			// An object that fits can be made, listed and removed.
			for _, args := range [][]string{
				{"gshm", "create", "/full", "--size", "4096", "--populate"},
				{"gipcs", "ls"},
				{"gshm", "stat", "/full"},
				{"gshm", "rm", "/full"},
			} {
				if out, err := run(args...); err != nil {
					t.Errorf("%q: %v: %s", args, err, out)
				}
			}
		}
		check(t, unix.Unmount("/dev/shm", 0))
	}
}
