#!/usr/bin/env bash
# Installs a Debian package of gipc in a new, minimal Debian system, boots it with systemd, and
# follows the guide there: a nightly clean-up, an alert, the other examples. Then removes the
# package and checks that nothing is left behind. Needs root, debootstrap and systemd-nspawn.
#
# usage: packaging/boot.sh PACKAGE.deb [TREE]
#
# TREE keeps the bare system for the next time.
set -euo pipefail

fail() { echo "packaging/boot.sh: $*" >&2; exit 1; }

# listing lists the files of the system, except files that programs write as they run.
listing() {
	(cd "$root" && find . \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./run -o -path ./tmp -o -path ./var/cache \
		-o -path ./var/log -o -path ./var/lib/systemd -o -path ./var/lib/dpkg -o -path ./var/lib/apt \
		-o -path ./var/tmp -o -path ./var/lib/logrotate -o -path ./etc/machine-id -o -path ./etc/resolv.conf \) -prune -o -printf '%p %m %u %l\n' | LC_ALL=C sort)
}

# inside runs a command in the system without booting it.
inside() { systemd-nspawn -q --register=no --keep-unit --link-journal=no -D "$root" "$@" </dev/null; }

# boot boots the system, which runs /test.sh and powers off.
boot() {
	timeout -s KILL 600 systemd-nspawn -q --boot --register=no --keep-unit --link-journal=no --private-network \
		--console=pipe -D "$root" </dev/null >"$work/console" 2>&1 || true
	cat "$root/test.out"
	[ "$(tail -n 1 "$root/test.out")" = "all is well" ] || fail "the test in the system failed; $(tail -n 20 "$work/console")"
}

