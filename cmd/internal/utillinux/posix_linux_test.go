package utillinux_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/posix"
)

// newerDir names the environment variable with a directory of programs from util-linux 2.41
// or later, which few systems have installed; the tests use their POSIX options. If it is
// unset, the installed programs are used. testdata/posix.txt holds the output of 2.42.4, so
// that our programs can be checked without them.
const newerDir = "GIPC_TEST_UTIL_LINUX"

// hasNewer reports whether programs of version 2.minor or later are available.
func hasNewer(minor int) bool {
	out, err := exec.Command(newer("lsipc"), "-V").Output()
	if err != nil {
		return false
	}
	_, version, _ := strings.Cut(string(out), "util-linux 2.")
	version, _, _ = strings.Cut(strings.TrimSpace(version), ".")
	n, err := strconv.Atoi(version)
	return err == nil && n >= minor
}

func newer(name string) string { return filepath.Join(os.Getenv(newerDir), name) }

// newerPeer skips the test unless programs with the POSIX options are available.
func newerPeer(t testing.TB) {
	t.Helper()
	if !hasNewer(41) {
		t.Skip("needs util-linux 2.41 or later; " + newerDir + " may name the directory of its programs")
	}
}

func newerTheirs(t testing.TB, name string, args ...string) outcome {
	t.Helper()
	return theirsAt(t, newer(name), c(), name, args...)
}

// isolatePOSIX is isolate with its own /dev/shm and /dev/mqueue.
func isolatePOSIX(t *testing.T) {
	t.Helper()
	isolate(t)
	if err := ipctest.MountDev(); err != nil {
		t.Skipf("no /dev of its own: %v", err)
	}
}

// populatePOSIX makes objects of all POSIX kinds, in reverse order of names: the file
// system lists the youngest first, and so does util-linux.
func populatePOSIX(t *testing.T) {
	t.Helper()
	object := func(name string, size int64, mode fs.FileMode) {
		o, err := posix.CreateObject(name, size, &posix.ObjectOptions{Mode: mode})
		must(t, err)
		must(t, errors.Join(o.Chmod(mode), o.Close()))
	}
	object("/za\u00ef \u6f22 \"x\"\t$y", 1, 0o777)
	object("/empty", 0, 0o600)
	object("/big", 26930, 0)
	object("/alpha", 4096, 0o644)

	queue := func(name string, mode fs.FileMode, messages ...string) {
		q, err := posix.CreateQueue(name, &posix.QueueOptions{Mode: mode})
		must(t, err)
		for _, m := range messages {
			must(t, q.Send(context.Background(), []byte(m), 0))
		}
		must(t, errors.Join(q.Chmod(mode), q.Close()))
	}
	queue("/quiet", 0)
	queue("/jobs", 0o620, "one", strings.Repeat("x", 3000))

	semaphore := func(name string, value int, mode fs.FileMode) {
		s, err := posix.CreateSemaphore(name, value, &posix.SemaphoreOptions{Mode: mode})
		must(t, err)
		must(t, errors.Join(os.Chmod("/dev/shm/sem."+name[1:], mode), s.Close()))
	}
	semaphore("/many", posix.MaxSemaphore, 0o666)
	semaphore("/lock", 0, 0)

	at := time.Date(2023, time.October, 5, 14, 3, 7, 0, time.UTC)
	for path, uid := range map[string]int{
		"shm/za\u00ef \u6f22 \"x\"\t$y": 54321, "shm/empty": 0, "shm/big": 1011, "shm/alpha": 1030,
		"mqueue/quiet": 1010, "mqueue/jobs": 0, "shm/sem.many": 65534, "shm/sem.lock": 0,
	} {
		if err := os.Chown("/dev/"+path, uid, uid); err != nil {
			t.Skipf("without other owners: %v", err) // in a user namespace
		}
		must(t, os.Chtimes("/dev/"+path, at, at))
	}
}

