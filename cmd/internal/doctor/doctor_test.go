package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/inventory"
	"github.com/sysvipc/gipc/cmd/internal/limits"
	"github.com/sysvipc/gipc/cmd/internal/procfs"
	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/posix"
)

var errAbsent = &fs.PathError{Op: "open", Path: "/proc/sys/x", Err: syscall.ENOENT}

// healthy returns the facts of a machine that limits root in nothing.
func healthy() *Facts {
	return &Facts{
		Release: "6.12.3-1-amd64", Caps: math.MaxUint64,
		AllPIDs: true, InitListed: true, IPCNamespace: initialIPC,
		PtraceScope: Setting{Value: "1"}, Modules: Setting{Value: "capability,yama,apparmor"},
		RmidForced: Setting{Value: "0"}, LastSystemUID: 999,
		Limits: []limits.Limit{
			{Name: "SHMMNI", Kind: ref.Shm, Value: 4096, Use: 41, Counted: true},
			{Name: "SHMMAX", Kind: ref.Shm, Value: math.MaxUint64},
			{Name: "RLIMIT_MSGQUEUE", Kind: ref.PMsg, Value: 819200, Counted: true},
		},
		DefaultQueue: 82880, AddressSpace: math.MaxUint64,
		Shm: ShmFacts{Tmpfs: true}, ClockKnown: true,
		MaxUserNamespaces: Setting{Value: "15000"}, UnprivilegedClone: Setting{Err: errAbsent}, ApparmorRestricts: Setting{Err: errAbsent},
	}
}

// user turns the facts into those of an ordinary user.
func user(f *Facts) { f.UID, f.Caps = 1000, 0 }

func hide(f *Facts, users ...uint32) {
	for i, uid := range users {
		f.Hidden.Processes = append(f.Hidden.Processes, inventory.HiddenProcess{
			Process: &inventory.Process{PID: 10 + i, Comm: "p", UID: uid}, Credentials: &procfs.Credentials{}, Why: syscall.EACCES,
		})
	}
}

func refuse(f *Facts, err error, calls ...string) {
	for _, call := range calls {
		f.Refused = append(f.Refused, sysvipc.Refusal{Call: call, Err: fmt.Errorf("%s: %w", call, err)})
	}
}

func use(f *Facts, l limits.Limit) { f.Limits = append(f.Limits, l) }

