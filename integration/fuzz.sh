#!/bin/sh
# Runs every fuzz target for a while, one after the other:
#
#	integration/fuzz.sh [DURATION|NUMBERx]
#
# 60s if it is left out; NUMBERx is so many inputs for each.
set -eu
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" 2>/dev/null | grep '^Fuzz' || true); do
		echo "$package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${1:-60s}" -fuzzminimizetime 1x "$package" >"$log" 2>&1 && status=0 || status=$?
		tail -n 3 "$log" | grep '^fuzz: ' || true
		# A fault of go test itself: at times it takes the end of the time for a failure.
		[ "$status" = 0 ] || { grep -qx ' *context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log"; } || {
			cat "$log"
			exit 1
		}
	done
done