// TestPOSIXListing compares all views of POSIX objects with a newer lsipc.
func TestPOSIXListing(t *testing.T) {
	newerPeer(t)
	isolatePOSIX(t)
	populatePOSIX(t)
	skipUnlessSorted(t)
	styles := options("", "-e", "-J", "-n", "-r", "-l", "-r --noheadings", "-y", "-ye", "-yJ", "-yr")
	views := options("", "-t", "-c", "-b", "-o name,owner,mtime", "-o +cuid,perms,CUser,cgid,CGROUP", "-o key,uid,ctime,name", "-P", "--time-format full", "--time-format=iso")
	lists := product(options("-M", "-Q", "-S", "--posix-shmems", "--posix-m", "--posix-sem", "-gQ", "-gM", "-gS -b"), views, styles)
	ones := product(options("-M -N alpha", "-N big -M", "--name=empty -M", "-Q -N /jobs", "-Q -N/quiet", "-S -N many", "-S --na lock"), views, styles)
	for _, args := range slices.Concat(lists, ones) {
		if hasAny(args, "-P") && hasAny(args, "-Q", "--posix-m", "/jobs", "-N/quiet", "-gQ") {
			continue // the permissions are missing: TestPOSIXDifferences
		}
		want, got := newerTheirs(t, "lsipc", args...), ours(c(), "lsipc", args...)
		if got != want {
			t.Errorf("lsipc %q\n got status %d\n%s%s\nwant status %d\n%s%s", args,
				got.status, visible(got.stdout), visible(got.stderr), want.status, visible(want.stdout), visible(want.stderr))
		}
	}
}

// skipUnlessSorted skips the test if the file systems do not list in order of names.
// util-linux prints in the order of the file system.
func skipUnlessSorted(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"/dev/shm", "/dev/mqueue"} {
		d, err := os.Open(dir)
		must(t, err)
		names, err := d.Readdirnames(-1)
		d.Close()
		must(t, err)
		objects := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.HasPrefix(name, "sem.") })
		if !slices.IsSorted(objects) {
			t.Skipf("%s lists %q, not in the order of names", dir, names)
		}
	}
}

// TestPOSIXHelp: all options and columns of the newer programs are described, in their
// order.
func TestPOSIXHelp(t *testing.T) {
	newerPeer(t)
	for _, name := range []string{"ipcrm", "ipcmk", "lsipc"} {
		want, got := described(newerTheirs(t, name, "-h").stdout), described(ours(c(), name, "--help").stdout)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s -h (-want +got)\n%s", name, diff)
		}
	}
}

// TestPOSIXRecorded compares our output with a recording of util-linux 2.42.4, and the
// recording with the available programs.
func TestPOSIXRecorded(t *testing.T) {
	recording, err := os.ReadFile("testdata/posix.txt")
	must(t, err)
	isolatePOSIX(t)
	populatePOSIX(t)
	got := replay(string(recording), func(name string, args []string) outcome { return ours(c(), name, args...) })
	if diff := cmp.Diff(string(recording), got); diff != "" {
		t.Errorf("ours (-recorded +got)\n%s", diff)
	}
	if !hasNewer(41) {
		return
	}
	isolatePOSIX(t)
	populatePOSIX(t)
	skipUnlessSorted(t)
	got = replay(string(recording), func(name string, args []string) outcome { return newerTheirs(t, name, args...) })
	if diff := cmp.Diff(string(recording), got); diff != "" {
		t.Errorf("util-linux (-recorded +got)\n%s", diff)
	}
}

// replay runs the commands of a recording, the lines that begin with a dollar sign, and
// returns the recording of this run: after each command its standard output, then its
// messages after exclamation marks, then the exit status if it failed.
func replay(recording string, run func(name string, args []string) outcome) string {
	var b strings.Builder
	for line := range strings.Lines(recording) {
		if strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		words := strings.Fields(command)
		o := run(words[0], words[1:])
		b.WriteString(line + o.stdout)
		for message := range strings.Lines(o.stderr) {
			b.WriteString("! " + message)
		}
		if o.status != 0 {
			fmt.Fprintf(&b, "= %d\n", o.status)
		}
	}
	return b.String()
}

