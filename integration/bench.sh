#!/bin/sh
# Ours beside C programs and the system's tools, alternating in the same run, as
# ratios with median, minimum and maximum. gcc and util-linux have to be there, lsof
# for one of them. A quiet machine gives a small spread.
#
#	integration/bench.sh
set -u
cd "$(dirname "$0")/.." || exit 1

bench() { # package, pattern
	printf '\n== %s\n' "$1"
	go test -run '^$' -bench "$2" -benchtime 1x "$1" | grep -v '^\(PASS\|ok\|goos\|goarch\)'
}

uname -srm
grep -m 1 'model name' /proc/cpuinfo
bench ./integration Peers
bench ./semops Peer
bench ./posix AgainstC
bench ./shmring 'Against'
bench ./internal/utillinux 'Listing|RemoveAll'
bench ./internal/inventory BesideLsof
