# shellcheck shell=bash
# What happens to a proxy in a cluster's life: a new version while connections come in, a node that loses its power, a
# node that joins late. Each is one step with one line of result; `failures` counts those that went wrong. Sourced by
# run.sh.

url() { echo "http://$(node_ip "$1"):30080/hostname"; }
answers() { on cp curl -fsS -m 2 "$(url "$1")"; }

life() {
	local daemon_set=kube-proxy agnhost
	[ "$proxy" != kube-verdict ] || daemon_set=kube-verdict
	agnhost=$(head -n 1 "$images/agnhost.names")
	sed "s|AGNHOST|$agnhost|" "$here/backends.yaml" | kubectl apply -f - >/dev/null
	kubectl rollout status daemonset/web --timeout=120s >/dev/null
	for number in $(seq "$nodes"); do wait_for "node port of n$number" 30 answers "$number"; done
	rolling_update "$daemon_set" || failures=$((failures + 1))
	power_cut "$nodes"
	late_node $((nodes + 1))
	kubectl delete --wait -f "$here/backends.yaml" >/dev/null
}

# Every node's proxy is replaced, one after the other, while connections come in at every node.
rolling_update() { # DAEMONSET
	local loads result=0
	rm -f "$state/stop"
	# shellcheck disable=SC2046
	on cp "$here/load.py" "$state/stop" $(for number in $(seq "$nodes"); do url "$number"; done) \
		>"$logs/rolling-update.log" 2>&1 &
	loads=$!
	sleep 1
	kubectl -n kube-system rollout restart "daemonset/$1" >/dev/null
	rolled_out "$1"
	sleep 1
	touch "$state/stop"
	wait "$loads" || result=1
	say "rolling update of $nodes nodes: $(tail -n 1 "$logs/rolling-update.log")"
	return "$result"
}

# Everything on the node ends at once, its kernel state too; then it is switched on again.
power_cut() { # NUMBER
	local began
	power_off "n$1"
	began=$SECONDS
	node "$1"
	wait_for "node port of n$1 after a power cut" 120 answers "$1"
	say "power cut of n$1: its node port answers again after $((SECONDS - began)) s"
}

# A node that was not there when the others were.
late_node() { # NUMBER
	local began=$SECONDS
	node "$1"
	wait_for "node port of the late node n$1" 120 answers "$1"
	say "n$1 joins late: its node port answers after $((SECONDS - began)) s"
	power_off "n$1"
	kubectl delete node "n$1" >/dev/null
}
