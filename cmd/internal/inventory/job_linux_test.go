package inventory

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysvipc/gipc/cmd/internal/ref"
	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/sysv"
)

// TestJobs: what the processes of a running batch job show about a segment that nobody uses
// and whose maker has ended.
func TestJobs(t *testing.T) {
	ipctest.NeedOtherUsers(t)
	seg := createSegment(t, sysv.Private, 4096, 0o600)
	if err := seg.SetOwnership(sysv.Ownership{UID: 4321, Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	info, err := seg.Stat()
	if err != nil {
		t.Fatal(err)
	}
	boot := time.Now().Add(-time.Hour)
	made := info.CTime.Sub(boot)
	const (
		v1 = "4:freezer:/slurm/uid_4321/job_5"
		v2 = "0::/system.slice/slurmstepd.scope/job_5"
	)
	type process struct {
		comm, title string
		uid         int
		start       time.Duration
		cgroup      string
	}
	// As Slurm 22.05 has them: slurmstepd is in the group of the job itself with cgroup v1.
	stepd := func(start time.Duration, cgroup, step string) process {
		return process{"slurmstepd", "slurmstepd: [5." + step + "]", 0, start, cgroup}
	}
	user := func(uid int, start time.Duration, cgroup string) process {
		return process{"bash", "bash", uid, start, cgroup}
	}
	early, late := made-time.Minute, made+time.Minute
	const same, other = "job slurm:5 of the same user", "job slurm:5 is running"
	tests := []struct {
		name      string
		processes []process
		running   string // the beginning of the reason
	}{
		{"no job", []process{user(4321, early, "0::/user.slice/user-4321.slice/session-1.scope")}, ""},
		{"between two steps, v1", []process{stepd(early, v1, "extern"), user(0, early, v1+"/step_extern")}, same},
		{"between two steps, v2", []process{stepd(early, v2+"/step_extern/slurm", "extern"), user(0, early, v2+"/step_extern/user/task_0")}, other},
		{"script of the owner", []process{stepd(early, v2+"/step_batch/slurm", "batch"), user(4321, early, v2+"/step_batch/user/task_0")}, same},
		{"script of another user", []process{stepd(early, v2+"/step_batch/slurm", "batch"), user(4322, early, v2+"/step_batch/user/task_0")}, ""},
		{"begun later", []process{stepd(late, v1, "extern"), user(4321, late, v1+"/step_0")}, ""},
		{"begun later, owner not seen", []process{stepd(late, v2+"/step_extern/slurm", "extern")}, ""},
		{"begun later, or earlier steps have ended", []process{stepd(late, v1, "1"), user(4321, late, v1+"/step_1")}, same},
		{"begun later, says a user's process", []process{{"slurmstepd", "slurmstepd: [5.extern]", 4321, late, v1 + "/step_extern"}}, same},
		{"begun in the same second", []process{stepd(made+time.Second, v1, "extern")}, same},
		{"PBS", []process{user(4321, late, "3:memory:/pbs_jobs.service/jobid/9.head")}, "job pbs:9.head of the same user"},
		{"a group of another user's own", []process{user(4322, early, "0::/user.slice/user-4322.slice/slurm/uid_4321/job_5/step_extern")}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeProc(t, boot)
			for i, p := range tt.processes {
				f.process(5000+i, p.comm, p.uid, 0, p.start, fakeNamespace+1, "")
				f.write(fmt.Sprintf("%d/cgroup", 5000+i), p.cgroup+"\n")
				f.write(fmt.Sprintf("%d/cmdline", 5000+i), p.title+"\x00")
			}
			want, codes := Orphan, "not-attached process-gone age"
			if tt.running != "" {
				want, codes = Unknown, "not-attached process-gone job-running age"
			}
			o := find(t, collectAll(t, Options{Want: WantVerdict, Proc: f.root}), ref.Shm, int(seg))
			wantVerdict(t, o, want, codes)
			if tt.running != "" && !strings.HasPrefix(o.Use.Reasons[2].Text, tt.running) {
				t.Error(o.Use.Reasons[2].Text)
			}
		})
	}
}

// TestJobUnread: a process whose control group cannot be read may be any job's.
func TestJobUnread(t *testing.T) {
	seg := createSegment(t, sysv.Private, 4096, 0o600)
	f := newFakeProc(t, time.Now().Add(-time.Hour))
	f.process(5000, "sleep", 4321, 0, time.Minute, fakeNamespace+1, "")
	for errno, want := range map[unix.Errno]Verdict{unix.ENOMEM: Unknown, unix.ENOENT: Orphan} {
		inv := collectAll(t, Options{Want: WantVerdict, Proc: f.root, fault: func(_, name string) ([]byte, error) {
			if name == "5000/cgroup" {
				return nil, errno
			}
			return nil, nil
		}})
		if got := find(t, inv, ref.Shm, int(seg)).Use; got.Verdict != want {
			t.Errorf("%v: %v, want %v: %s", errno, got.Verdict, want, dump(got))
		}
	}
}
