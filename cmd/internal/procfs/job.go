package procfs

import (
	"strconv"
	"strings"
)

// A Job is a job of a batch system, as the names of control groups show it. The zero Job
// means none.
//
// A control group counts only where root alone can create it. Users can give groups any
// name in a part of the tree that was delegated to them.
type Job struct {
	Manager string // slurm or pbs
	ID      string
	// UID is the job's owner, if UIDKnown is set. Slurm names it in the groups of cgroup v1.
	UID      uint32
	UIDKnown bool
}

// String returns MANAGER:ID, or "" for the zero Job.
func (j Job) String() string {
	if j.ID == "" {
		return ""
	}
	return j.Manager + ":" + j.ID
}

// jobOf parses the path of a control group. The forms are:
//
//	/slurm/uid_N/job_ID/...                Slurm, cgroup v1; or /slurm_NODE
//	/system.slice/slurmstepd.scope/job_ID/ Slurm, cgroup v2; or NODE_slurmstepd.scope
//	/pbs_jobs.service/jobid/ID             OpenPBS, cgroup v1; older: pbspro.service
//	/pbs_jobs.service/jobs/ID              OpenPBS, cgroup v2
func jobOf(path string) (j Job) {
	for strings.HasPrefix(path, "/../") { // relative to the reader's cgroup namespace
		path = path[len("/.."):]
	}
	names := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(names) < 3 {
		return Job{}
	}
	top, second := names[0], names[1]
	switch {
	case top == "slurm" || strings.HasPrefix(top, "slurm_"):
		j.Manager = "slurm"
		uid, isUID := strings.CutPrefix(second, "uid_")
		n, err := strconv.ParseUint(uid, 10, 32)
		if !isUID || err != nil {
			return Job{}
		}
		j.UID, j.UIDKnown = uint32(n), true
	case top == "system.slice" && (second == "slurmstepd.scope" || strings.HasSuffix(second, "_slurmstepd.scope")):
		j.Manager = "slurm"
	case (top == "pbs_jobs.service" || top == "pbspro.service") && (second == "jobid" || second == "jobs"):
		return Job{Manager: "pbs", ID: names[2]}
	default:
		return Job{}
	}
	id, isJob := strings.CutPrefix(names[2], "job_")
	if !isJob || id == "" {
		return Job{}
	}
	j.ID = id
	return j
}