// TestExamine changes one fact at a time. The check for that fact must report it, and no
// other.
func TestExamine(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Facts)
		check  string
		status Status
		says   string // a pattern for found, meaning and remedy, separated by |
	}{
		{"healthy", func(*Facts) {}, "kernel", OK, `^6\.12\.3-1-amd64\|has everything`},
		{"4.4", func(f *Facts) { f.Release = "4.4.0" }, "kernel", Warn, `size limit of a queue.*; who has.*; the /dev/shm.*\|boot Linux 5\.12 or later$`},
		{"5.4", func(f *Facts) { f.Release = "5.4.0-1" }, "kernel", Warn, `^5\.4\.0-1\|does not report the /dev/shm of other mount namespaces\|`},
		{"5.12", func(f *Facts) { f.Release = "5.12-rc1" }, "kernel", OK, ``},
		{"no release", func(f *Facts) { f.Release = "" }, "kernel", Unknown, `"" is no version`},
		{"pid namespace", func(f *Facts) { f.AllPIDs = false }, "pid namespace", Warn, `not the initial one.*on the host`},
		{"hidepid", func(f *Facts) { f.InitListed, f.HidePID = false, "invisible" }, "hidepid", Warn, `^hidepid=invisible\|.*CAP_SYS_PTRACE or mount -o remount,hidepid=0 /proc$`},
		{"hidepid without effect", func(f *Facts) { f.HidePID = "2" }, "hidepid", OK, `^hidepid=2\|/proc lists all`},
		{"no hidepid", func(f *Facts) { f.HidePID = "off" }, "hidepid", OK, `^off\|`},
		{"guarded", func(f *Facts) { hide(f, 0, 5) }, "processes", Warn, `^2 hidden\|2 processes could not be inspected: p\[10\] \(permission denied\), .*\(capability,yama,apparmor\).*\|ausearch`},
		{"root without rights", func(f *Facts) { hide(f, 5); f.Caps &^= capSysPtrace; f.PtraceScope.Value = "0" }, "processes", Warn, `1 of other users.*\|run gipcs with CAP_SYS_PTRACE$`},
		{"no process read", func(f *Facts) { f.HiddenErr = syscall.EIO }, "processes", Unknown, `input/output error`},
		{"no Yama", func(f *Facts) { f.PtraceScope = Setting{Err: errAbsent} }, "ptrace_scope", OK, `^off`},
		{"no attach", func(f *Facts) { f.PtraceScope.Value = "3" }, "ptrace_scope", Warn, `not even by root\|.*reboot$`},
		{"unreadable scope", func(f *Facts) { f.PtraceScope = Setting{Err: syscall.EACCES} }, "ptrace_scope", Unknown, `permission denied`},
		{"strange scope", func(f *Facts) { f.PtraceScope.Value = "x" }, "ptrace_scope", Unknown, `invalid syntax`},
		{"IPC namespace", func(f *Facts) { f.IPCNamespace = 4026532222 }, "IPC namespace", Warn, `^4026532222\|.*gipcs ls -A$`},
		{"no admin", func(f *Facts) { f.Caps &^= capSysAdmin }, "other namespaces", Warn, `run gipcs with CAP_SYS_ADMIN$`},
		{"no user namespaces", func(f *Facts) { f.MaxUserNamespaces.Value = "0" }, "user namespaces", Warn, `\|sysctl -w user.max_user_namespaces=15000$`},
		{"Debian's switch", func(f *Facts) { f.UnprivilegedClone = Setting{Value: "0"} }, "user namespaces", Warn, `^off\|.*kernel.unprivileged_userns_clone=1$`},
		{"Ubuntu's switch", func(f *Facts) { f.ApparmorRestricts = Setting{Value: "1"} }, "user namespaces", Warn, `kernel.apparmor_restrict_unprivileged_userns=0$`},
		{"old user namespaces", func(f *Facts) { f.MaxUserNamespaces = Setting{Err: errAbsent} }, "user namespaces", Unknown, `no sysctl`},
		{"seccomp", func(f *Facts) { refuse(f, syscall.EPERM, "a", "b"); refuse(f, syscall.EACCES, "c"); f.Filtered = true }, "System V calls", Warn, `^3 of 9 refused\|.*a, b \(operation not permitted\), c \(permission denied\): gipcs reads /proc/sysvipc.*docker run`},
		{"SELinux", func(f *Facts) { refuse(f, syscall.EACCES, "a") }, "System V calls", Warn, `\|ausearch -m avc`},
		{"no System V", func(f *Facts) { refuse(f, errors.ErrUnsupported, "a"); f.SysvipcErr = errAbsent }, "System V calls", Fail, `only objects that you may read.*CONFIG_SYSVIPC`},
		{"no shm", func(f *Facts) { f.Shm = ShmFacts{Err: errAbsent} }, "/dev/shm", Fail, `^missing\|.*\|mkdir -p /dev/shm && mount -t tmpfs`},
		{"unreadable shm", func(f *Facts) { f.Shm = ShmFacts{Err: syscall.EIO} }, "/dev/shm", Unknown, `input/output`},
		{"shm on disk", func(f *Facts) { f.Shm.Tmpfs = false }, "/dev/shm", Warn, `not a tmpfs`},
		{"read-only shm", func(f *Facts) { f.Shm.WriteErr = syscall.EROFS }, "/dev/shm", Warn, `^read-only file system\|`},
		{"mqueue not mounted", func(f *Facts) { f.QueuesErr = posix.ErrNotMounted }, "/dev/mqueue", Warn, `\|mount -t mqueue none /dev/mqueue$`},
		{"no mqueue", func(f *Facts) { f.QueuesErr = errAbsent }, "/dev/mqueue", Warn, `\|mkdir /dev/mqueue && mount`},
		{"foreign mqueue", func(f *Facts) { f.QueuesErr = inventory.ErrForeignQueues }, "/dev/mqueue", Warn, `^another namespace\|`},
		{"no queues", func(f *Facts) { f.QueuesErr, f.NoMqueue = errAbsent, true }, "/dev/mqueue", Warn, `CONFIG_POSIX_MQUEUE`},
		{"broken mqueue", func(f *Facts) { f.QueuesErr = syscall.EIO }, "/dev/mqueue", Unknown, `input/output`},
		{"clock", func(f *Facts) { f.ClockStep = 90 * time.Minute }, "clock", Warn, `^ahead by 1h30m\|.*hwclock`},
		{"leap second", func(f *Facts) { f.ClockStep = 2 * time.Second }, "clock", OK, ``},
		{"strange clock", func(f *Facts) { f.ClockKnown = false }, "clock", Unknown, `/dev does not tell`},
		{"rmid", func(f *Facts) { f.RmidForced.Value = "1" }, "shm_rmid_forced", Warn, `\|sysctl -w kernel.shm_rmid_forced=0$`},
		{"old rmid", func(f *Facts) { f.RmidForced = Setting{Err: errAbsent} }, "shm_rmid_forced", OK, ``},
		{"logind", func(f *Facts) { f.LogindRemoves, f.LastSystemUID = true, 499 }, "logind RemoveIPC", Warn, `above uid 499 .*keep theirs\|`},
		{"logind now", func(f *Facts) { f.LogindRemoves, f.Losers = true, []string{"a", "b", "c", "d", "e"} }, "logind RemoveIPC", Warn, `; now there are objects of a, b, c and 2 more\|`},
		{"high", func(f *Facts) {
			use(f, limits.Limit{Name: "SEMMNI", Kind: ref.Sem, Value: 10, Use: 8, Counted: true, About: "semaphore sets"})
		}, "limit SEMMNI", Warn, `^80 %\|8 of 10 in use \(semaphore sets\)\|gipcs limits --explain$`},
		{"full", func(f *Facts) {
			use(f, limits.Limit{Name: "SEMMNI", Kind: ref.Sem, Value: 10, Use: 10, Counted: true})
		}, "limit SEMMNI", Fail, `cannot create more`},
		{"forbidden", func(f *Facts) { use(f, limits.Limit{Name: "SEMMNI", Kind: ref.Sem, Counted: true}) }, "limit SEMMNI", Fail, `^100 %`},
		{"full queue", func(f *Facts) {
			use(f, limits.Limit{Name: "msg_max", Kind: ref.PMsg, Value: 1, Use: 1, Counted: true})
		}, "limit msg_max", Warn, `senders wait`},
		{"unread limits", func(f *Facts) { f.LimitsErr = syscall.EIO }, "limits", Unknown, `input/output`},
		{"queue of a user", func(f *Facts) { f.Limits[2].Use = 735000 }, "RLIMIT_MSGQUEUE", Warn, `can create 1 more POSIX message queue of.*\|ulimit -q 1638400$`},
		{"no room for a queue", func(f *Facts) { f.Limits[2].Value = 82879 }, "RLIMIT_MSGQUEUE", Warn, `can create 0 more POSIX message queues.*\|ulimit -q 828800$`},
		{"uncounted queues", func(f *Facts) { f.Limits[2].Counted = false }, "RLIMIT_MSGQUEUE", OK, `create 9 more`},
		{"unlimited queues", func(f *Facts) { f.Limits[2].Value = math.MaxUint64 }, "RLIMIT_MSGQUEUE", OK, `^unlimited`},
		{"unknown queues", func(f *Facts) { f.DefaultQueue = 0 }, "RLIMIT_MSGQUEUE", Unknown, `cannot be read`},
		{"ulimit -v", func(f *Facts) { f.AddressSpace = 1 << 30 }, "address space", Warn, `^1048576 KiB\|.*ulimit -v unlimited$`},
	} {
		f := healthy()
		tt.change(f)
		list := f.Examine()
		for _, x := range list {
			text := x.Found + "|" + x.Meaning + "|" + x.Remedy
			switch {
			case x.Check != tt.check && x.Status != OK:
				t.Errorf("%s: %s is %v: %s", tt.name, x.Check, x.Status, text)
			case x.Check == tt.check && (x.Status != tt.status && tt.check != "limits" || !regexp.MustCompile(tt.says).MatchString(text) && x.Status == tt.status):
				t.Errorf("%s: %s is %v, %s; want %v, %s", tt.name, x.Check, x.Status, text, tt.status, tt.says)
			}
			fits(t, x)
		}
		if Worst(list) != tt.status {
			t.Errorf("%s: the worst is %v, want %v", tt.name, Worst(list), tt.status)
		}
	}
}

