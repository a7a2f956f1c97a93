#!/bin/sh
# Runs the tests of packages that depend on the kernel's ABI under qemu-user, for other
# architectures:
#
#	integration/qemu.sh [ARCHITECTURE]...
#
# ARCHITECTURE is as in GOARCH. $PACKAGES selects packages, $GOTESTFLAGS holds flags of
# go test. Debian has qemu in qemu-user-static, and the compilers that check structure
# layouts in gcc-*; anything missing is reported as SKIPPED.
#
# Each package is tested in its own namespace, all packages of an architecture at the
# same time. The tests of shmring and shmsync skip themselves on mips and mipsle.
#
# Tests are skipped (ipctest.SkipUnderQEMU) because of these limits of qemu:
#   - /proc/self/exe is qemu, so a test program cannot start itself again: tests with a
#     second process are skipped, and this script makes the namespace;
#   - SHM_STAT_ANY, SEM_STAT_ANY and MSG_STAT_ANY are missing;
#   - msg_lspid and msg_lrpid are read from the wrong place;
#   - on s390x the mode is read from the wrong place;
#   - on mips (big-endian) the halves of msg_stime, msg_rtime and msg_ctime are
#     swapped;
#   - /proc/self/maps, mprotect(2) and resident pages are those of the emulator;
#   - on 32-bit architectures a size of 2 GiB is negative;
#   - a SIGBUS has no address, so Go reports a nil pointer.
set -u
cd "$(dirname "$0")/.." || exit 1

packages=${PACKAGES:-./sysv ./semops ./posix ./shmring ./shmsync ./internal/abi ./internal/memory ./internal/interrupt ./cmd/internal/ctxio}
[ $# -gt 0 ] || set -- arm64 arm riscv64 ppc64le s390x mips mipsle
unshare='unshare --ipc --mount'
[ "$(id -u)" = 0 ] || unshare="$unshare --map-root-user"

failed=
for arch; do
	case $arch in
	arm64) qemu=aarch64 ;;
	386) qemu=i386 ;;
	mipsle) qemu=mipsel ;;
	mips64le) qemu=mips64el ;;
	loong64) qemu=loongarch64 ;;
	*) qemu=$arch ;;
	esac
	qemu=$(command -v qemu-$qemu-static || command -v qemu-$qemu) || {
		echo "SKIPPED: $arch: no qemu-user; install qemu-user-static"
		continue
	}
	echo "$arch:"
	running=
	for package in $packages; do
		# shellcheck disable=SC2086 # lists of words
		GIPC_TEST_NAMESPACE=ipc,mnt GIPC_TEST_QEMU=$arch CGO_ENABLED=0 GOARCH=$arch \
			$unshare go test -short -timeout 3m ${GOTESTFLAGS:-} -exec "$qemu" "$package" &
		running="$running $!"
	done
	for one in $running; do
		wait "$one" || failed="$failed $arch"
	done
done
[ -z "$failed" ] || {
	echo "failed:$failed" >&2
	exit 1
}
