#!/bin/sh
# Runs, for a long time and one after another, all tests that kill processes at random
# moments or remove changing objects, the model's random calls, and the storms:
#
#	integration/soak.sh [DURATION]
#
# DURATION is the total time: a number with s, m or h; default 20m. At the end it prints
# a table of rounds, kills and failures. Each test runs in its own namespace, must leave
# no object and no process there, and must not grow in memory, threads or files; see
# internal/ipctest. Exit status: 0 if everything ran and passed, else 1.
set -u
cd "$(dirname "$0")/.." || exit 1

# Each line has a package, a test and, if the test has several cases, a case.
suites='
cmd/internal/demo TestKilledInBetween
integration   TestDemoKilled writer
integration   TestDemoKilled reader
integration   TestCleanKilled
integration   TestWatchKills
sysv          TestMakerIsKilled
semops        TestMutexKilled
semops        TestRWMutexKilled
semops        TestBarrierKilled
semops        TestCondKilled
semops        TestBufferKilled
shmring       TestKilledProducers One
shmring       TestKilledProducers Many
shmring       TestKilledConsumers One
shmring       TestKilledConsumers Many
shmring       TestDeaths
shmring       TestMadPeer
shmring       TestMeeting
shmring       TestUnlinkKilled
shmring       TestOutliveKilled consumers
shmring       TestOutliveKilled producers
shmring       TestKilledBroadcast
shmring       TestMadBroadcast
shmring       TestKilledBroadcastOfC
shmring       TestMadPeerOfC broadcast
shmring       TestMadPeerOfC cell
shmring       TestKilledStoresOfC
shmring       TestKilledService
shmring       TestMadService
shmring       TestKilledBroadcastOfPython
shmring       TestKilledStores
shmring       TestSelectWakes together/9
shmring       TestSelectWakes policy/9
shmring       TestMadSources
shmring       TestCellAtFullSpeed
shmring       TestKilledSenders
shmring       TestKilledTakers
shmring       TestKilledGivers
shmsync       TestKills
shmsync       TestRWKills
shmsync       TestCondKills
posix         TestKilledContender C
posix         TestKilledContender Go
posix         TestKilledConsumers
posix         TestKilledCreator
cmd/internal/inventory TestBusyPrograms
cmd/internal/removal TestRemoverIsKilled
cmd/internal/removal TestChurn shm
cmd/internal/removal TestChurn sem
cmd/internal/removal TestChurn msg
cmd/internal/backup TestKilled
cmd/internal/backup TestWrites shm
cmd/internal/backup TestWrites sem
cmd/internal/backup TestWrites msg
cmd/internal/backup TestWrites pshm
cmd/internal/backup TestWrites psem
integration/model TestModel segments
integration/model TestModel sets
integration/model TestModel queues
integration/model TestModel together
integration/storm TestEveryWait
integration/storm TestManyObjects
integration   TestSnapshotKilled
integration/permissions TestMatrix
cmd/extra/relay TestKilled
cmd/extra/relay TestCut
'

duration=${1:-20m}
case $duration in
*h) seconds=$((${duration%h} * 3600)) ;;
*m) seconds=$((${duration%m} * 60)) ;;
*s) seconds=${duration%s} ;;
*) seconds=0 ;;
esac
count=$(echo "$suites" | grep -c .)
each=$((seconds / count))
[ "$each" -gt 0 ] || {
	echo "soak.sh: DURATION $duration: want a number with s, m or h, ${count}s or more" >&2
	exit 1
}

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
trap 'exit 1' HUP INT TERM # some shells do not run the EXIT trap after a signal
echo "$suites" | awk 'NF { print $1 }' | sort -u | while read -r package; do
	go test -c -o "$logs/" "./$package" || exit 1 # so that no run includes compiling
done || exit 1

run() { # package test case
	log=$logs/log
	began=$(date +%s)
	(cd "$1" && GIPC_SOAK=${each}s exec "$logs/${1##*/}.test" -test.v -test.timeout $((2 * each + 120))s -test.run "^$2\$${3:+/^$3\$}") >"$log" 2>&1
	status=$?
	took=$(($(date +%s) - began))
	sum() { awk -v what="$1" '$2 == "ATTR" && $4 == what { n += $5 } END { print n + 0 }' "$log"; }
	rounds=$(sum rounds) failures=0
	[ "$status" = 0 ] && [ "$rounds" -gt 0 ] || failures=1 # a skipped test has no rounds
	[ "$failures" = 0 ] || grep -v '^=== \(RUN\|CONT\|PAUSE\|ATTR\)' "$log" >&2
	printf '%-17s %-20s %-5s %8d %8d %8d %6ds\n' "$1" "$2" "${3:--}" "$rounds" "$(sum kills)" "$failures" "$took"
}

printf '%-17s %-20s %-5s %8s %8s %8s %7s\n' package test case rounds kills failures time
echo "$suites" | grep . | while read -r package test part; do
	line=$(run "$package" "$test" "$part")
	echo "$line"
	echo "$line" >>"$logs/table"
done
awk '{ rounds += $4; kills += $5; failures += $6; seconds += $7 }
	END { printf "%-17s %-20s %-5s %8d %8d %8d %6ds\n", "all", "", "", rounds, kills, failures, seconds; exit failures > 0 }' "$logs/table"
