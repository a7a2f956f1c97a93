#!/usr/bin/env bash
# Runs a Slurm cluster of one node with docs/examples/slurm-epilog, and jobs of two users that
# leave segments, semaphore sets, queues with messages and files in /dev/shm behind. Some
# are cancelled or killed. The epilogs must remove everything, but no object of a job that
# is still running.
#
# usage: integration/slurm.sh [JOBS]
#
# Needs root and Debian's slurm-wlm. Everything runs in namespaces of its own, except that
# the node's control groups are made among those of the machine, and removed.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "integration/slurm.sh: $*" >&2; exit 1; }

# started runs the cluster and the jobs, in the namespaces, and checks the result.
started() {
	mount --make-rprivate /
	mount -t proc proc /proc
	mount -t tmpfs -o mode=1777 tmpfs /dev/shm
	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir /run/munge
	ip link set lo up
	ip address add 192.0.2.1/24 dev lo # without an address Slurm resolves no names
	hostname "$node"
	configure
	munged --force --key-file="$work/key" --pid-file="$work/munged.pid" --log-file="$work/log/munged" --seed-file="$work/seed" 2>>"$work/log/munged.err"
	slurmctld
	slurmd
	await 60 idle
	as alice sbatch -Q -o /dev/null "$work/between"
	await 60 test -e "$work/shared/there"
	column_job
	submit
	await $((60 + jobs * 10)) only_waiting
	touch "$work/shared/enough"
	await 120 empty
	stop
	check
}

configure() {
	local cgroup=cgroup/v2
	[ ! -d /sys/fs/cgroup/freezer ] || cgroup=cgroup/v1
	cp /etc/passwd /etc/hosts "$work/etc"
	printf '%s\n' "alice:x:7001:7001::/:/bin/sh" "bob:x:7002:7002::/:/bin/sh" >>"$work/etc/passwd"
	echo "192.0.2.1 $node" >>"$work/etc/hosts"
	mount --bind "$work/etc/passwd" /etc/passwd
	mount --bind "$work/etc/hosts" /etc/hosts
	(umask 077; head -c 1024 /dev/urandom >"$work/key")
	cat >"$work/etc/slurm.conf" <<-END
		ClusterName=gipc
		SlurmctldHost=$node
		SlurmUser=root
		AuthType=auth/munge
		MpiDefault=none
		StateSaveLocation=$work/state
		SlurmdSpoolDir=$work/spool
		SlurmctldPidFile=$work/slurmctld.pid
		SlurmdPidFile=$work/slurmd.pid
		SlurmctldLogFile=$work/log/slurmctld
		SlurmdLogFile=$work/log/slurmd
		SlurmdParameters=config_overrides
		TaskPlugin=task/none
		ProctrackType=proctrack/cgroup
		PrologFlags=Contain
		SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
		SelectType=select/cons_tres
		SelectTypeParameters=CR_CPU
		KillWait=2
		Epilog=$work/epilog
		NodeName=$node CPUs=10 State=UNKNOWN
		PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
	END
	printf 'CgroupPlugin=%s\nCgroupAutomount=no\nIgnoreSystemd=yes\n' $cgroup >"$work/etc/cgroup.conf"
	scripts
}

# scripts writes the epilog and the jobs. make reads identifiers in the order in which ipcmk
# prints them. check records whether all objects of a running job are still there.
scripts() {
	cat >"$work/epilog" <<-END
		#!/bin/sh
		PATH=$work/bin:/usr/bin:/bin
		export PATH GIPCS_LOG=$work/log/removed
		sed "s,^PATH=,PATH=$work/bin:," docs/examples/slurm-epilog >$work/epilog.sh.\$SLURM_JOB_ID
		sh $work/epilog.sh.\$SLURM_JOB_ID
		echo "\$SLURM_JOB_ID \$SLURM_JOB_USER \$?" >>$work/log/epilogs
	END
	sed -i "s, docs/, $PWD/docs/," "$work/epilog"
	cat >"$work/functions" <<-'END'
		make() {
			ids=$(ipcmk -M 4096 -S 2 -Q | sed -n 's/.*id: //p' | xargs) && set -- $ids
			shm=$1 msg=$2 sem=$3
			file=/dev/shm/of-$SLURM_JOB_ID
			echo "of a job" >"$file"
		}
		there() {
			ipcs -m -i $shm >/dev/null && ipcs -q -i $msg >/dev/null && ipcs -s -i $sem >/dev/null && [ -e "$file" ]
		}
		check() { if there; then echo "$SLURM_JOB_ID $1" >>shared/kept; else echo "$SLURM_JOB_ID $1 lost an object" >>shared/lost; fi; }
	END
	# A job of alice that does nothing between two steps until all other jobs have ended.
	cat >"$work/between" <<-END
		#!/bin/bash
		cd $work && . ./functions && make
		touch shared/there
		until [ -e shared/enough ]; do sleep 0.2; there || { check waiting; exit; }; done
		check waiting
	END
	# A job's number determines how it ends.
	cat >"$work/leak" <<-END
		#!/bin/bash
		cd $work && . ./functions && make
		sleep \$((\$1 % 3))
		check running
		case \$((\$1 % 4)) in
		1) touch shared/cancel.\$SLURM_JOB_ID; sleep 1000 ;;
		2) kill -9 \$\$ ;;
		3) exit 1 ;;
		esac
	END
	chmod 755 "$work/epilog" "$work/between" "$work/leak"
}

