#!/bin/bash
# run.sh [-b BINARY]… [-r TREE]… [-e NAME=VALUE]… [-t SECONDS] KERNEL BINARY ARGUMENT…: runs a program as root in a
# machine of its own, under one of Debian's kernels, and ends with its status and its output.
#
# The machine is made anew and gone afterwards: QEMU without KVM, so that it runs anywhere, everything in memory, no
# disk, no network but what the program makes. It boots in three to five seconds. Programs are found there in /job,
# the working directory, without the debugging information that they have here; -b takes more of them along, and -r a
# folder whose files are found in the machine from / on.
# BINARY may be a program of the machine instead: run.sh 6.1 ipvsadm -Ln.
#
# Its status: the program's own; 250 out of time (-t, 300), 251 the machine stopped without one, 252 QEMU failed.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
limit=300 binaries=() trees=() environment=()
while getopts b:r:e:t: option; do
	case $option in
	b) binaries+=("$OPTARG") ;;
	r) trees+=("$OPTARG") ;;
	e) environment+=("$OPTARG") ;;
	t) limit=$OPTARG ;;
	*) exit 64 ;;
	esac
done
shift $((OPTIND - 1))
[ "$#" -ge 2 ] || { echo "usage: run.sh [-b BINARY]… [-r TREE]… [-e NAME=VALUE]… [-t SECONDS] KERNEL BINARY ARGUMENT…" >&2; exit 64; }
kernel=$1 program=$2
shift 2
home=$("$here/prepare.sh" "$kernel")

work=$(mktemp -d)
children=()
trap 'kill "${children[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
case $program in
*/*)
	binaries+=("$program")
	program=./$(basename "$program")
	;;
esac
mkdir -p "$work/root/job"
for tree in ${trees[@]+"${trees[@]}"}; do cp -a "$tree/." "$work/root/"; done
for binary in ${binaries[@]+"${binaries[@]}"}; do
	[ -x "$binary" ] || { echo "vm: there is no program $binary" >&2; exit 64; }
	# A script cannot be stripped.
	strip --strip-debug -o "$work/root/job/$(basename "$binary")" "$binary" 2>/dev/null ||
		cp "$binary" "$work/root/job/"
	{ ldd "$binary" 2>/dev/null | grep -o '/[^ ]*' || true; } | while read -r library; do
		install -D "$(realpath "$library")" "$work/root$library"
	done
done
{
	echo '#!/bin/bash'
	for pair in ${environment[@]+"${environment[@]}"}; do printf 'export %q\n' "$pair"; done
	printf 'exec'
	printf ' %q' "$program" "$@"
	echo
} > "$work/root/job/run"
chmod 755 "$work/root/job/run"

# A kernel unpacks archives that follow one another.
{
	cat "$home/$kernel/base.cpio"
	(cd "$work/root" && find . -mindepth 1 -print0 | cpio --null --create --format=newc --quiet --owner=0:0)
} > "$work/initramfs"
touch "$work"/{console,output,status}
# The archive is in memory twice while it is unpacked.
memory=$((768 + 2 * $(stat -c %s "$work/initramfs") / 1048576))
line() { echo "-chardev file,id=$1,path=$work/$1 -device isa-serial,chardev=$1"; }
# Copying by `rep movsb`, which kernels choose if they are told that it is fast, is slow in an emulated machine.
# shellcheck disable=SC2046
timeout -k 5 "$limit" qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu max,-erms,-fsrm -smp 2 -m "$memory" \
	-nodefaults -no-user-config -no-reboot -display none $(line console) $(line output) $(line status) \
	-kernel "$home/$kernel/vmlinuz" -initrd "$work/initramfs" \
	-append "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic rootfstype=ramfs mitigations=off nokaslr audit=0" \
	</dev/null &
machine=$!
children+=("$machine")
tail -n +1 -f -s 0.2 --pid="$machine" "$work/output" &
reader=$!
children+=("$reader")
ended=0
wait "$machine" || ended=$?
wait "$reader" || true
children=()

status=$(tr -dc 0-9 < "$work/status")
if [ -z "$status" ] || grep -qE 'BUG|WARNING|Oops|panic' "$work/console"; then
	sed 's/^/[console] /' "$work/console" >&2
fi
case $ended in
0) ;;
124 | 137) echo "vm: out of time after $limit s" >&2; exit 250 ;;
*) echo "vm: QEMU ended with $ended" >&2; exit 252 ;;
esac
[ -n "$status" ] || { echo "vm: the machine stopped without a status" >&2; exit 251; }
exit "$status"