write_test() {
	cat >"$root/etc/systemd/system/gipc-test.service" <<-END
		[Unit]
		After=multi-user.target
		SuccessAction=poweroff-force
		FailureAction=poweroff-force
		[Service]
		Type=oneshot
		ExecStart=/bin/bash /test.sh
		StandardOutput=file:/test.out
		StandardError=file:/test.out
		[Install]
		WantedBy=multi-user.target
	END
	ln -s ../gipc-test.service "$root/etc/systemd/system/multi-user.target.wants/gipc-test.service"
	cat >"$root/test.sh" <<'END'
set -euo pipefail
fail() { echo "FAILED: $*"; journalctl --no-pager -n 30 -u 'gipcs-*'; exit 1; }
trap 'fail "line $LINENO"' ERR
await() { for _ in $(seq 600); do "$@" && return; sleep 0.2; done; fail "waited in vain for: $*"; }

for unit in gipcs-clean gipcs-limits; do
	[ "$(systemctl is-enabled $unit.timer)" = disabled ] || fail "$unit.timer is $(systemctl is-enabled $unit.timer)"
done
systemd-analyze verify --man=no /usr/lib/systemd/system/gipcs-*

# A segment that a dead process left, and a segment in use.
as() { setpriv --reuid "$1" --clear-groups -- "${@:2}"; }
left=$(as 4001 ipcmk -M 4096 | sed 's/.*: //')
used=$(as 4002 gshm create private --size 4096)
as 4002 gshm attach "$used" -- sleep 1000 &
until gipcs show "shm:$used" | grep 'in use' >/dev/null; do sleep 0.1; done

# The guide's setup with shorter times. In a container the rules need ignore-hidden.
examples=/usr/share/doc/gipc/examples
install -D -m 644 $examples/clean.toml /etc/gipc/clean.toml
sed -i -E 's/^idle = .*/idle = "1s"\nignore-hidden = true/; s/^older-than = .*/older-than = "1s"/' /etc/gipc/clean.toml
mkdir -p /etc/systemd/system/gipcs-clean.timer.d
cat >/etc/systemd/system/gipcs-clean.timer.d/here.conf <<-UNIT
	[Timer]
	OnCalendar=
	OnActiveSec=1s
	RandomizedDelaySec=0
	AccuracySec=10ms
UNIT
systemctl daemon-reload
systemctl enable --now gipcs-clean.timer gipcs-limits.timer
logged() { grep -qs "\"id\":$left," /var/log/gipcs-clean.log; }
await logged
ended() { [ "$(systemctl is-active gipcs-clean.service)" = inactive ]; }
await ended
[ "$(systemctl show -p Result --value gipcs-clean.service)" = success ] || fail "the clean-up failed"
[ "$(gipcs ls -m -o id --no-headings | xargs)" = "$used" ] || fail "$(gipcs ls -m) is left, not $used"
systemctl start gipcs-limits.service || fail "an alert without a reason"
mount -o remount,size=64k /dev/shm
head -c 64k /dev/zero >/dev/shm/full
! systemctl start gipcs-limits.service 2>/dev/null || fail "no alert"
journalctl --no-pager -u gipcs-limits.service | grep "CRITICAL.*size" >/dev/null || fail "the alert does not name the limit"
rm /dev/shm/full
systemctl start gipcs-limits.service

# A hardened service must reach the same verdicts as a shell.
verdicts() { gipcs ls --format csv --ignore-hidden -o kind,id,name,verdict,codes; }
grep -E '^(Capability|NoNew|System|Restrict|IPAddress|Device|Lock|Memory)' /usr/lib/systemd/system/gipcs-clean.service | sed 's/^/-p\n/' >/properties
mapfile -t properties </properties
diff <(verdicts) <(systemd-run -q --pipe --wait "${properties[@]}" gipcs ls --format csv --ignore-hidden -o kind,id,name,verdict,codes) || fail "a service sees something else"

# logrotate and cron.
install -m 644 $examples/gipcs-clean.logrotate /etc/logrotate.d/gipcs-clean
logrotate -d /etc/logrotate.d/gipcs-clean 2>/dev/null
logrotate -f /etc/logrotate.d/gipcs-clean
[ -s /var/log/gipcs-clean.log.1 ] && [ ! -s /var/log/gipcs-clean.log ] || fail "nothing was rotated"
left=$(as 4001 ipcmk -M 4096 | sed 's/.*: //')
sed 's/^17 3/* */' $examples/gipcs-clean.cron >/etc/cron.d/gipcs-clean
systemctl restart cron
await logged

rm -r /etc/gipc /var/backups/gipc /etc/systemd/system/gipcs-clean.*.d /etc/logrotate.d/gipcs-clean /etc/cron.d/gipcs-clean /properties
systemctl disable --now gipcs-clean.timer gipcs-limits.timer
kill %1
echo "all is well"
END
}

[ $# -ge 1 ] || { sed -n 's/^# usage/usage/p' "$0" >&2; exit 2; }
work=$(mktemp -d)
root=$work/debian
trap 'umount -q "$root"; rm -rf --one-file-system "$work"' EXIT
tree=${2:-$work/bare}
if [ ! -e "$tree/etc/debian_version" ]; then
	# shellcheck disable=SC2016 # apt-get expands
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,cron,logrotate,man-db,bash-completion bookworm "$tree" "$mirror" >"$work/debootstrap.log" 2>&1 ||
		{ tail "$work/debootstrap.log" >&2; fail "debootstrap failed"; }
fi
mkdir "$work"/{upper,work,debian} # so that the tree itself does not change
mount -t overlay -o "lowerdir=$tree,upperdir=$work/upper,workdir=$work/work" overlay "$root"
listing >"$work/before"
cp "$1" "$root/gipc.deb"
inside dpkg -i /gipc.deb >/dev/null
inside gipcs --version
inside man -P cat gipcs | grep '^GIPCS(1)' >/dev/null || fail "no manual page"
write_test
boot
rm -r "$root"/{gipc.deb,test.sh,test.out,etc/systemd/system/gipc-test.service,etc/systemd/system/multi-user.target.wants/gipc-test.service}
inside dpkg --purge gipc >/dev/null
diff "$work/before" <(listing) || fail "this is left behind, or gone too"
echo "installed, booted, cleaned up, alerted and removed in $SECONDS s"