// TestPOSIXDifferences is TestDifferences for the newer programs. Each case starts with
// the objects of populatePOSIX; its field then is a command that shows what is left.
func TestPOSIXDifferences(t *testing.T) {
	withTheirs := hasNewer(42) // 2.41 has other messages
	const all = "alpha\nbig\nempty\nza\\xc3\\xaf\\x20\\xe6\\xbc\\xa2\\x20\"x\"\\x09$y\n"
	const objects, segments = "lsipc -M -r --noheadings -o name", "lsipc -m -r --noheadings -o nattch"
	for _, d := range []struct {
		why                      string
		command                  string
		theirs, ours             string
		theirsStatus, oursStatus int
		then                     string
		theirsLeft, oursLeft     string
	}{
		{
			why:     "an object that was asked for and is not there is a failure",
			command: "lsipc -M -N nix", theirs: "lsipc: shared memory segment nix not found\n", ours: "lsipc: shared memory segment nix not found\n", oursStatus: 1,
		},
		{
			why:     "a semaphore is no message queue",
			command: "lsipc -S -N nix", theirs: "lsipc: message queue nix not found\n", ours: "lsipc: semaphore nix not found\n", oursStatus: 1,
		},
		{
			why:     "the array of none has the name of the others",
			command: "lsipc -Q -J -N /nix", theirs: "   \"\": [\n", ours: "   \"posix-messages\": [\n", oursStatus: 1,
		},
		{
			why:     "the slash in front may be there",
			command: "lsipc -M -r --noheadings -o name -N /alpha", theirs: "lsipc: shared memory segment /alpha not found\n", ours: "alpha\n",
		},
		{
			why:     "or not",
			command: "lsipc -Q -r --noheadings -o name -N jobs", theirs: "lsipc: message queue name must start with '/': jobs\n", ours: "/jobs\n",
		},
		{
			why:     "the default columns can be asked for",
			command: "lsipc -M -b -r --noheadings -o size", theirs: "lsipc: column size does not apply to the specified IPC\n", ours: "4096\n26930\n0\n1\n", theirsStatus: 1,
		},
		{
			why:     "the same",
			command: "lsipc -S -r --noheadings -o sval", theirs: "lsipc: column sval does not apply to the specified IPC\n", ours: "0\n2147483647\n", theirsStatus: 1,
		},
		{
			why:     "the original forgets the permissions of queues when they are to be numbers",
			command: "lsipc -Q -P -r --noheadings -o perms", theirs: "\n\n", ours: "0620\n0\n",
		},
		{
			why:     "two kinds do not fit into one table; the original crashes if they are -M and -S",
			command: "lsipc -M -m", theirs: "NAME ", theirsStatus: anyStatus,
			ours: "lsipc: mutually exclusive arguments: --posix-shmems --posix-mqueues --posix-semaphores --shmems --queues --semaphores\n", oursStatus: 1,
		},
		{
			why:     "the original prints the first object",
			command: "lsipc -M -i 77", theirs: "alpha", ours: "lsipc: --id is mutually exclusive with --posix-shmems, --posix-mqueues and --posix-semaphores\n", oursStatus: 1,
		},
		{
			why:     "the original prints the first object, if there is one",
			command: "lsipc -m -N alpha -l", theirs: "", ours: "lsipc: --name is mutually exclusive with --shmems, --queues and --semaphores\n", oursStatus: 1,
		},
		{
			why:     "a column may be asked for twice; the original frees its text twice",
			command: "lsipc -M -r --noheadings -o name,name", theirs: "double free", theirsStatus: anyStatus, ours: "alpha alpha\n",
		},
		{
			why:     "-c goes with -t, as in 2.38",
			command: "lsipc -Q -c -t -r", theirs: "lsipc: options --creator and --time cannot be combined\n", theirsStatus: 1, ours: " CUID CGID\n",
		},
		{
			why:     "and with a list",
			command: "lsipc -Q -c -o cuid", theirs: "lsipc: options --creator and --output cannot be combined\n", theirsStatus: 1, ours: "CUID\n",
		},
		{
			why:     "no queue has such a name, so it is not a matter of permission",
			command: "ipcrm --posix-mqueue /a/b", theirs: "ipcrm: permission denied for name `/a/b'\n", theirsStatus: 1,
			ours: "ipcrm: name `/a/b' not found\n", oursStatus: 1,
		},
		{
			why:     "a name has one slash",
			command: "ipcmk -q -n /.", theirs: "ipcmk: create POSIX message queue failed: Permission denied\n", theirsStatus: 1,
			ours: "ipcmk: create POSIX message queue failed: Invalid argument\n", oursStatus: 1,
		},
		{
			why:     "the same",
			command: "ipcmk -s -n //x", theirs: "POSIX semaphore name: //x\n", ours: "ipcmk: create POSIX semaphore failed: Invalid argument\n", oursStatus: 1,
		},
		{
			why:     "the same",
			command: "ipcrm --posix-shmem //alpha", theirs: "", ours: "ipcrm: name `//alpha' not found\n", oursStatus: 1,
			then: objects, theirsLeft: strings.TrimPrefix(all, "alpha\n"), oursLeft: all,
		},
		{
			why:     "a name that is too long is called so for all kinds",
			command: "ipcrm --posix-semaphore /" + strings.Repeat("x", 300), theirs: "x' not found\n", theirsStatus: 1, ours: "x' too long\n", oursStatus: 1,
		},
		{
			why:     "what 2.38 has in the summary stays as it is there",
			command: "lsipc -r -o resource", theirs: "MQUMNI\n", ours: "RESOURCE\nMSGMNI\nMSGMAX\nMSGMNB\nSHMMNI\nSHMALL\nSHMMAX\nSHMMIN\nSEMMNI\n",
		},
		{
			why:     "an existing object belongs to somebody; the original truncates it and says that it was made",
			command: "ipcmk -m 7 -n alpha", theirs: "POSIX shared memory name: alpha\n", ours: "ipcmk: create POSIX shared memory failed: File exists\n", oursStatus: 1,
			then: "lsipc -M -r --noheadings -o name -N alpha -b", theirsLeft: "alpha\n", oursLeft: "alpha\n",
		},
		{
			why:     "the same",
			command: "ipcmk -q -n /jobs", theirs: "POSIX message queue name: /jobs\n", ours: "ipcmk: create POSIX message queue failed: File exists\n", oursStatus: 1,
		},
		{
			why:     "the same",
			command: "ipcmk -s -n many", theirs: "POSIX semaphore name: many\n", ours: "ipcmk: create POSIX semaphore failed: File exists\n", oursStatus: 1,
		},
		{
			why:     "each size is its own; the original has one for both",
			command: "ipcmk -m 5 -n aa -M 4096", theirs: "POSIX shared memory name: aa\n", ours: "POSIX shared memory name: aa\n",
			then: "lsipc -M -N aa -r -b --noheadings", theirsLeft: " 4096 ", oursLeft: " 5 ",
		},
		{
			why:     "a failed creation leaves nothing; the original leaves an empty object",
			command: "ipcmk -m 8E -n aa", theirs: "ipcmk: create POSIX shared memory failed: Invalid argument\n", theirsStatus: 1,
			ours: "ipcmk: create POSIX shared memory failed: Invalid argument\n", oursStatus: 1,
			then: objects, theirsLeft: "aa\n" + all, oursLeft: all,
		},
		{
			why:     "the leading slash of a queue's name is optional",
			command: "ipcmk -q -n aa", theirs: "ipcmk: create POSIX message queue failed: Invalid argument\n", theirsStatus: 1, ours: "POSIX message queue name: aa\n",
		},
		{
			why:     "the same",
			command: "ipcrm --posix-mqueue jobs", theirs: "ipcrm: name failed: Invalid argument\n", theirsStatus: 1, ours: "",
		},
		{
			why:     "without a kind it is those of 2.38 that go; /dev/shm holds what belongs to running programs of all kinds",
			command: "ipcrm -a", theirs: "", ours: "",
			then: objects, theirsLeft: "", oursLeft: all,
		},
		{
			why:     "what is removed once is said once",
			command: "ipcrm -v --all=psem", theirs: "removing POSIX semaphore `lock'\nremoving POSIX semaphore `lock'\n", ours: "removing POSIX semaphore `lock'\nremoving POSIX semaphore `many'\n",
		},
		{
			why:     "names that others have chosen do not drive a terminal",
			command: "ipcrm -v --all=pshm", theirs: "removing POSIX shared memory `", ours: "removing POSIX shared memory `za\\xc3\\xaf \\xe6\\xbc\\xa2 \"x\"\\x09$y'\n",
		},
		{
			why:     "with a blank between them, the option removes everything and the kind is left over",
			command: "ipcrm -a pshm", theirs: "ipcrm: unknown argument: pshm\n", theirsStatus: 1,
			ours: "ipcrm: unknown argument: pshm\nipcrm: nothing was removed; to remove all of one kind write --all=pshm\n", oursStatus: 1,
			then: objects, theirsLeft: "", oursLeft: all,
		},
		{
			why:     "without an argument there is nothing to do, as in 2.38",
			command: "ipcrm", theirs: "ipcrm: bad usage\n", theirsStatus: 1, ours: "",
			then: segments, theirsLeft: "", oursLeft: "",
		},
	} {
		check := func(who string, run func(name string, args ...string) outcome, want string, wantStatus int, wantLeft string) {
			t.Helper()
			isolatePOSIX(t)
			populatePOSIX(t)
			defer unlinkQueues(t)
			words := strings.Fields(d.command)
			got := run(words[0], words[1:]...)
			if text := got.stdout + got.stderr; !contains(text, want) || wantStatus != anyStatus && got.status != wantStatus {
				t.Errorf("%s (%s): %s: status %d\n%swant %d\n%s", d.command, d.why, who, got.status, text, wantStatus, want)
			}
			if d.then == "" {
				return
			}
			words = strings.Fields(d.then)
			got = run(words[0], words[1:]...)
			if text := got.stdout + got.stderr; !contains(text, wantLeft) {
				t.Errorf("%s (%s): %s: then %s:\n%swant\n%s", d.command, d.why, who, d.then, text, wantLeft)
			}
		}
		check("we", func(name string, args ...string) outcome { return ours(c(), name, args...) }, d.ours, d.oursStatus, d.oursLeft)
		if withTheirs {
			check("util-linux", func(name string, args ...string) outcome { return newerTheirs(t, name, args...) }, d.theirs, d.theirsStatus, d.theirsLeft)
		}
	}
}

