# shellcheck shell=bash
# Settings of the cluster, and what everything else here is said with. Sourced by run.sh.

nodes=${NODES:-3}   # three: one test compares what happens on two nodes that have an endpoint with one that has none
proxy=${PROXY:-kube-verdict}
focus=${FOCUS:-'\[sig-network\] Services'}
skip=${SKIP:-'\[Disruptive\]'} # they want the proxy and the API server as pods that kubeadm has made
procs=${PROCS:-4}

service_cidr=10.96.0.0/16,fd00:10:96::/112
cluster_cidr=10.244.0.0/16,fd00:10:244::/56
dns_ip=10.96.0.10
control_plane_ip=172.30.0.1 control_plane_ip6=fd00:172:30::1
node_ip() { echo "172.30.0.1$1"; }
node_ip6() { echo "fd00:172:30::1$1"; }
pod_cidr() { echo "10.244.$1.0/24"; }
pod_cidr6() { echo "fd00:10:244:$1::/64"; }

started=$SECONDS
say() { echo "e2e [$((SECONDS - started)) s] $*"; }
fail() {
	echo "e2e: $*" >&2
	exit 1
}
# wait_for WHAT SECONDS COMMAND…: until the command succeeds
wait_for() {
	local what=$1 deadline=$((SECONDS + $2))
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || fail "$what is not ready; logs are in $logs"
		sleep 0.2
	done
}
