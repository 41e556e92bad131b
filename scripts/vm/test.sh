#!/bin/bash
# test.sh [-t SECONDS] KERNEL ARGUMENT…: `cargo test ARGUMENT…`, each test program in a machine of its own.
#
#   scripts/vm/test.sh 5.10 -p kube-verdict-scenario-tests --test scenarios -- affinity
#
# The daemon goes along. KUBE_VERDICT_MODE and KUBE_VERDICT_SEED mean what they mean on the host; RUST_TEST_THREADS says
# how many tests run at once: five keep the machine's two processors busy, since tests wait a good part of their time.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
limit=1200
while getopts t: option; do
	case $option in
	t) limit=$OPTARG ;;
	*) exit 64 ;;
	esac
done
shift $((OPTIND - 1))
[ "$#" -ge 2 ] || { echo "usage: test.sh [-t SECONDS] KERNEL ARGUMENT…" >&2; exit 64; }
kernel=$1
shift
cd "$here/../.."
daemon=${KUBE_VERDICT_BIN:-}
if [ -z "$daemon" ]; then
	cargo build --quiet --locked
	daemon=${CARGO_TARGET_DIR:-target}/debug/kube-verdict
fi

# Cargo puts the program and its arguments behind this.
runner=("$here/run.sh" -b "$(realpath "$daemon")" -t "$limit" -e "KUBE_VERDICT_IN_MACHINE=$kernel"
	-e "KUBE_VERDICT_BIN=/job/$(basename "$daemon")" -e "RUST_TEST_THREADS=${RUST_TEST_THREADS:-5}")
for name in KUBE_VERDICT_MODE KUBE_VERDICT_SEED RUST_BACKTRACE; do
	[ -z "${!name:-}" ] || runner+=(-e "$name=${!name}")
done
runner+=("$kernel")
words=$(printf '"%s",' "${runner[@]}")
exec cargo --config "target.'cfg(all())'.runner=[${words%,}]" test --locked "$@"