// unlinkQueues makes room within RLIMIT_MSGQUEUE: the mounts keep the namespaces of
// earlier populations alive.
func unlinkQueues(t *testing.T) {
	t.Helper()
	for q, err := range posix.Queues() {
		must(t, err)
		must(t, posix.UnlinkQueue(q.Name))
	}
}

// contains reports whether text contains part; an empty part is only in an empty text.
func contains(text, part string) bool {
	return strings.Contains(text, part) && (part != "" || text == "")
}

// TestNameOnTerminal: a name cannot control the viewer's terminal; the original prints
// it unchanged.
func TestNameOnTerminal(t *testing.T) {
	isolate(t) // not isolatePOSIX, whose /dev has no terminals
	if err := unix.Mount("none", "/dev/shm", "tmpfs", 0, ""); err != nil {
		t.Skipf("no /dev/shm of its own: %v", err)
	}
	const raw, safe = "\x1b[31mred", `\x1b[31mred`
	o, err := posix.CreateObject("/"+raw, 1, nil)
	must(t, err)
	must(t, o.Close())
	args := []string{"-M", "-N", raw}
	if hasNewer(41) {
		want := onTerminal(t, 80, func(tty *os.File) {
			cmd := exec.Command(newer("lsipc"), args...)
			cmd.Stdout = tty
			must(t, cmd.Run())
		})
		if !strings.Contains(want, raw) {
			t.Errorf("util-linux prints %q", want)
		}
	}
	if got := onTerminal(t, 80, func(tty *os.File) { oursOn(tty, c(), "lsipc", args...) }); strings.Contains(got, raw) || !strings.Contains(got, safe) {
		t.Errorf("got %q, want %q in it", got, safe)
	}
}

