package integration_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// refusing is set in the environment of a second run of the test program. It says which
// calls to refuse, with which error and to whom; the program then executes its arguments as
// a command.
const refusing = "GIPC_TEST_REFUSE"

// runRefused does not return in a process that refused started.
func runRefused() {
	how, ok := os.LookupEnv(refusing)
	if !ok {
		return
	}
	var commands ipctest.Commands
	var errno, uid int
	_, err := fmt.Sscan(how, &commands, &errno, &uid)
	ipctest.OnThread(func() {
		if err == nil {
			err = ipctest.Refuse(commands, unix.Errno(errno))
		}
		if err == nil {
			err = ipctest.Become(uid)
		}
		if err == nil {
			os.Unsetenv(refusing)
			err = unix.Exec(os.Args[1], os.Args[1:], os.Environ())
		}
	})
	fmt.Fprintln(os.Stderr, "refusing:", err)
	os.Exit(99)
}

// changing matches output that differs between any two runs of a command: ages, and the
// names of processes that could not be inspected.
var changing = regexp.MustCompile(`(?m)^(age|idle|not_inspected): .*$|\d+ \w+ ago| *(AGE|(\d+\w)+)$|\d+ process(es)? could not be inspected: [^;\n]*`)

// refused runs a command as a user to whom kernel commands are refused. It returns the
// output and messages, without the text that changing matches; the status is at the end of
// the output.
func refused(t *testing.T, commands ipctest.Commands, e unix.Errno, uid int, command []string) (output, messages string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", command...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %d", refusing, commands, e, uid))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 99 {
		t.Fatalf("%v: %v %s", command, err, &stderr)
	}
	output = changing.ReplaceAllString(stdout.String(), "") + "status " + strconv.Itoa(cmd.ProcessState.ExitCode())
	return output, changing.ReplaceAllString(stderr.String(), "")
}