// fits checks that a finding without its meaning fits on one line, and that every finding
// that is not ok has a remedy.
func fits(t *testing.T, x Finding) {
	t.Helper()
	if len(x.Check) > 20 || len(x.Found) > 30 || len(x.Found)+len(x.Remedy) > 90 || strings.Contains(x.Found+x.Remedy, "\n") {
		t.Errorf("%s is too wide: %s | %s", x.Check, x.Found, x.Remedy)
	}
	if needs := x.Status == Warn || x.Status == Fail; needs != (x.Remedy != "") || x.Found == "" || x.Meaning == "" {
		t.Errorf("%s is %v and lacks a text or has one too many: %+v", x.Check, x.Status, x)
	}
}

// TestUser checks which processes an ordinary user cannot inspect, and what gipcs says of
// them.
func TestUser(t *testing.T) {
	f := healthy()
	user(f)
	hide(f, 0, 1000, 33, 33, 1000)
	want := map[string]string{
		"processes": "2 of your own", "ptrace_scope": "not even of your own processes", "other namespaces": "rootless containers",
	}
	for _, x := range f.Examine() {
		if says := want[x.Check]; (says != "") != (x.Status == Warn) || !strings.Contains(x.Meaning, says) {
			t.Errorf("%+v, want %q", x, says)
		}
		if x.Status == Warn && !strings.HasPrefix(x.Remedy, "sudo gipcs") {
			t.Errorf("%s: %s", x.Check, x.Remedy)
		}
		if x.Check == "processes" && (!strings.Contains(x.Meaning, "3 of other users") || !strings.Contains(x.Meaning, "p[12] (permission denied), 2 more")) {
			t.Errorf("%+v", x)
		}
		fits(t, x)
	}
}

