#!/bin/bash
# first-process.sh NAME DIRECTORY: the first process of a machine. Makes of the namespaces that it was started in a
# machine with a name and with file systems of its own where daemons write, then reaps what is left to it.
set -euo pipefail
hostname "$1"
# Pods' mounts have to reach the kubelet, and nothing has to leave.
mount --make-rslave /
mount --make-rshared /
mount -t tmpfs -o mode=755 run /run
for folder in lib log; do
	mkdir -p "$2/$folder" "$2/.$folder"
	mount -t overlay -o "lowerdir=/var/$folder,upperdir=$2/$folder,workdir=$2/.$folder" overlay "/var/$folder"
done
ip link set lo up
touch "$2/on"
while :; do
	sleep 1000000 &
	wait
done
