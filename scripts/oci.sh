#!/bin/bash
# oci.sh ROOT ARCHIVE NAME [OPTION…]: makes an image of one layer from the folder ROOT, as a file that
# `ctr images import`, `docker load` and `podman load` take. OPTIONs are those of `buildah config`. Needs no daemon,
# no registry and no configuration of its own: whatever buildah keeps goes when it is done.
set -euo pipefail
root=$1 archive=$2 name=$3
shift 3

if ! command -v buildah >/dev/null; then
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		echo "buildah is missing: apt-get install buildah" >&2
		exit 1
	fi
	echo "Installing buildah …" >&2
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq >&2
	apt-get install -y -qq --no-install-recommends buildah >/dev/null
fi

store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
# Plain folders: overlay mounts may be forbidden where this runs.
image() { buildah --root "$store/root" --runroot "$store/run" --storage-driver vfs "$@"; }

container=$(image from scratch)
image copy --quiet "$container" "$root" / >/dev/null
[ "$#" -eq 0 ] || image config "$@" "$container"
# The same content gives the same image.
built=$(image commit --quiet --timestamp "${SOURCE_DATE_EPOCH:-0}" "$container")
rm -f "$archive"
image push --quiet "$built" "docker-archive:$archive:$name"
