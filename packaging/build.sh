#!/usr/bin/env bash
# Builds the files of a release from the checked-out commit, without uncommitted changes.
# The same commit and the same version of Go give the same bytes.
#
# usage: packaging/build.sh packages|dist DIR ARCH...
#
# Writes packages for Debian, RPM, Alpine and Arch systems to DIR, which must be empty or
# not exist. dist also writes archives, SBOMs and SHA256SUMS. ARCH is Go's name: amd64.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

fail() { echo "packaging/build.sh: $*" >&2; exit 1; }

# tool installs a command unless this version of it is installed.
# Arguments: a command, its module path and its version.
tool() {
	# shellcheck disable=SC2015 # another version is replaced, too
	command -v "$1" >/dev/null && go version -m "$(command -v "$1")" | grep -qF "$3" ||
		env -u GOFLAGS -u GOARCH -u GOOS go install "$2@$3"
}

# linked_licences prints the licences of Go, whose library the given programs contain, and
# of the modules that they contain.
linked_licences() {
	local modules module version dir file found
	modules=$(go version -m "$@" | awk -v own="$(GOWORK=off go list -m)" '$1 == "dep" && $2 != own { print $2 }' | LC_ALL=C sort -u)
	echo "gipc contains the following software, under these licences."
	{
		echo "Go $(go env GOVERSION) $(go env GOROOT)"
		# shellcheck disable=SC2086 # a list of words
		go list -m -f '{{.Path}} {{.Version}} {{.Dir}}' $modules
	} | while read -r module version dir; do
		found=
		for file in "$dir"/LICEN[CS]E* "$dir"/COPYING* "$dir"/NOTICE* "$dir"/PATENTS; do
			[ -f "$file" ] || continue
			[ "${file##*/}" = PATENTS ] || found=1
			printf '\n==== %s %s: %s\n\n' "$module" "$version" "${file##*/}"
			cat "$file"
		done
		[ -n "$found" ] || fail "$module $version has no licence file in $dir"
	done
}

# debian_doc fills the directory $1 with the files of /usr/share/doc that only Debian wants,
# for the package $3, whose licences are in the file $2.
debian_doc() {
	mkdir -p "$1"
	{
		echo "gipc, version $version. Its source is the Go module $(GOWORK=off go list -m)."
		printf '\n'
		cat LICENSE
		printf '\n'
		cat "$2"
	} >"$1/copyright"
	gzip -9nc CHANGELOG.md >"$1/changelog.gz"
	gzip -9nc >"$1/changelog.Debian.gz" <<-END
		$3 ($base${pre:+~$pre}-1) unstable; urgency=medium

		  * Package of version $version; changelog.gz has the changes.

		 -- The gipc authors <>  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
	END
}

