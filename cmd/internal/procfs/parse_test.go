package procfs

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const statTail = " S 1 4242 4242 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 262304 8192 100 18446744073709551615 0 0\n"

func TestParseStat(t *testing.T) {
	start := 2623040 * time.Millisecond
	tests := []struct {
		name, text string
		want       Stat
		ok         bool
	}{
		{"plain", "4242 (bash)" + statTail, Stat{PID: 4242, Comm: "bash", State: 'S', Threads: 1, PPID: 1, Start: start}, true},
		{"parentheses and blanks", "7 (a) S (b c) ((x)" + statTail, Stat{PID: 7, Comm: "a) S (b c) ((x", State: 'S', Threads: 1, PPID: 1, Start: start}, true},
		{"newline", "7 (a\nb)" + statTail, Stat{PID: 7, Comm: "a\nb", State: 'S', Threads: 1, PPID: 1, Start: start}, true},
		{"no name", "7 ()" + statTail, Stat{PID: 7, State: 'S', Threads: 1, PPID: 1, Start: start}, true},
		{"not text", "7 (\xff\x1b[31m)" + statTail, Stat{PID: 7, Comm: "\xff\x1b[31m", State: 'S', Threads: 1, PPID: 1, Start: start}, true},
		{
			"kernel thread", "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 0 0 0\n",
			Stat{PID: 2, Comm: "kthreadd", State: 'S', Threads: 1, KernelThread: true, Forked: true},
			true,
		},
		{
			"ending", strings.Replace("7 (x)"+statTail, "4194560", "4194308", 1),
			Stat{PID: 7, Comm: "x", State: 'S', Threads: 1, PPID: 1, Exiting: true, Start: start},
			true,
		},
		{
			"forked", strings.Replace("7 (x)"+statTail, "4194560", "4194624", 1),
			Stat{PID: 7, Comm: "x", State: 'S', Threads: 1, PPID: 1, Forked: true, Start: start},
			true,
		},
		{"empty", "", Stat{}, false},
		{"cut", "4242 (bash) S 1 4242 4242 0 -1", Stat{}, false},
		{"no parentheses", "4242 bash" + statTail, Stat{}, false},
		{"wrong way round", "4242 )bash(" + statTail, Stat{}, false},
		{"no pid", "(bash)" + statTail, Stat{}, false},
		{"pid too large", "4294967296 (bash)" + statTail, Stat{}, false},
		{"start too large", strings.Replace("1 (x)"+statTail, "262304", "18446744073709551615", 1), Stat{}, false},
		{"state of two letters", strings.Replace("1 (x)"+statTail, " S ", " SS ", 1), Stat{}, false},
	}
	for _, tt := range tests {
		got, err := ParseStat([]byte(tt.text))
		if got != tt.want || (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %+v, %v\nwant %+v, ok %v", tt.name, got, err, tt.want, tt.ok)
		}
	}
}

func TestParseStatus(t *testing.T) {
	ids := "Uid:\t1000\t1001\t1002\t1003\nGid:\t7\t8\t9\t4294967295\nFDSize:\t64\nGroups:\t4 24 1000 \n"
	text := "Name:\tbash\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4242\n" + ids + "NSpid:\t4242\t17\t1\nThreads:\t1\n" +
		"SigBlk:\t0000000000000400\nSigCgt:\t0000000180000440\nCapPrm:\t0\nCapEff:\t0000000000008000\n"
	want := Status{
		Credentials: Credentials{[4]uint32{1000, 1001, 1002, 1003}, [4]uint32{7, 8, 9, 1<<32 - 1}, []uint32{4, 24, 1000}, 1 << 15},
		NSPIDs:      []int{4242, 17, 1}, Blocked: 0x400, Caught: 0x180000440, Sleeps: 12,
	}
	if got, err := ParseStatus([]byte(text + "voluntary_ctxt_switches:\t12\n")); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	// Linux 4.0 has no NSpid.
	old := "Uid:\t0\t4294967295\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \nCapEff:\t0\n"
	if got, err := ParseStatus([]byte(old)); err != nil || got.EUID() != 1<<32-1 || got.NSPIDs != nil || got.Groups != nil || ^got.Caught != 0 || got.Sleeps != -1 {
		t.Errorf("%+v, %v", got, err)
	}
	// Truncated or malformed contents are an error.
	for i := range text {
		if got, err := ParseStatus([]byte(text[:i])); !errors.Is(err, ErrFormat) {
			t.Errorf("ParseStatus(%q) = %+v, %v", text[:i], got, err)
		}
	}
	for _, bad := range []string{"", "Name:\tUid:\n", "Uid:\t0\n", "Uid:\t0 4294967296\n", "Uid:\tx\ty\n", "Uid:\t1\nUid:\t1\nUid:\t1\nUid:\t1\n"} {
		for _, bad := range []string{bad, bad + old[strings.Index(old, "Gid"):], strings.Replace(old, "Groups:\t", "Groups:\tx", 1)} {
			if got, err := ParseStatus([]byte(bad)); !errors.Is(err, ErrFormat) {
				t.Errorf("ParseStatus(%q) = %+v, %v", bad, got, err)
			}
		}
	}
}

