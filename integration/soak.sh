#!/bin/sh
# Runs every test that kills processes at random moments, those that remove what is
# changing, the random calls of the model and the storms, for a long time, one after
# the other:
#
#	integration/soak.sh [DURATION]
#
# DURATION is that of all together: a number with s, m or h, 20m if it is left out.
# At the end there is a table of rounds, kills and failures. Each test is in a
# namespace of its own, where it must leave neither an object nor a process, and its
# own memory, threads and files must not grow; see internal/ipctest. Status: 0 if
# nothing failed, 1 if anything did or did not run.
set -u
cd "$(dirname "$0")/.." || exit 1

# A package, a test and, if it has several such cases, one of them.
suites='
cmd/internal/demo TestKilledInBetween
integration   TestDemoKilled writer
integration   TestDemoKilled reader
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
shmring       TestMadPeer
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
integration/permissions TestMatrix
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
trap 'exit 1' HUP INT TERM # not every sh takes them for an exit
echo "$suites" | awk 'NF { print $1 }' | sort -u | while read -r package; do
	go test -c -o "$logs/" "./$package" || exit 1 # so that no time goes into it later
done || exit 1

run() { # package test case
	log=$logs/log
	began=$(date +%s)
	(cd "$1" && GIPC_SOAK=${each}s exec "$logs/${1##*/}.test" -test.v -test.timeout $((2 * each + 120))s -test.run "^$2\$${3:+/^$3\$}") >"$log" 2>&1
	status=$?
	took=$(($(date +%s) - began))
	sum() { awk -v what="$1" '$2 == "ATTR" && $4 == what { n += $5 } END { print n + 0 }' "$log"; }
	rounds=$(sum rounds) failures=0
	[ "$status" = 0 ] && [ "$rounds" -gt 0 ] || failures=1 # without rounds it was skipped
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
