# shellcheck shell=bash
# The cables: a bridge on the control plane's machine, a veth pair for each node, a route to each node's pods. No
# route leads anywhere else. Sourced by run.sh.

forwarding=(net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0
	net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0)

control_plane_network() {
	on cp sysctl -qw "${forwarding[@]}"
	on cp ip -batch - <<-BATCH
		link add bridge type bridge
		link set bridge up
		addr add $control_plane_ip/24 dev bridge
		addr add $control_plane_ip6/64 dev bridge nodad
	BATCH
	# Bridged packets are none of netfilter's business here, if this kernel has an opinion on that at all.
	for family in iptables ip6tables; do
		on cp sysctl -qw "net.bridge.bridge-nf-call-$family=0" 2>/dev/null || true
	done
}

node_network() { # NUMBER
	local number=$1 name=n$1 other
	on "$name" sysctl -qw "${forwarding[@]}"
	# The peer's namespace is told by a process as this machine numbers it: only the network of cp is entered.
	nsenter --target "$(cat "$state/cp/process")" --net \
		ip link add "to-$name" master bridge type veth peer name eth0 netns "$(cat "$state/$name/process")"
	on cp ip link set "to-$name" up
	on "$name" ip -batch - <<-BATCH
		link set eth0 up
		addr add $(node_ip "$number")/24 dev eth0
		addr add $(node_ip6 "$number")/64 dev eth0 nodad
		route add default via $control_plane_ip
		route add ::/0 via $control_plane_ip6
	BATCH
	for other in $(seq 9); do
		[ "$other" -ne "$number" ] && [ -e "$state/n$other/process" ] || continue
		route_pods "$name" "$other"
		route_pods "n$other" "$number"
	done
	route_pods cp "$number"
}

route_pods() { # MACHINE NUMBER: the way from the machine to that node's pods
	on "$1" ip route replace "$(pod_cidr "$2")" via "$(node_ip "$2")"
	on "$1" ip -6 route replace "$(pod_cidr6 "$2")" via "$(node_ip6 "$2")"
}