func TestParseCall(t *testing.T) {
	tests := []struct {
		text string
		want Call
		ok   bool
	}{
		{
			"220 0x0 0x7ffc017b1354 0x2 0x7ffc017b1340 0x0 0x7f4bfe052740 0x7ffc017b1248 0x7f4bfe1605da\n",
			Call{Number: 220, Args: [6]uint64{0, 0x7ffc017b1354, 2, 0x7ffc017b1340, 0, 0x7f4bfe052740}, Stack: 0x7ffc017b1248, Program: 0x7f4bfe1605da},
			true,
		},
		{"70 0x0 0x1 0x64 0xfffffffffffffffb 0x0 0x0 0x0 0x0\n", Call{Number: 70, Args: [6]uint64{0, 1, 100, 1<<64 - 5}}, true},
		{"running\n", Call{Running: true}, true},
		{"-1 0x7ffc017b1248 0x7f4bfe1605da\n", Call{Number: -1}, true},
		{"", Call{}, false},
		{"-2 0x0", Call{}, false},
		{"220 0x0 0x1 0x2\n", Call{}, false},
		{"70 0x0 0x1 0x64 0x0 0x0 0x0 0x0\n", Call{}, false},
		{"70 0x0 0x1 0x64 0x0 0x0 0x0 0x0 0x0", Call{}, false},
		{"running", Call{}, false},
		{"220 0 1 2 3 4 5\n", Call{}, false},
		{"220 0x0 0x10000000000000000 0x2 0x3 0x4 0x5\n", Call{}, false},
	}
	for _, tt := range tests {
		got, err := ParseCall([]byte(tt.text))
		if (err == nil) != tt.ok || tt.ok && got != tt.want {
			t.Errorf("ParseCall(%q) = %+v, %v; want %+v", tt.text, got, err, tt.want)
		}
	}
}

func TestParseExecStart(t *testing.T) {
	text := "b) (#threads: 1)\n---\nse.exec_start                                :       2623044.255512\nse.vruntime : 1.2\n"
	if got, err := ParseExecStart([]byte(text)); err != nil || got != 2623044255512 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "se.exec_start : 1.5\n", "se.exec_start : -1.000000\n", "se.exec_start : 99999999999999999999.000000\n"} {
		if got, err := ParseExecStart([]byte(bad)); err == nil {
			t.Errorf("ParseExecStart(%q) = %v", bad, got)
		}
	}
}

