#!/bin/bash
# systemd.sh DIRECTORY: a container that this machine's own systemd boots, with this machine's files under a layer that
# takes every change and is thrown away; no service of this machine is enabled in it, and its network has nothing but
# lo. It lives until standard input ends. DIRECTORY is visible in it as /job; DIRECTORY/log has what went wrong before
# systemd ran.
#
# It needs root, the package systemd, overlayfs and the unified hierarchy of control groups, wherever that is mounted.
set -euo pipefail

if [ "${1:-}" = --inside ]; then
	directory=$2
	mount -t tmpfs tmpfs "$directory/layer"
	mkdir "$directory/layer/upper" "$directory/layer/work" "$directory/layer/root"
	mount -t overlay overlay -o "lowerdir=/,upperdir=$directory/layer/upper,workdir=$directory/layer/work" "$directory/layer/root"
	cd "$directory/layer/root"
	# Nothing of what this machine runs, mounts, or forbids.
	rm -rf etc/systemd/system etc/fstab usr/sbin/policy-rc.d var/log/journal var/lib/kube-verdict etc/kube-verdict
	mkdir -p etc/systemd/system job
	: >etc/fstab
	: >etc/machine-id
	# What is not ours to set: the kernel is this machine's.
	for unit in systemd-sysctl.service systemd-modules-load.service systemd-remount-fs.service \
		systemd-update-utmp.service systemd-timesyncd.service systemd-udevd.service sys-kernel-debug.mount \
		sys-kernel-tracing.mount sys-fs-fuse-connections.mount dev-hugepages.mount; do
		ln -s /dev/null "etc/systemd/system/$unit"
	done
	mount -t proc proc proc
	mount -t sysfs -o ro sysfs sys
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	for empty in run tmp dev; do
		mount -t tmpfs -o mode=755 tmpfs $empty
	done
	chmod 1777 tmp
	for node in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
		set -- $node
		mknod -m 666 "dev/$1" c "$2" "$3"
	done
	mkdir dev/pts dev/shm
	mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
	ln -s pts/ptmx dev/ptmx
	mount --bind "$directory" job
	pivot_root . mnt
	umount -l /mnt
	exec env -i container=kube-verdict PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		/lib/systemd/systemd --unit=basic.target --log-target=journal --show-status=false
fi

directory=$(realpath "$1")
[ -x /lib/systemd/systemd ] || { echo "systemd is missing: apt-get install systemd" >&2; exit 1; }
hierarchy=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$hierarchy" ] || { echo "no cgroup2 is mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified" >&2; exit 1; }
group=$hierarchy/kube-verdict-$$
mkdir -p "$directory/layer" "$group"

end() {
	kill -KILL "$container" 2>/dev/null || true
	wait "$container" 2>/dev/null || true
	# A process that was killed is in its group for a moment longer.
	for _ in $(seq 50); do
		find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
		[ -d "$group" ] || break
		sleep 0.1
	done
}
bash -c 'echo $$ >"$1/cgroup.procs" && exec unshare --mount --pid --fork --kill-child --net --uts --ipc --cgroup "$2" --inside "$3"' \
	- "$group" "$(realpath "$0")" "$directory" >"$directory/log" 2>&1 </dev/null &
container=$!
trap end EXIT
echo "$container"
cat >/dev/null
