#!/bin/bash
# image.sh: the container image, from the release binary that `make build` left, as a file to import or load. From
# scratch: the daemon, its shared libraries and the loader, and who root is. There is no shell in it and no tool.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
binary=${CARGO_TARGET_DIR:-target}/release/kube-verdict
archive=${CARGO_TARGET_DIR:-target}/kube-verdict-$version-$(dpkg --print-architecture).tar
name=${IMAGE:-localhost/kube-verdict}:$version

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
strip -o "$root/stripped" "$binary"
scripts/rootfs.sh "$root" "$root/stripped=/usr/local/bin/kube-verdict"
rm "$root/stripped"
# kubeadm's DaemonSet runs kube-proxy by this name.
ln -s kube-verdict "$root/usr/local/bin/kube-proxy"
mkdir -p "$root/etc" "$root/usr/share/doc/kube-verdict"
echo 'root:x:0:0:root:/:/nonexistent' >"$root/etc/passwd"
# The API server's name may stand in /etc/hosts, before DNS is asked.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
cp LICENSE NOTICE "$root/usr/share/doc/kube-verdict/"
# What distributes crates must carry their notices.
scripts/third-party.py >"$root/usr/share/doc/kube-verdict/THIRD-PARTY"

# Nothing that it loads may be missing.
[ "$(id -u)" -ne 0 ] || chroot "$root" /usr/local/bin/kube-proxy --version >/dev/null

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
export SOURCE_DATE_EPOCH
title=org.opencontainers.image
scripts/oci.sh "$root" "$archive" "$name" \
	--entrypoint '["/usr/local/bin/kube-verdict"]' \
	--env PATH=/usr/local/bin \
	--label "$title.title=kube-verdict" \
	--label "$title.description=A Kubernetes service proxy that keeps atomic nftables verdict maps" \
	--label "$title.version=$version" \
	--label "$title.licenses=GPL-3.0-or-later"
echo "$archive: $name, $(du -k "$archive" | cut -f 1) KiB, of which the binary $(du -k "$root/usr/local/bin/kube-verdict" | cut -f 1)"
