#!/bin/sh
# Runs every fuzz target in turn:
#
#	integration/fuzz.sh [DURATION|NUMBERx]
#
# for DURATION each (default 60s), or for NUMBER inputs each.
set -eu
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

for package in $(go list ./... ./cmd/extra/...); do
	for target in $(go test -list '^Fuzz' "$package" 2>/dev/null | grep '^Fuzz' || true); do
		echo "$package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${1:-60s}" -fuzzminimizetime 1x "$package" >"$log" 2>&1 && status=0 || status=$?
		tail -n 3 "$log" | grep '^fuzz: ' || true
		# go test has a bug: it sometimes reports the end of the time as a failure.
		[ "$status" = 0 ] || { grep -qx ' *context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log"; } || {
			cat "$log"
			exit 1
		}
	done
done