as() { setpriv --reuid "$1" --regid "$(id -u "$1")" --clear-groups --reset-env env PATH="$PATH" SLURM_CONF="$SLURM_CONF" USER="$1" HOME=/ "${@:2}"; }

submit() {
	local i user
	cd / # the users may enter it
	for i in $(seq "$jobs"); do
		user=alice
		[ $((i / 4 % 2)) = 0 ] || user=bob
		as "$user" sbatch -Q -o /dev/null "$work/leak" "$i"
	done
}

idle() { [ "$(sinfo -h -o %T 2>/dev/null)" = idle ]; }

# only_waiting cancels the jobs that ask for it, and reports whether only the waiting job
# is left.
only_waiting() {
	local file
	for file in "$work"/shared/cancel.*; do
		[ ! -e "$file" ] || { scancel "${file##*.}" && rm "$file"; }
	done
	[ "$(squeue -h -o %i | wc -l)" = 1 ]
}
empty() { [ "$(squeue -h | wc -l)" = 0 ]; }

attached() { [ "$(gipcs ls --key key:77 -o nattch --no-headings | xargs)" = 1 ]; }

# await waits up to $1 seconds for a condition.
await() {
	local end=$((SECONDS + $1))
	until "${@:2}"; do
		[ $SECONDS -lt $end ] || { tail -n 20 "$work"/log/* >&2; fail "waited in vain for: ${*:2}"; }
		sleep 0.2
	done
}

# column_job checks that the column "job" names the job of an attached process.
column_job() {
	local job
	job=$(as alice sbatch --parsable -o /dev/null --wrap "$work/bin/gshm create key:77 --size 4096 && exec $work/bin/gshm attach key:77 -- sleep 1000")
	await 60 attached
	[ "$(gipcs ls --key key:77 -o job --no-headings | xargs)" = "slurm:$job" ] || fail "the column job is not slurm:$job: $(gipcs ls --key key:77 -o job)"
	scancel "$job"
}

stop() {
	kill "$(cat "$work/slurmd.pid")" "$(cat "$work/slurmctld.pid")" "$(cat "$work/munged.pid")"
}

check() {
	local left
	[ ! -s "$work/shared/lost" ] || fail "of running jobs: $(cat "$work/shared/lost")"
	left=$(gipcs ls --format csv --no-headings -o kind,id,name,verdict,reasons)
	[ -z "$left" ] || fail "is left behind: $left"
	[ "$(awk '$3 == 0' "$work/log/epilogs" | wc -l)" = $((jobs + 2)) ] || fail "epilogs: $(cat "$work/log/epilogs")"
	echo "$jobs jobs ended, nothing is left of them, and $(wc -l <"$work/shared/kept") times everything of a running job was there"
}

jobs=${1:-200}
node=gipc-node-$$
if [ "${GIPC_SLURM_WORK-}" ]; then
	work=$GIPC_SLURM_WORK
	node=$GIPC_SLURM_NODE
	export SLURM_CONF=$work/etc/slurm.conf PATH=$work/bin:$PATH
	started
	exit
fi
# tidy runs after the namespaces and all their processes are gone.
tidy() {
	rm -rf "$work"
	find /sys/fs/cgroup -depth -type d -path "*slurm_$node*" -exec rmdir {} \; || true
}
work=$(mktemp -d)
trap tidy EXIT
chmod 755 "$work"
mkdir "$work"/{bin,etc,log,state,spool,shared}
chmod 777 "$work/shared"
install -m 666 /dev/null "$work/shared/kept"
install -m 666 /dev/null "$work/shared/lost"
CGO_ENABLED=0 go build -o "$work/bin/" ./cmd/gshm
CGO_ENABLED=0 go build -o "$work/bin/gipcs-itself" ./cmd/gipcs
# A wrapper adds --ignore-hidden, since no process outside the namespaces can use objects
# in them.
# shellcheck disable=SC2016 # the wrapper expands
printf '#!/bin/sh\ncase $1 in rm) set -- "$@" --ignore-hidden ;; esac\nexec "$0-itself" "$@"\n' >"$work/bin/gipcs"
chmod 755 "$work/bin/gipcs"
GIPC_SLURM_WORK=$work GIPC_SLURM_NODE=$node unshare --ipc --mount --pid --net --uts --fork --kill-child "$0" "$jobs"