// TestNoProc: without /proc, the result of each check that needs it is unknown, not ok.
func TestNoProc(t *testing.T) {
	f := healthy()
	gone := Setting{Err: errAbsent}
	f.ProcErr, f.SysvipcErr, f.PtraceScope, f.RmidForced, f.MaxUserNamespaces = errAbsent, errAbsent, gone, gone, gone
	f.IPCNamespace, f.Caps, f.AllPIDs, f.InitListed = 0, 0, false, false
	unknown := []string{"pid namespace", "hidepid", "processes", "ptrace_scope", "IPC namespace", "other namespaces", "user namespaces", "clock", "shm_rmid_forced"}
	for _, x := range f.Examine() {
		want := OK
		switch {
		case x.Check == "/proc":
			want = Fail
		case slices.Contains(unknown, x.Check):
			want = Unknown
		}
		if x.Status != want {
			t.Errorf("%+v, want %v", x, want)
		}
	}
}

// TestKernels: section KERNELS of the man page names the same versions.
func TestKernels(t *testing.T) {
	page, err := os.ReadFile("../../../docs/man/gipcs.1")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, m := range regexp.MustCompile(`(?m)^\.It Linux before ([0-9.]+)$`).FindAllSubmatch(page, -1) {
		told = append(told, string(m[1]))
	}
	var known []string
	for _, l := range lacks() {
		known = append(known, l.since.String())
	}
	slices.Reverse(known)
	if !slices.Equal(told, known) {
		t.Errorf("gipcs(1) tells of kernels before %v, gipcs doctor of %v", told, known)
	}
}
