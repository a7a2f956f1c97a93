#!/usr/bin/env bash
# Compares the exported API of the libraries with that of the last release, or of the
# commit in .ci/api-base until there is a release. It fails for an incompatible change that
# .ci/api-changes does not name; each line there has an entry in CHANGELOG.md.
set -euo pipefail
cd "$(dirname "$0")/.."

base=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || cat .ci/api-base)
if ! git cat-file -e "$base^{commit}" 2>/dev/null; then
	echo "SKIPPED: this clone has no history as far back as $base"
	exit
fi
dir=$(mktemp -d)
trap 'git worktree remove --force "$dir/base" 2>/dev/null || :; rm -rf "$dir"' EXIT
git worktree add -q --detach "$dir/base" "$base"
for package in sysv semops posix shmring shmsync; do
	[ -d "$dir/base/$package" ] || continue # it is new
	(cd "$dir/base" && apidiff -w "$dir/$package" "./$package")
	apidiff -incompatible "$dir/$package" "./$package" | sed -n "s/^- \(.*\)/$package: \1/p"
done | sort >"$dir/changes"
if ! new=$(comm -23 "$dir/changes" <(sort .ci/api-changes) | grep .); then
	echo "compatible with $base but for $(grep -c . .ci/api-changes || :) changes that .ci/api-changes names"
	exit
fi
printf 'incompatible with %s; name each in .ci/api-changes and tell it in CHANGELOG.md:\n%s\n' "$base" "$new"
exit 1
