#!/bin/bash
# run.sh [COMMAND…]: a whole Kubernetes cluster on this machine, and upstream's own tests in it.
#
# Real programs throughout: etcd, the control plane, a kubelet and containerd on each of three nodes, CoreDNS in a pod,
# and on every node the image of `make image` from the shipped manifests. Nothing of the machine's own network is used.
# With a COMMAND that is run in the cluster's place instead of the suite: in `run.sh bash` there are `kubectl`, and
# `on n1 nft list ruleset` for something on a node (n1, n2, n3, or cp for the control plane).
# Before the suite come a rolling update under load, a power cut of a node and a node that joins late (life.sh).
# Everything ends with this script, however that ends. What is left is target/e2e: logs, and the suite's report.
#
# In the environment: PROXY=kube-verdict (the default), kube-proxy (the real one), kubeadm (kube-verdict in the place of
# the kube-proxy that kubeadm installs) or none; NODES, FOCUS, SKIP, PROCS.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
repository=$(realpath "$here/../..")
scripts=$repository/scripts
logs=$repository/target/e2e
for part in settings programs images keys machines network control-plane node proxy life; do
	# shellcheck source=/dev/null
	. "$here/$part.sh"
done

tidy_up() {
	local status=$?
	trap '' INT TERM
	kill -KILL "$cluster" 2>/dev/null || true
	wait "$cluster" 2>/dev/null || true
	all_off
	remove_control_groups
	[ ! -e "$state/sysctls" ] || sysctl -q -p "$state/sysctls" >/dev/null || true
	rm -rf "$state"
	exit "$status"
}

suite() {
	on cp ginkgo --procs="$procs" --focus="$focus" --skip="$skip" --timeout=2h --no-color --silence-skips \
		--json-report=report.json --output-dir="$logs" \
		"$peers/e2e.test" -- --kubeconfig="$keys/admin.kubeconfig" --kubectl-path="$peers/kubectl" \
		--provider=skeleton --num-nodes="$nodes" --disable-log-dump=true --report-dir="$logs" \
		>"$logs/suite.log" 2>&1 || true
	[ -e "$logs/report.json" ] || fail "the suite did not run: $logs/suite.log"
	"$here/results.py" "$logs/report.json"
}

cluster=      # the process of cluster()
failures=0 # steps that went wrong
cluster() { # COMMAND…
	all_keys
	control_plane
	say "the control plane is ready"
	for number in $(seq "$nodes"); do node "$number"; done
	say "$nodes nodes are registered"
	install_proxy "$proxy"
	say "the service proxy is $proxy"
	kubectl wait --for=condition=Ready node --all --timeout=120s >/dev/null
	kubectl apply -f "$here/dns.yaml" >/dev/null
	[ "$proxy" = none ] || kubectl -n kube-system rollout status deployment/coredns --timeout=120s >/dev/null
	say "the cluster is ready"
	if [ "$#" -gt 0 ]; then
		"$@"
		return
	fi
	[ "$proxy" = none ] || life
	suite || failures=$((failures + 1))
	return "$((failures > 0))"
}

main() {
	[ "$(id -u)" -eq 0 ] || fail "it makes network namespaces and runs containers: run it as root"
	exec 8>/run/lock/kube-verdict-e2e
	flock --nonblock 8 || fail "there is a cluster on this machine already"
	rm -rf "$logs"
	mkdir -p "$logs"
	all_programs
	all_images
	image=$(shipped_image)

	state=$(mktemp -d /var/tmp/kube-verdict-e2e.XXXXXX)
	keys=$state/keys
	trap tidy_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	commands
	keep_sysctls
	# In the background, because a signal would otherwise wait for whatever runs at that moment.
	cluster "$@" <&0 &
	cluster=$!
	wait "$cluster"
}
main "$@"
exit
