package programs_test

import (
	"fmt"
	"strconv"
	"strings"
)

// corosync is a cluster of one node.
func corosync(r *room) service {
	r.overlay("/var/lib/corosync")
	conf := r.write("corosync.conf", `
totem {
	version: 2
	cluster_name: room
	transport: udpu
}
nodelist {
	node {
		name: one
		nodeid: 1
		ring0_addr: 127.0.0.1
	}
}
quorum {
	provider: corosync_votequorum
}
logging {
	to_stderr: yes
	to_syslog: no
}
`)
	r.start("root", "corosync", "-f", "-c", conf)
	return service{request: func() error {
		said, err := r.run("root", "corosync-cmapctl", "-g", "totem.cluster_name")
		if err == nil && !strings.Contains(said, "= room") {
			err = fmt.Errorf("it answered %q", said)
		}
		return err
	}}
}

// reduction adds up the lengths of lines in two processes.
const reduction = `
from mpi4py import MPI
import sys

world = MPI.COMM_WORLD
while True:
    line = world.bcast(sys.stdin.readline() if world.rank == 0 else None, root=0)
    if not line:
        break
    n = world.allreduce(len(line.strip()))
    if world.rank == 0:
        print(n, flush=True)
`

// openMPI is a job of two processes that share memory.
func openMPI(r *room) service {
	cmd := r.command(r.user, "mpirun", "-n", "2", "--oversubscribe", "python3", r.write("reduction.py", reduction))
	cmd.Env = append(cmd.Env, "TMPDIR="+r.home())
	cmd.Dir = r.home()
	d := r.startDialogue(cmd)
	return service{request: func() error {
		const line = "job"
		return d.ask(line, strconv.Itoa(2*len(line)))
	}}
}
