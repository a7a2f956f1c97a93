#!/bin/sh
# Runs gipc alternately with C programs and system tools and writes the ratios (median,
# minimum, maximum) to docs/benchmarks.md and the README, and a chart of gshm bench next
# to the page. It takes some minutes and needs gcc and util-linux, and lsof for one
# benchmark. A quiet machine gives a small spread.
#
#	integration/bench.sh [PAGE]
set -u
cd "$(dirname "$0")/.." || exit 1
page=${1:-docs/benchmarks.md}
raw=$(mktemp) || exit 1
trap 'rm -f "$raw" "$raw".*' EXIT
trap 'exit 1' HUP INT TERM # some shells do not run the EXIT trap after a signal

bench() { # package, pattern, how often
	printf '\n== %s %s\n' "$1" "$2"
	{
		go test -run '^$' -bench "$2" -benchtime "${3:-1x}" "$1" || echo "FAILED: go test $1: exit status $?"
	} | grep -v '^\(PASS\|ok\|goos\|goarch\)'
}

fact() { printf ':: %s\n' "$*"; }

load() { cut -d ' ' -f 1-3 /proc/loadavg; }

main() {
	{
		fact processor "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) of them"
		fact memory "$(awk '/^MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo)"
		fact system "$(uname -s) $(uname -r | sed 's/-.*//') $(uname -m)"
		fact go "$(go env GOVERSION)"
		fact compiler "$(gcc --version 2>&1 | head -n 1)"
		fact date "$(date -u +%Y-%m-%d)"
		fact load-before "$(load)"
		bench ./semops Peer
		bench ./semops OwnerDied 100x
		bench ./integration 'Peers|Idle|Cancel|BesideCat'
		bench ./integration 'FirstTouch|HugeStream'
		bench ./posix AgainstC
		bench ./shmring AgainstP
		# Many pairs, because a machine can be faster or slower for seconds at a time.
		SHMRING_PAIRS=15 bench ./shmring '(Messages|Producers|Batches)Against|AgainstMemcpy'
		bench ./cmd/internal/utillinux 'Listing|RemoveAll'
		bench ./cmd/internal/inventory BesideLsof 5x
		fact load-after "$(load)"
	} 2>&1 | tee "$raw"

	go run ./cmd/gshm bench --json >"$raw.json" &&
		(cd tools/chart && go run .) <"$raw.json" >"$raw.svg" &&
		cp "$raw.svg" "${page%.md}.svg"
	readme=
	[ "$page" = docs/benchmarks.md ] && readme=README.md
	# shellcheck disable=SC2086 # one word or none
	go run ./integration/report $readme <"$raw" >"$raw.page" && cp "$raw.page" "$page"
}

main; exit # the shell has read the whole file, so it can be edited during the run