# fill makes, in directory $1, the tree that the package gipc installs, for architecture $2.
fill() {
	local root=$1 share=$1/usr/share program page
	GOARCH=$2 make -s build
	install -D -t "$root/usr/bin" dist/gipcs dist/gshm
	install -D -m 644 -t "$root/usr/include" include/*.h
	mkdir -p "$share/man/man1" "$share"/{bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
	for page in docs/man/gipcs.1 docs/man/gshm.1; do
		gzip -9nc "$page" >"$share/man/man1/${page##*/}.gz"
	done
	for program in gipcs gshm; do
		"$native/$program" completion bash >"$share/bash-completion/completions/$program"
		"$native/$program" completion zsh >"$share/zsh/site-functions/_$program"
		"$native/$program" completion fish >"$share/fish/vendor_completions.d/$program.fish"
	done
	install -D -m 644 -t "$share/licenses/gipc" LICENSE
	GOWORK=off linked_licences "$root"/usr/bin/* >"$share/licenses/gipc/LINKED"
	install -D -m 644 -t "$share/doc/gipc" README.md
	[ ! -d docs/examples ] || cp -R docs/examples "$share/doc/gipc/examples"
	install -D -m 644 -t "$root/usr/lib/systemd/system" docs/examples/*.service docs/examples/*.timer
	debian_doc "$root/debian/doc" "$share/licenses/gipc/LINKED" gipc
	find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# fill_extra is fill for the package gipc-extra.
fill_extra() {
	local root=$1 share=$1/usr/share page
	GOARCH=$2 make -s extra
	install -D -t "$root/usr/libexec/gipc" dist/extra/*
	mkdir -p "$share/man/man1" "$share/man/man8"
	for page in docs/man/*-*.[18]; do
		gzip -9nc "$page" >"$share/man/man${page##*.}/${page##*/}.gz"
	done
	install -D -m 644 -t "$root/usr/lib/systemd/system" packaging/gipcs-agent.service
	install -D -m 644 packaging/gipcs-agent.default "$root/etc/default/gipcs-agent"
	install -D -m 644 -t "$share/licenses/gipc-extra" LICENSE
	linked_licences "$root"/usr/libexec/gipc/* >"$share/licenses/gipc-extra/LINKED"
	debian_doc "$root/debian/doc" "$share/licenses/gipc-extra/LINKED" gipc-extra
	find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# package makes the package $4 of format $1 for architecture $3 from the tree $2.
package() {
	local zsh=/usr/share/zsh/site-functions description release=$base prerelease=$pre
	description=$(cat "packaging/$4.description")
	case $1 in
	deb) zsh=/usr/share/zsh/vendor-completions ;;
	apk) # knows alpha, beta, pre and rc, with a number directly after them
		prerelease=${prerelease/dev/alpha}
		prerelease=${prerelease//./}
		description=${description%%$'\n'*} # a field has one line
		;;
	archlinux) # nfpm would leave out the pre-release; pacman sorts 1.0rc1 before 1.0
		release=$base$pre
		prerelease=
		;;
	esac
	ROOT=$2 ARCH=$3 VERSION=$release PRERELEASE=$prerelease DESCRIPTION=$description ZSH_FUNCTIONS=$zsh \
		nfpm package --config "packaging/$4.nfpm.yaml" --packager "$1" --target "$out" >"$work/nfpm.log" 2>&1 ||
		{ cat "$work/nfpm.log" >&2; exit 1; }
}

# archive packs the tree $1 of package $3 for architecture $2. Users unpack it in a directory
# such as /usr/local.
archive() {
	local name=$3-$version-linux-$2
	tar -C "$1" --sort=name --owner=0 --group=0 --numeric-owner --format=gnu \
		--transform "s,^usr,$name," -c usr | gzip -9n >"$out/$name.tar.gz"
}

# sboms lists the modules of each program in the directory $1, with their hashes.
sboms() {
	local program
	for program in "$1"/*; do
		cyclonedx-gomod bin -json -std -noserial -notimestamp -version "v$version" \
			-output "$out/${program##*/}-$version-linux-$2.cdx.json" "$program"
	done
}

if [ $# -lt 3 ] || [[ $1 != packages && $1 != dist ]]; then
	sed -n 's/^# usage/usage/p' "$0" >&2
	exit 2
fi
what=$1
mkdir -p "$2"
out=$(cd "$2" && pwd)
[ -z "$(ls -A "$out")" ] || fail "$2 is not empty"
shift 2

export CGO_ENABLED=0 GOOS=linux GOAMD64=v1 GOARM64=v8.0 GOFLAGS=-buildvcs=true
PATH="$(go env GOPATH)/bin:$PATH"
tool nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm v2.45.0
[ "$what" = packages ] || tool cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod v1.10.0

[ -z "$(git status --porcelain)" ] || echo "packaging/build.sh: changes that are not committed are left out" >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A clone of its own: the go command stores no revision in a linked work tree.
git clone -q . "$work/source"
cd "$work/source"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^const Version = "\(.*\)"$/\1/p' cmd/internal/command/version.go)
for tag in $(git tag --points-at HEAD 'v*'); do
	[ "$tag" = "v$version" ] || fail "the tag is $tag, but cmd/internal/command/version.go says $version"
done
base=${version%%-*}
pre=${version#"$base"}
pre=${pre#-}
native=$work/native
GOARCH=$(go env GOHOSTARCH) make -s build
mv dist "$native"

for arch; do
	root=$work/root-$arch
	fill "$root/gipc" "$arch"
	fill_extra "$root/gipc-extra" "$arch"
	for name in gipc gipc-extra; do
		for format in deb rpm apk archlinux; do
			package "$format" "$root/$name" "$arch" "$name"
		done
		[ "$what" = packages ] || archive "$root/$name" "$arch" "$name"
	done
	if [ "$what" = dist ]; then
		sboms "$root/gipc/usr/bin" "$arch"
		sboms "$root/gipc-extra/usr/libexec/gipc" "$arch"
	fi
done
[ "$what" = packages ] || (cd "$out" && sha256sum -- * >"$work/sums" && mv "$work/sums" SHA256SUMS)
ls "$out"
