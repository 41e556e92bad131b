#!/bin/bash
# systemd.sh TREE: puts this machine's systemd into a folder for `run.sh -r`: the manager, the journal, systemctl,
# journalctl, and the units that a service waits for. In the machine /job/under-systemd starts it, with processes and
# mounts of its own, in the network namespace that it is called in; `/job/under-systemd systemctl …` talks to it.
set -euo pipefail
tree=$1

programs=(systemd systemd-journald systemd-executor systemd-shutdown)
put() { # FILE: with its libraries, at their own paths
	[ -e "$tree$1" ] || install -D "$(realpath "$1")" "$tree$1"
	{ ldd "$1" 2>/dev/null | grep -o '/[^ ]*' || true; } | while read -r library; do
		[ -e "$tree$library" ] || install -D "$(realpath "$library")" "$tree$library"
	done
}
[ -x /lib/systemd/systemd ] || { echo "systemd is missing: apt-get install systemd" >&2; exit 1; }
for program in "${programs[@]}"; do
	# Some have been in the manager itself until they got a program of their own.
	[ ! -x "/lib/systemd/$program" ] || put "/lib/systemd/$program"
done
for program in systemctl journalctl; do put "$(command -v "$program")"; done
# Without these it mounts nothing, and filters no system calls.
for library in libmount.so.1 libseccomp.so.2 libkmod.so.2; do
	put "$(ldconfig -p | awk -v name="$library" '$1 == name { print $NF; exit }')"
done
for unit in basic sysinit sockets timers paths slices local-fs local-fs-pre swap shutdown umount network-pre; do
	install -D -m 644 "/lib/systemd/system/$unit.target" "$tree/lib/systemd/system/$unit.target"
done
for unit in systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket; do
	install -D -m 644 "/lib/systemd/system/$unit" "$tree/lib/systemd/system/$unit"
done
for socket in systemd-journald systemd-journald-dev-log; do
	mkdir -p "$tree/lib/systemd/system/sockets.target.wants"
	ln -sf "../$socket.socket" "$tree/lib/systemd/system/sockets.target.wants/"
done
mkdir -p "$tree/etc/systemd/system" "$tree/job" "$tree/mnt" "$tree/var/log"
echo 0123456789abcdef0123456789abcdef >"$tree/etc/machine-id"
cat >"$tree/job/under-systemd" <<'START'
#!/bin/bash
# under-systemd: starts systemd. under-systemd COMMAND…: runs that where systemd is.
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
case ${1:-} in
'')
	busybox unshare -m -p -f "$0" --inside </dev/null >/dev/null 2>&1 &
	;;
--inside)
	# As the machine counts, whose /proc this still is.
	read -r pid _ </proc/self/stat
	echo "$pid" >/run/systemd.pid
	# A root that is mounted: nothing can be put in the place of the one that the machine has started with.
	mount --bind / /mnt
	for part in dev run tmp; do mount --rbind "/$part" "/mnt/$part"; done
	mount -t proc proc /mnt/proc
	mount -t sysfs sysfs /mnt/sys
	mount -t cgroup2 cgroup2 /mnt/sys/fs/cgroup
	cd /mnt
	mount --move . /
	export container=kube-verdict
	exec chroot . /lib/systemd/systemd --unit=basic.target --log-target=kmsg --show-status=false
	;;
*)
	exec busybox nsenter -t "$(cat /run/systemd.pid)" -m -p -r -w "$@"
	;;
esac
START
chmod 755 "$tree/job/under-systemd"
