#!/bin/sh
# As root, installs the Debian packages of integration/programs, runs the programs in
# their own namespaces, and writes the results to docs/programs.md. Use a machine where
# these packages may be installed.
set -eu
cd "$(dirname "$0")/.."
page=$PWD/docs/programs.md
mkdir -p dist
go test -c -o dist/programs.test ./integration/programs
missing=$(dist/programs.test -programs all -packages)
if [ -n "$missing" ]; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	set -x
	# shellcheck disable=SC2086 # a list of words
	apt-get install -y -qq --no-install-recommends $missing
	set +x
fi
go test -count=1 -timeout 30m ./integration/programs -programs all -table "$page"
