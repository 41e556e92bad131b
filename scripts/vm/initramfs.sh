#!/bin/bash
# initramfs.sh MODULES ARCHIVE PROGRAM…: the root file system of a machine, as an archive that its kernel unpacks.
#
# It has the network's modules of the folder MODULES (…/lib/modules/RELEASE), so that the kernel loads by itself
# whatever is asked of it; busybox; the programs, with their libraries; and ./init.
set -euo pipefail
modules=$1 archive=$2
shift 2
release=$(basename "$modules")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,etc,job,proc,root,run,sbin,sys,tmp,usr/bin,usr/sbin,var} "$root/lib/modules/$release"
ln -s ../run "$root/var/run"

parts=(net/netfilter net/ipv4 net/ipv6 net/bridge net/llc net/802 net/sched net/core net/sctp lib crypto
	arch/x86/crypto drivers/net/dummy drivers/net/veth drivers/virtio drivers/block/virtio_blk)
for part in "${parts[@]}"; do
	for found in "$modules/kernel/$part" "$modules/kernel/$part".ko*; do
		[ -e "$found" ] || continue
		mkdir -p "$root/lib/modules/$release/kernel/$(dirname "$part")"
		cp -a "$found" "$root/lib/modules/$release/kernel/$(dirname "$part")/"
	done
done
cp "$modules"/modules.{order,builtin} "$root/lib/modules/$release/"
cp "$modules/modules.builtin.modinfo" "$root/lib/modules/$release/" 2>/dev/null || true
# Unpacking is cheap here and dear in an emulated machine; busybox wants plain files.
find "$root/lib/modules" -name '*.ko.xz' -exec xz -d {} +
depmod -b "$root" "$release"

put() { # FILE…: at its own path, with its libraries
	local file library
	for file; do
		[ -e "$root$file" ] || install -D "$(realpath "$file")" "$root$file"
		{ ldd "$file" 2>/dev/null | grep -o '/[^ ]*' || true; } | while read -r library; do
			[ -e "$root$library" ] || install -D "$(realpath "$library")" "$root$library"
		done
	done
}
for program; do put "$(command -v "$program")"; done
# What threads need when they end, found only then.
put /lib/x86_64-linux-gnu/libgcc_s.so.1
for plugin in /usr/lib/x86_64-linux-gnu/xtables/*.so; do put "$plugin"; done
mkdir -p "$root/usr/sbin"
for name in iptables ip6tables; do
	for variant in legacy nft; do
		for verb in "" -save -restore; do
			ln -sf "xtables-$variant-multi" "$root/usr/sbin/$name-$variant$verb"
		done
	done
done
# busybox for the rest. Its shell prefers its own commands to those of the same name that are in the path.
busybox=$(command -v busybox)
install "$busybox" "$root/bin/busybox"
for name in $("$busybox" --list); do
	case $name in busybox | ip | nft | tc) ;; *) ln -s busybox "$root/bin/$name" 2>/dev/null || true ;; esac
done
ln -sf ../bin/busybox "$root/sbin/modprobe"
put "$(command -v bash)"
# Where scripts look for it.
[ -e "$root/bin/bash" ] || ln -s "$(command -v bash)" "$root/bin/bash"
echo 'root:x:0:0:root:/root:/bin/sh' > "$root/etc/passwd"
echo 'root:x:0:' > "$root/etc/group"
echo '127.0.0.1 localhost' > "$root/etc/hosts"
cp /etc/protocols "$root/etc/" 2>/dev/null || true
cp "$(dirname "$(realpath "$0")")/init" "$root/init"
chmod 755 "$root/init"
(cd "$root" && find . -print0 | LC_ALL=C sort -z | cpio --null --create --format=newc --quiet --owner=0:0) > "$archive"
