#!/bin/sh
# Installs the Debian packages of integration/programs, as root, starts the programs, and
# writes what was seen to docs/programs.md. It is for a machine where the packages may be
# installed; the programs run in namespaces of their own.
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