// TestPOSIXUnreadable: an ordinary user sees the same rows as root, without the values
// that take read permission. The original omits such rows.
func TestPOSIXUnreadable(t *testing.T) {
	isolatePOSIX(t)
	populatePOSIX(t)
	for _, tt := range []struct{ args, want string }{
		{"-M -r --noheadings -b", ours(c(), "lsipc", strings.Fields("-M -r --noheadings -b")...).stdout},
		{"-Q -e -o +name", `NAME="/jobs" PERMS="rw--w----" OWNER="root" MTIME="2023-Oct05" USEDBYTES="" MSGS="" NAME="/jobs"` + "\n" +
			`NAME="/quiet" PERMS="---------" OWNER="ten_chars_" MTIME="2023-Oct05" USEDBYTES="" MSGS="" NAME="/quiet"` + "\n"},
		{"-S -r -o name,sval", "NAME SVAL\nlock \nmany 2147483647\n"},
		{"-gQ -r -o resource,used", "RESOURCE USED\nMQUMNI 2\nMQUMAX -\nMQUMNB -\n"},
	} {
		cmd := asUser(t, "lsipc", strings.Fields(tt.args)...)
		if got, err := cmd.CombinedOutput(); err != nil || string(got) != tt.want {
			t.Errorf("lsipc %s as nobody: %v\n%swant\n%s", tt.args, err, got, tt.want)
		}
	}
	cmd := asUser(t, "ipcrm", "--posix-shmem", "alpha", "--posix-mqueue", "/jobs", "--posix-semaphore", "lock")
	const want = "ipcrm: permission denied for name `alpha'\nipcrm: permission denied for name `/jobs'\nipcrm: permission denied for name `lock'\n"
	if got, _ := cmd.CombinedOutput(); string(got) != want || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("ipcrm as nobody: %s\n%swant\n%s", cmd.ProcessState, got, want)
	}
}

// TestNoQueueFileSystem: queues that cannot be seen are not reported as absent.
func TestNoQueueFileSystem(t *testing.T) {
	isolatePOSIX(t)
	must(t, unix.Unmount("/dev/mqueue", 0))
	const message = "lsipc: /dev/mqueue does not seem to be mounted. Use 'mount -t mqueue none /dev/mqueue' to mount it.\n"
	for args, want := range map[string]outcome{
		"-Q":                      {"", message, 1},
		"-Q -J -N /x":             {"", message, 1},
		"-gQ -r -o resource,used": {"RESOURCE USED\nMQUMNI -\nMQUMAX -\nMQUMNB -\n", message, 0},
	} {
		if got := ours(c(), "lsipc", strings.Fields(args)...); got != want {
			t.Errorf("lsipc %s: got %+v, want %+v", args, got, want)
		}
	}
	if got := ours(c(), "ipcrm", "--all=pmsg"); got.status != 1 || !strings.HasPrefix(got.stderr, "ipcrm: --all=pmsg: ") {
		t.Errorf("ipcrm --all=pmsg: %+v", got)
	}
}
