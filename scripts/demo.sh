#!/bin/bash
# Runs the demo that `make demo` has built. It plays in network namespaces of its own: nothing outside of them is
# touched, and they end with it, however it ends. Without root it takes a user namespace to make them in.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

if ! unshare --net nft list ruleset >/dev/null 2>&1; then
	if [ "$(id -u)" -ne 0 ] && unshare --user --map-root-user --net nft list ruleset >/dev/null 2>&1; then
		exec unshare --user --map-root-user "scripts/$(basename "$0")"
	fi
	echo "The demo makes network namespaces with nftables in them: run scripts/demo.sh as root" >&2
	echo "(CAP_SYS_ADMIN and CAP_NET_ADMIN), on a kernel that has nf_tables." >&2
	exit 1
fi

target=$(realpath "${CARGO_TARGET_DIR:-target}")/release
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT # also when somebody has seen enough
KUBE_VERDICT_BIN=$target/kube-verdict "$target/examples/demo"
