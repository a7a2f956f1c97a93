#!/usr/bin/env bash
# Makes the packages of the checked-out commit twice, and compares them. Installs the
# packages for this architecture in directories of their own, runs the installed programs,
# and removes the packages. Needs root.
#
# usage: packaging/test.sh [-short] ARCH...
#
# With -short the second build uses the same build cache. Without it the second build
# compiles everything again, which takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "packaging/test.sh: $*" >&2; exit 1; }

# listing lists the files in the directory $1, without the package managers' records.
listing() { (cd "$1" && find . -path ./var -prune -o -printf '%p %m %u %l\n' | LC_ALL=C sort); }

# bare makes a directory with the files that every system has before a package is installed.
bare() {
	mkdir -p "$1"/{proc,var/lib/dpkg/updates,var/lib/dpkg/info,var/lib/pacman}
	: >"$1/var/lib/dpkg/status"
	: >"$1/var/lib/dpkg/available"
}

# runs runs a program of the system in $1, alone in namespaces of its own.
runs() {
	# shellcheck disable=SC2016 # the inner shell expands
	unshare --ipc --mount --pid --fork sh -ec 'mount -t proc proc "$0/proc"; exec chroot "$0" "$@"' "$@"
}

# completes asks shell $1 to complete `gipcs li`. The shell itself finds and loads the file
# $3 of the system $2.
completes() {
	local share=$2/usr/share
	[ -f "$share/$3" ] || fail "no $3"
	case $1 in
	bash)
		XDG_DATA_DIRS=$share bash -c '. /usr/share/bash-completion/bash_completion
			_completion_loader gipcs
			COMP_LINE="gipcs li" COMP_POINT=8 COMP_WORDS=(gipcs li) COMP_CWORD=1
			$(complete -p gipcs | sed "s/.*-F \([^ ]*\).*/\1/")
			echo "${COMPREPLY[@]}"'
		;;
	fish) HOME=$work XDG_CONFIG_HOME=$work XDG_DATA_DIRS=$share fish -c 'complete -C "gipcs li"' ;;
	zsh) # completes only on a terminal; zpty provides one
		rm -f "$work"/zsh.*
		# shellcheck disable=SC2016 # zsh expands
		FUNCTIONS=$share/${3%/*} RESULT=$work/zsh KEYS=$'\t\x14' timeout 60 zsh -f -c '
			zmodload zsh/zpty
			zpty z "zsh -f -i"
			await() { while [[ ! -e $1 ]]; do zpty -r -t z echoed || sleep 0.01; done }
			zpty -w z "fpath=($FUNCTIONS \$fpath); autoload -U compinit && compinit -u -D
				tell() { print -rn -- \$BUFFER >$RESULT.new; mv $RESULT.new $RESULT.line }
				zle -N tell; bindkey \"^T\" tell; : >$RESULT.ready"
			await $RESULT.ready
			zpty -w -n z "gipcs lim$KEYS"
			await $RESULT.line
			zpty -d z
			cat $RESULT.line'
		;;
	esac
}

# works checks the package gipc in the system $1, where zsh looks for functions in share/$2.
works() {
	local out page header
	out=$(runs "$1" /usr/bin/gipcs --version)
	[[ $out == "gipcs version "*$'\n'"revision $revision"$'\n'* ]] || fail "gipcs --version: $out"
	[ "$(runs "$1" /usr/bin/gshm --version | sed 1d)" = "$(sed 1d <<<"$out")" ] || fail "gshm is of another build than gipcs"
	out=$(runs "$1" /usr/bin/gshm demo </dev/null)
	[[ $out == *'nothing is left behind'* ]] || fail "gshm demo: $out"
	for page in gipcs gshm; do
		MANWIDTH=80 man -M "$1/usr/share/man" -P cat "$page" | grep "^${page^^}(1)" >/dev/null || fail "man $page"
	done
	for header in include/*.h; do
		cmp "$header" "$1/usr/$header"
	done
	PATH=$1/usr/bin:$PATH
	[ "$(completes bash "$1" bash-completion/completions/gipcs | xargs -n1 | sort | xargs)" = "limits link" ] || fail "bash completes nothing"
	[ "$(completes fish "$1" fish/vendor_completions.d/gipcs.fish | cut -f1 | sort | xargs)" = "limits link" ] || fail "fish completes nothing"
	[ "$(completes zsh "$1" "$2/_gipcs")" = "gipcs limits " ] || fail "zsh completes nothing"
	PATH=${PATH#*:}
}

# extra_works checks the package gipc-extra in the system $1.
extra_works() {
	local out
	out=$(runs "$1" /usr/bin/gipcs agent --version)
	[[ $out == "gipcs-agent version "*$'\n'"revision $revision"$'\n'* ]] || fail "gipcs agent --version: $out"
	runs "$1" /usr/bin/gipcs --help | grep 'Also installed: agent' >/dev/null || fail "gipcs --help does not name the agent"
	out=$(runs "$1" /usr/bin/gshm trace --version)
	[[ $out == "gshm-trace version "*$'\n'"revision $revision"$'\n'* ]] || fail "gshm trace --version: $out"
	out=$(runs "$1" /usr/bin/gshm trace -- /usr/bin/gshm key /usr 2>&1) || fail "gshm trace: $out"
	MANWIDTH=80 man -M "$1/usr/share/man" -P cat gshm-trace | grep '^GSHM-TRACE(1)' >/dev/null || fail "man gshm-trace"
	out=$(runs "$1" /usr/bin/gipcs fleet --version)
	[[ $out == "gipcs-fleet version "*$'\n'"revision $revision"$'\n'* ]] || fail "gipcs fleet --version: $out"
	MANWIDTH=80 man -M "$1/usr/share/man" -P cat gipcs-fleet | grep '^GIPCS-FLEET(1)' >/dev/null || fail "man gipcs-fleet"
	out=$(runs "$1" /usr/bin/gshm relay --version)
	[[ $out == "gshm-relay version "*$'\n'"revision $revision"$'\n'* ]] || fail "gshm relay --version: $out"
	MANWIDTH=80 man -M "$1/usr/share/man" -P cat gshm-relay | grep '^GSHM-RELAY(1)' >/dev/null || fail "man gshm-relay"
	MANWIDTH=80 man -M "$1/usr/share/man" -P cat gipcs-agent | grep '^GIPCS-AGENT(8)' >/dev/null || fail "man gipcs-agent"
	[[ $(runs "$1" /usr/bin/gipcs top --version) == "gipcs-top version "* ]] || fail "gipcs top --version"
	MANWIDTH=80 man -M "$1/usr/share/man" -P cat gipcs-top | grep '^GIPCS-TOP(8)' >/dev/null || fail "man gipcs-top"
	[ -f "$1/usr/share/doc/gipc/examples/prometheus/gipc.rules.yml" ] || fail "no alerts"
}

# lib_works checks the package gipc-lib in the system $1, which has libraries in $2 and
# Python modules in $3.
lib_works() {
	[ "$(readlink "$1$2/libgipc.so")" = libgipc.so.0 ] || fail "no $2/libgipc.so"
	grep -q "^libdir=$2\$" "$1$2/pkgconfig/gipc.pc" || fail "$2/pkgconfig/gipc.pc names another directory"
	LD_LIBRARY_PATH=$1$2 PYTHONPATH=$1$3 PYTHONDONTWRITEBYTECODE=1 unshare --mount sh -ec 'mount -t tmpfs tmpfs /dev/shm
		exec python3 -c "
import gipc
with gipc.Ring(\"/packaged\") as ring, ring.producer() as out, ring.consumer() as source:
    out.send(b\"text\")
    assert source.receive() == b\"text\"
"' || fail "the Python module does not work"
}

# removed checks that the directory $1 is as before the installation, and removes it.
removed() {
	diff "$work/before" <(listing "$1") || fail "this is left behind, or gone too"
	rm -rf "$1"
}

test_deb() {
	local root=$work/deb
	bare "$root"
	listing "$root" >"$work/before"
	dpkg --root="$root" -i "$1" >/dev/null
	works "$root" zsh/vendor-completions
	dpkg --root="$root" -i "$2" >/dev/null
	extra_works "$root"
	dpkg --root="$root" --force-depends -i "$3" >/dev/null 2>&1
	lib_works "$root" "/usr/lib/$machine-linux-gnu" /usr/lib/python3/dist-packages
	dpkg --root="$root" -P gipc-extra gipc-lib >/dev/null
	dpkg --root="$root" -r gipc >/dev/null
	removed "$root"
	lintian --allow-root --fail-on warning "$@"
}

# Debian's rpm prints advice on standard error to use alien instead.
test_rpm() {
	local root=$work/rpm
	bare "$root"
	local rpm=(rpm --root "$root" --dbpath /var/lib/rpm)
	"${rpm[@]}" --initdb
	listing "$root" >"$work/before"
	"${rpm[@]}" -i "$1"
	works "$root" zsh/site-functions
	"${rpm[@]}" -i "$2"
	extra_works "$root"
	"${rpm[@]}" -i --nodeps "$3"
	lib_works "$root" /usr/lib64 /usr/share/gipc/python
	"${rpm[@]}" -V --nodeps gipc gipc-extra gipc-lib
	"${rpm[@]}" -e gipc-lib gipc-extra gipc
	# In a distribution the package filesystem owns these directories; here it is missing.
	find "$root/usr" "$root/etc" -depth -type d -empty ! -name 'gipc?*' -delete
	removed "$root"
}

test_archlinux() {
	local root=$work/archlinux
	local pacman=(pacman --config /dev/null --root "$root" --dbpath "$root/var/lib/pacman" --noconfirm)
	bare "$root"
	listing "$root" >"$work/before"
	"${pacman[@]}" -U "$1" >/dev/null
	works "$root" zsh/site-functions
	"${pacman[@]}" -U "$2" >/dev/null
	extra_works "$root"
	"${pacman[@]}" -Udd "$3" >/dev/null
	lib_works "$root" /usr/lib /usr/share/gipc/python
	"${pacman[@]}" -Qk gipc gipc-extra gipc-lib >/dev/null
	"${pacman[@]}" -Rn gipc-lib gipc-extra gipc >/dev/null
	removed "$root"
}

# test_apk unpacks the package: Debian does not have apk.
test_apk() {
	local root=$work/apk
	bare "$root"
	tar -C "$root" --warning=no-unknown-keyword -xzf "$1"
	works "$root" zsh/site-functions
	tar -C "$root" --warning=no-unknown-keyword -xzf "$2"
	extra_works "$root"
	rm -rf "$root"
}

# same_files checks that the packages $1 of every architecture and format have the same
# files, except for documentation, which differs.
same_files() {
	local files package
	files=$(dpkg-deb --fsys-tarfile "$work/one/$1"_*_"$native".deb | tar -t | names)
	for package in "$work/one/$1"[-_][0-9]*; do
		case $package in
		*.deb) dpkg-deb --fsys-tarfile "$package" | tar -t ;;
		*.rpm) rpm -qlp "$package" ;;
		*) tar --warning=no-unknown-keyword -tf "$package" ;;
		esac | names | diff <(echo "$files") - || fail "$package has other files"
	done
}

names() {
	grep -oE '^[./]*usr/(bin|include|libexec|lib/systemd|share/(man|bash-completion|fish|zsh|doc/gipc/examples))/.*(gipc|gshm|slurm|kubernetes)[^/]*$' |
		sed 's,^[./]*,,; s,/vendor-completions/,/site-functions/,' | LC_ALL=C sort
}

short=
if [ "${1-}" = -short ]; then
	short=1
	shift
fi
[ $# -ge 1 ] || { sed -n 's/^# usage/usage/p' "$0" >&2; exit 2; }
native=$(go env GOHOSTARCH)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
revision=$(git rev-parse HEAD)

packaging/build.sh packages "$work/one" "$@"
if [ -z "$short" ]; then
	GOCACHE=$work/cache
	export GOCACHE
fi
git clone -q . "$work/elsewhere"
"$work/elsewhere/packaging/build.sh" packages "$work/two" "$@" >/dev/null
diff -r "$work/one" "$work/two" || fail "a package differs when it is made again"

same_files gipc
same_files gipc-extra
case $native in
amd64) machine=x86_64 ;;
arm64) machine=aarch64 ;;
*) fail "no packages are made for $native" ;;
esac
test_deb "$work"/one/gipc_*_"$native".deb "$work"/one/gipc-extra_*_"$native".deb "$work"/one/gipc-lib_*_"$native".deb
test_rpm "$work"/one/gipc-[0-9]*."$machine".rpm "$work"/one/gipc-extra-[0-9]*."$machine".rpm "$work"/one/gipc-lib-[0-9]*."$machine".rpm
test_archlinux "$work"/one/gipc-[0-9]*-"$machine".pkg.tar.zst "$work"/one/gipc-extra-[0-9]*-"$machine".pkg.tar.zst "$work"/one/gipc-lib-[0-9]*-"$machine".pkg.tar.zst
test_apk "$work"/one/gipc_*_"$machine".apk "$work"/one/gipc-extra_*_"$machine".apk
echo "the packages are made, installed, run and removed"