func TestParseList(t *testing.T) {
	tests := []struct {
		text string
		want []string
	}{
		{"", nil},
		{"bash\x00-c\x00true\x00", []string{"bash", "-c", "true"}},
		{"postgres: writer", []string{"postgres: writer"}}, // setproctitle
		{"a\x00\x00b\x00", []string{"a", "", "b"}},
	}
	for _, tt := range tests {
		if got := ParseList([]byte(tt.text)); !slices.Equal(got, tt.want) {
			t.Errorf("ParseList(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

const (
	id1 = "3f2a6c0b9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a"
	id2 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	uid = "8a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
)

func TestParseCgroup(t *testing.T) {
	under := strings.ReplaceAll(uid, "-", "_")
	tests := []struct {
		name, text string
		want       Container
	}{
		{"none", "0::/\n", Container{}},
		{"docker, cgroupfs", "12:memory:/docker/" + id1 + "\n1:name=systemd:/docker/" + id1 + "\n0::/\n", Container{Runtime: "docker", ID: id1}},
		{"docker, systemd", "0::/system.slice/docker-" + id1 + ".scope\n", Container{Runtime: "docker", ID: id1, Unit: "docker-" + id1 + ".scope"}},
		{"docker, service within", "0::/docker/" + id1 + "/system.slice/cron.service\n", Container{Runtime: "docker", ID: id1, Unit: "cron.service"}},
		{"docker in docker", "0::/docker/" + id1 + "/docker/" + id2 + "\n", Container{Runtime: "docker", ID: id2}},
		{
			"kubernetes with containerd, systemd",
			"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + under + ".slice/cri-containerd-" + id1 + ".scope\n",
			Container{Runtime: "containerd", ID: id1, Pod: uid, Unit: "cri-containerd-" + id1 + ".scope"},
		},
		{
			"kubernetes, guaranteed",
			"0::/kubepods.slice/kubepods-pod" + under + ".slice/crio-" + id1 + ".scope/container\n",
			Container{Runtime: "crio", ID: id1, Pod: uid, Unit: "crio-" + id1 + ".scope"},
		},
		{"kubernetes, cgroupfs", "11:cpu:/kubepods/besteffort/pod" + uid + "/" + id1 + "\n0::/\n", Container{ID: id1, Pod: uid}},
		{
			"kubernetes, containerd under its own service",
			"0::/system.slice/containerd.service/kubepods-besteffort-pod" + under + ".slice:cri-containerd:" + id1 + "\n",
			Container{Runtime: "containerd", ID: id1, Pod: uid, Unit: "containerd.service"},
		},
		{"a crio helper", "0::/crio-conmon-" + id1 + ".scope\n", Container{Unit: "crio-conmon-" + id1 + ".scope"}},
		{"podman, systemd", "0::/machine.slice/libpod-" + id1 + ".scope/container\n", Container{Runtime: "podman", ID: id1, Unit: "libpod-" + id1 + ".scope"}},
		{
			"podman, an ordinary user's",
			"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id1 + ".scope\n",
			Container{Runtime: "podman", ID: id1, Unit: "libpod-" + id1 + ".scope"},
		},
		{"podman, cgroupfs", "0::/libpod_parent/libpod-" + id1 + "\n", Container{Runtime: "podman", ID: id1}},
		{"lxc", "0::/lxc.payload.web1/system.slice/nginx.service\n", Container{Runtime: "lxc", ID: "web1", Unit: "nginx.service"}},
		{"old lxc", "4:cpu:/lxc/web1\n", Container{Runtime: "lxc", ID: "web1"}},
		{"nspawn", "0::/machine.slice/machine-web1.scope\n", Container{Runtime: "nspawn", ID: "web1", Unit: "machine-web1.scope"}},
		{"a service", "0::/system.slice/postgresql.service\n", Container{Unit: "postgresql.service"}},
		{"a session", "1:name=systemd:/user.slice/user-0.slice/session-3.scope\n0::/\n", Container{Unit: "session-3.scope"}},
		{"seen from within a cgroup namespace", "0::/../../docker-" + id1 + ".scope\n", Container{Runtime: "docker", ID: id1, Unit: "docker-" + id1 + ".scope"}},
		{"too short an id", "0::/docker/abc\n", Container{}},
		{"no id", "0::/docker/" + strings.ToUpper(id1) + "\n", Container{}},
		{"garbage", "docker\n::\n0:\n", Container{}},
	}
	for _, tt := range tests {
		if got := ParseCgroup([]byte(tt.text)); got != tt.want {
			t.Errorf("%s: %+v\nwant %+v", tt.name, got, tt.want)
		}
	}
}

func TestParseJob(t *testing.T) {
	user := func(uid uint32, j Job) Job {
		j.UID, j.UIDKnown = uid, true
		return j
	}
	tests := []struct {
		name, text string
		want       Job
	}{
		{"v1", "9:name=systemd:/system.slice/slurmd.service\n4:freezer:/slurm/uid_1000/job_12/step_3/task_0\n", user(1000, Job{Manager: "slurm", ID: "12"})},
		{"v1, a node of several", "4:freezer:/slurm_n2/uid_7/job_1/step_batch\n", user(7, Job{Manager: "slurm", ID: "1"})},
		{"v1, slurmstepd", "4:cpuset:/slurm/uid_7/job_1\n", user(7, Job{Manager: "slurm", ID: "1"})},
		{"v2", "0::/system.slice/slurmstepd.scope/job_5/step_extern/user/task_special\n", Job{Manager: "slurm", ID: "5"}},
		{"v2, a node of several", "0::/system.slice/n2_slurmstepd.scope/job_5/step_0/user/task_0\n", Job{Manager: "slurm", ID: "5"}},
		{"seen from a cgroup namespace", "0::/../../system.slice/slurmstepd.scope/job_5/step_0\n", Job{Manager: "slurm", ID: "5"}},
		{"OpenPBS, v1", "3:memory:/pbs_jobs.service/jobid/17.head\n", Job{Manager: "pbs", ID: "17.head"}},
		{"OpenPBS, v2", "0::/pbs_jobs.service/jobs/17[2].head\n", Job{Manager: "pbs", ID: "17[2].head"}},
		{"slurmstepd itself before a job", "0::/system.slice/slurmstepd.scope/system\n", Job{}},
		{"made by a user, v2", "0::/user.slice/user-7.slice/user@7.service/system.slice/slurmstepd.scope/job_5/step_0\n", Job{}},
		{"made by a user, v1", "4:freezer:/user/7/slurm/uid_0/job_1/step_0\n", Job{}},
		{"no user", "4:freezer:/slurm/uid_x/job_1/step_0\n", Job{}},
		{"no id", "4:freezer:/slurm/uid_1/job_/step_0\n", Job{}},
		{"a service that is called so", "0::/system.slice/slurm.service/job_1/step_0\n", Job{}},
	}
	for _, tt := range tests {
		if got := ParseCgroup([]byte(tt.text)).Job; got != tt.want {
			t.Errorf("%s: %+v\nwant %+v", tt.name, got, tt.want)
		}
	}
}

func TestParseNamespace(t *testing.T) {
	if got, err := ParseNamespace("ipc", "ipc:[4026531839]"); got != 4026531839 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	for _, bad := range []string{"", "ipc:[]", "ipc:[", "ipc:]", "net:[1]", "ipc:[1", "ipc:[-1]", "ipc:[99999999999999999999]"} {
		if got, err := ParseNamespace("ipc", bad); !errors.Is(err, ErrFormat) {
			t.Errorf("ParseNamespace(%q) = %d, %v", bad, got, err)
		}
	}
}

func TestParseBootTime(t *testing.T) {
	got, err := ParseBootTime([]byte("cpu  1 2 3\nintr 5 btime 7\nbtime 1795245838\nprocesses 9\n"))
	if want := time.Unix(1795245838, 0); err != nil || !got.Equal(want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"", "cpu 1\n", "btime \n", "btime x\n"} {
		if got, err := ParseBootTime([]byte(bad)); !errors.Is(err, ErrFormat) {
			t.Errorf("ParseBootTime(%q) = %v, %v", bad, got, err)
		}
	}
}

func TestParseSegmentMemory(t *testing.T) {
	text := `       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
      4660      32769   600                  8192  8643     0      0     0     0     0     0          0          0 1795248482                  4096                  8192
        -1          2  1600               2097152  8643     0      0     0     0     0     0          0          0 1795248482            1073741824                     0
`
	var got []SegmentMemory
	err := ParseSegmentMemory(strings.NewReader(text), func(m SegmentMemory) bool { got = append(got, m); return true })
	want := []SegmentMemory{{32769, 8192, 4096, 8192}, {2, 2097152, 2097152, 0}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	// The second row is malformed, but not asked for.
	err = ParseSegmentMemory(strings.NewReader("shmid size rss swap\n1 2 3 4\nbad\n"), func(m SegmentMemory) bool { return m.ID != 1 })
	if err != nil {
		t.Errorf("a row after the last wanted one: %v", err)
	}
	for _, bad := range []string{"", "key shmid\n1 2\n", "shmid size rss swap\n1 2 3\n", "shmid size rss swap\n1 2 x 4\n"} {
		if err := ParseSegmentMemory(strings.NewReader(bad), func(SegmentMemory) bool { return true }); !errors.Is(err, ErrFormat) {
			t.Errorf("ParseSegmentMemory(%q): %v", bad, err)
		}
	}
}

func TestParseNamespaceMounts(t *testing.T) {
	text := `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
100 22 0:4 net:[4026531840] /run/netns/x rw shared:50 - nsfs nsfs rw
101 22 0:4 ipc:[4026532222] /run/ipc\040ns/a rw shared:51 - nsfs nsfs rw
`
	want := []NamespaceMount{{4026532222, "/run/ipc ns/a"}}
	if got := ParseNamespaceMounts([]byte(text)); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestParseHidePID(t *testing.T) {
	text := `22 1 0:21 / /proc rw,relatime shared:1 - proc proc rw
23 22 0:40 / /tmp/my\040proc rw - proc proc rw,gid=4,hidepid=2
24 22 0:41 / /proc rw,relatime - proc proc rw,hidepid=invisible,subset=pid
25 22 0:42 / /hidden rw,relatime - tmpfs hidepid=1 rw,hidepid=1
26 22 0:42 / /cut rw,relatime - proc
`
	for _, tt := range []struct{ point, want string }{
		{"/proc", "invisible"}, {"/tmp/my proc", "2"}, {"/hidden", ""}, {"/cut", ""}, {"/none", ""},
	} {
		if got := ParseHidePID([]byte(text), tt.point); got != tt.want {
			t.Errorf("%s: hidepid=%s, want %s", tt.point, got, tt.want)
		}
	}
	over := text + "27 24 0:43 / /proc rw - proc proc rw\n"
	if got := ParseHidePID([]byte(over), "/proc"); got != "" {
		t.Errorf("a mount that is covered counts: hidepid=%s", got)
	}
}

// FuzzParsers checks that every parser returns, whatever its input.
func FuzzParsers(f *testing.F) {
	for _, seed := range []string{
		"4242 (a) b)" + statTail, "Uid:\t1\t2\t3\t4\nNSpid:\t1\t2\n", "220 0x0 0x1 0x2 0x3 0x4 0x5 0x6 0x7\n",
		"running", "-1 0x0 0x0", "0::/kubepods.slice/kubepods-pod1.slice:cri-containerd:" + id1 + "\n", "btime 1\n",
		"shmid size rss swap\n1 2 3 4\n", "1 2 3:4 ipc:[5] /a\\040b\n", "se.exec_start : 1.000000\n", "a\x00b\x00", mapsText,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := ParseStat(b); err == nil && (s.PID < 0 || s.Start < 0 || !strings.Contains(string(b), s.Comm)) {
			t.Errorf("ParseStat(%q) = %+v", b, s)
		}
		if c := ParseCgroup(b); c.Runtime != "" && c.ID == "" {
			t.Errorf("ParseCgroup(%q) = %+v", b, c)
		}
		if c, err := ParseCall(b); err == nil && c.Number < -1 {
			t.Errorf("ParseCall(%q) = %+v", b, c)
		}
		_ = ParseSegmentMemory(bytes.NewReader(b), func(m SegmentMemory) bool {
			if m.Resident > m.Size+64<<10 {
				t.Errorf("ParseSegmentMemory(%q) = %+v", b, m)
			}
			return true
		})
		_, _ = ParseStatus(b)
		_, _ = ParseExecStart(b)
		_, _ = ParseBootTime(b)
		_, _ = ParseNamespace("ipc", string(b))
		_ = ParseList(b)
		_ = ParseNamespaceMounts(b)
		_ = ParseHidePID(b, "/a b")
	})
}
