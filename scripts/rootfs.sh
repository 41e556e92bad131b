#!/bin/bash
# rootfs.sh ROOT PROGRAM[=PATH]…: puts programs of this machine into a folder that becomes an image: each at the
# path that it has here, or at PATH, with the shared libraries and the loader that ldd names, and the copyright files
# of the Debian packages that those come from.
set -euo pipefail
root=$1
shift

put() { # FILE PATH
	mkdir -p "$root$(dirname "$2")"
	cp --dereference --preserve=mode "$1" "$root$2"
}
copyright() { # FILE: what distributes a library must carry its licence
	local package notice
	package=$(dpkg-query --search "$1" "$(realpath "$1")" 2>/dev/null | sed -n '1s/:.*//p') || true
	notice=/usr/share/doc/$package/copyright
	[ -z "$package" ] || [ ! -e "$notice" ] || put "$notice" "$notice"
}

for word; do
	program=${word%%=*}
	case $program in */*) ;; *) program=$(command -v "$program") || { echo "no program $word" >&2; exit 1; } ;; esac
	path=${word#*=}
	[ "$path" != "$word" ] || path=$program
	put "$program" "$path"
	copyright "$program"
	# A static program has none, and ldd fails.
	{ ldd "$program" 2>/dev/null | grep -o '/[^ ]*' || true; } | while read -r library; do
		[ -e "$root$library" ] || put "$library" "$library"
		copyright "$library"
	done
done
