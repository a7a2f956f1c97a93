package inventory

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/sysvipc/gipc/cmd/internal/procfs"
)

// A job is a batch job that has a process on this machine. Between two steps its owner may
// have no process: with PrologFlags=Contain, Slurm then runs root's slurmstepd and its
// child in the step extern.
type job struct {
	procfs.Job
	users []uint32 // owners, as far as they are seen; root does not count
	// start is the start of its oldest process. Earlier ones may have ended unless whole
	// is set.
	start time.Duration
	whole bool
}

// jobsOf returns the jobs of the processes.
func jobsOf(f *procfs.FS, people []*person) (jobs []*job) {
	oldest := make(map[string]*person)
	byName := make(map[string]*job)
	for _, p := range people {
		name := p.Container.Job.String()
		if name == "" {
			continue
		}
		j := byName[name]
		if j == nil {
			j = &job{Job: p.Container.Job}
			byName[name], oldest[name] = j, p
			jobs = append(jobs, j)
		}
		if p.start < oldest[name].start {
			oldest[name] = p
		}
		j.users = append(j.users, p.owners()...)
	}
	for name, j := range byName {
		j.start, j.whole = oldest[name].start, oldest[name].lastsForJob(f)
	}
	slices.SortFunc(jobs, func(a, b *job) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.ID, b.ID)) })
	return jobs
}

// lastsForJob reports whether a process lives as long as its job: Slurm's daemon for the
// script, or for the step that represents the job on each machine. Its title is
// "slurmstepd: [JOB.STEP]". Names would prove nothing if the process were not root's.
func (p *person) lastsForJob(f *procfs.FS) bool {
	if p.Comm != "slurmstepd" || p.credentials == nil || p.credentials.UIDs != [4]uint32{} {
		return false
	}
	title, err := f.Cmdline(p.PID)
	return err == nil && len(title) > 0 && (strings.HasSuffix(title[0], ".batch]") || strings.HasSuffix(title[0], ".extern]"))
}

// owners returns the users that a process shows to be owners of its job.
func (p *person) owners() (users []uint32) {
	if j := p.Container.Job; j.UIDKnown {
		users = append(users, j.UID)
	}
	if p.credentials == nil {
		return users
	}
	for _, user := range slices.Concat(p.credentials.UIDs[:], p.others) {
		if user != 0 {
			users = append(users, user)
		}
	}
	return users
}

// job implements witness.
func (c *collector) job(o *Object) Reason {
	if c.fs == nil {
		return Reason{}
	}
	users := []uint32{o.Ownership().UID}
	if perm := o.Perm(); perm != nil {
		users = append(users, perm.CUID)
	}
	used := latest(o.Changed(), o.Used())
	for _, j := range c.census().jobs {
		its := slices.ContainsFunc(users, func(user uint32) bool { return slices.Contains(j.users, user) })
		if !its && len(j.users) > 0 {
			continue
		}
		if after, sure := c.clock.after(j.start, used); after && sure && j.whole {
			continue // it was last used before the job
		}
		if its {
			return reason(JobRunning, "job %v of the same user is running, and its next step may use it", j)
		}
		return reason(JobRunning, "job %v is running, and may be of the same user: its owner has no process", j)
	}
	return Reason{}
}

// containerOf returns where a process runs, the zero Container if the kernel has no
// control groups.
func containerOf(f *procfs.FS, pid int) (procfs.Container, error) {
	c, err := f.Container(pid)
	if errors.Is(err, fs.ErrNotExist) && f.Exists(pid) {
		return c, nil
	}
	return c, err
}