// TestRefused runs the commands while the kernel refuses the calls that they try first, as
// a kernel before 4.17 or a security policy does. Their output must not change, except that
// the limit of a queue that the caller may not read is unknown, and reported as such.
func TestRefused(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	inNamespace(t)
	bin := install(t, "gipcs", "gshm")
	gipcs := filepath.Join(bin, "gipcs")
	for _, name := range []string{"ipcs", "lsipc", "ipcrm"} {
		if err := os.Symlink(gipcs, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	remove := makeOneOfEach(t)
	defer remove()
	for _, line := range []string{
		"gipcs ls --json -o kind,id,key,owner,mode,size,nattch,nsems,qbytes,ctime,verdict",
		"gipcs ls -q -o id,qbytes",
		"gipcs show shm:0", "gipcs show sem:0", "gipcs show msg:0", "gipcs show msg:2147483647",
		"gipcs rm --unused --dry-run", "gipcs rm --orphans --dry-run",
		"gipcs limits --json", "gipcs limits --check 90", "gipcs limits --explain",
		"ipcs", "ipcs -l", "ipcs -u", "ipcs -q -i 0", "ipcs -m -i 0",
		"lsipc", "lsipc -q", "ipcrm -m 2147483647", "gshm stat 0",
	} {
		command := strings.Fields(line)
		command[0] = filepath.Join(bin, command[0])
		for _, uid := range []int{0, 65534} {
			want, wantMessages := refused(t, 0, unix.EPERM, uid, command)
		next:
			for _, r := range []struct {
				commands ipctest.Commands
				as       unix.Errno
			}{
				{ipctest.StatAny, unix.EINVAL}, // a kernel before 4.17
				{ipctest.IPCInfo | ipctest.Info, unix.EACCES},
				{ipctest.StatAny | ipctest.Stat | ipctest.IPCInfo | ipctest.Info, unix.EPERM},
				{ipctest.AllCommands - 1, unix.EPERM},
				{ipctest.AllCommands - 1, unix.EINVAL},
			} {
				var got, messages string
				for range 3 { // the processes of the machine may change between two runs
					got, messages = refused(t, r.commands, r.as, uid, command)
					unknown := r.commands&ipctest.StatAny != 0 && (uid != 0 || r.commands&ipctest.IPCStat != 0)
					if got == want && messages == wantMessages || unknown && saysUnknown(line, got, messages) {
						continue next
					}
					want, wantMessages = refused(t, 0, unix.EPERM, uid, command)
				}
				t.Errorf("%s of uid %d with %v refused as %v (-want +got):\n%s", line, uid, r.commands, r.as, cmp.Diff(want+"\n"+wantMessages, got+"\n"+messages))
			}
		}
	}
}

// TestDoctorRefused: gipcs doctor names the calls that are refused, the kernel's reason,
// and what gipcs does instead. Without /proc it cannot do that, and doctor says so.
func TestDoctorRefused(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	inNamespace(t)
	gipcs := filepath.Join(install(t, "gipcs"), "gipcs")
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip(err)
	}
	remove := makeOneOfEach(t)
	defer remove()
	here := []string{gipcs, "doctor"}
	withoutProc := []string{unshare, "-m", "sh", "-c", "mount -t tmpfs none /proc; exec " + gipcs + " doctor"}
	for _, tt := range []struct {
		commands ipctest.Commands
		as       unix.Errno
		uid      int
		command  []string
		says     string
	}{
		{0, unix.EPERM, 0, here, `ok +allowed .*(.*\n)*status 0$`},
		{ipctest.StatAny, unix.EPERM, 65534, here, `warn +3 of 9 refused +docker run --security-opt seccomp=FILE +the kernel refuses shmctl SHM_STAT_ANY, semctl SEM_STAT_ANY, msgctl MSG_STAT_ANY \(operation not permitted\): gipcs reads /proc/sysvipc instead.*(.*\n)*status 0$`},
		{ipctest.StatAny, unix.EINVAL, 0, here, `warn +3 of 9 refused .*_STAT_ANY \(the kernel has no such call\).*(.*\n)*status 0$`},
		{ipctest.IPCInfo | ipctest.Info, unix.EACCES, 0, here, `warn +6 of 9 refused .*shmctl IPC_INFO, shmctl SHM_INFO, .*msgctl MSG_INFO \(permission denied\).*(.*\n)*status 0$`},
		{ipctest.AllCommands - 1, unix.EPERM, 0, here, `warn +9 of 9 refused .*(.*\n)*status 0$`},
		{ipctest.AllCommands - 1, unix.EPERM, 0, withoutProc, `fail +9 of 9 refused .*/proc/sysvipc cannot be read: only objects that you may read are listed.*(.*\n)*status 1$`},
	} {
		got, _ := refused(t, tt.commands, tt.as, tt.uid, tt.command)
		if !regexp.MustCompile(`(?m)^System V calls +` + tt.says).MatchString(got) {
			t.Errorf("%v refused as %v: want %s, got\n%s", tt.commands, tt.as, tt.says, got)
		}
	}
}

// saysUnknown reports whether a command's output says that the queue's limit is unknown.
// ipcs prints it as 0, as that of util-linux does.
func saysUnknown(line, output, messages string) bool {
	const said = "the limit of 1 queue is not known: msgctl MSG_STAT_ANY"
	switch {
	case strings.HasPrefix(line, "gipcs ls"):
		return strings.Contains(messages, said) && regexp.MustCompile(`"qbytes":null|(?m) -$`).MatchString(output)
	case line == "gipcs limits --explain":
		return strings.Contains(messages, said)
	case line == "gipcs show msg:0":
		return regexp.MustCompile(`(?m)^qbytes: +-$`).MatchString(output)
	case line == "ipcs -q -i 0":
		return strings.Contains(output, "qbytes=0\t")
	default:
		return false
	}
}

// makeOneOfEach makes a segment, a set and a queue that only root may read.
func makeOneOfEach(t *testing.T) (remove func()) {
	t.Helper()
	segment, err1 := sysv.CreateSegment(1, 4096, nil)
	set, err2 := sysv.CreateSet(2, 3, nil)
	queue, err3 := sysv.CreateQueue(3, nil)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for _, err := range []error{segment.Remove(), set.Remove(), queue.Remove()} {
			if err != nil {
				t.Error(err)
			}
		}
	}
}
