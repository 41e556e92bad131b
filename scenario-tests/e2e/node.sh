# shellcheck shell=bash
# A node: containerd with the images of images.sh, a kubelet, and pods behind a veth pair each. Sourced by run.sh.

cgroup=kube-verdict-e2e

# A folder for a node's pods in every hierarchy of control groups (version 1), or in the one (version 2).
control_groups() { # NAME
	local hierarchy path file
	if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
		mkdir -p "/sys/fs/cgroup/$cgroup/$1"
		for path in /sys/fs/cgroup "/sys/fs/cgroup/$cgroup"; do
			echo "+cpu +cpuset +memory +pids" >"$path/cgroup.subtree_control"
		done
		return
	fi
	for hierarchy in /sys/fs/cgroup/*/; do
		[ "$(stat -f -c %T "$hierarchy")" = cgroupfs ] || continue
		path=${hierarchy%/}
		for folder in "$cgroup" "$1"; do
			path+=/$folder
			mkdir -p "$path"
			# A new cpuset is empty, and nothing runs in it.
			for file in cpuset.cpus cpuset.mems; do
				[ ! -e "$path/$file" ] || cat "$hierarchy$file" >"$path/$file"
			done
		done
	done
}

# Kills nothing: by now nothing is left in them.
remove_control_groups() {
	find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -type d -name "$cgroup" 2>/dev/null | while read -r folder; do
		find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
	done
}

containerd_config() { # NUMBER
	local unused=("io.containerd.snapshotter.v1."{btrfs,zfs,devmapper,erofs,blockfile} io.containerd.nri.v1.nri)
	# oom_score_adj is lowered only by those who may, which runc may not be.
	cat <<-TOML
		version = 3
		root = "$state/n$1/containerd"
		state = "/run/containerd"
		disabled_plugins = [$(printf '"%s", ' "${unused[@]}")]
		[grpc]
		  address = "/run/containerd/containerd.sock"
		[plugins."io.containerd.cri.v1.images".pinned_images]
		  sandbox = "$(head -n 1 "$images/pause.names")"
		[plugins."io.containerd.cri.v1.runtime"]
		  restrict_oom_score_adj = true
		  [plugins."io.containerd.cri.v1.runtime".cni]
		    bin_dirs = ["/usr/lib/cni"]
		    conf_dir = "$state/n$1/cni"
		  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
		    runtime_type = "io.containerd.runc.v2"
	TOML
}

cni_config() { # NUMBER
	cat <<-JSON
		{"cniVersion": "1.0.0", "name": "e2e", "plugins": [
		  {"type": "ptp", "ipMasq": false, "mtu": 1500, "ipam": {"type": "host-local",
		    "dataDir": "/run/cni", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
		    "ranges": [[{"subnet": "$(pod_cidr "$1")"}], [{"subnet": "$(pod_cidr6 "$1")"}]]}},
		  {"type": "portmap", "capabilities": {"portMappings": true}}]}
	JSON
}

kubelet_config() { # NUMBER
	cat <<-YAML
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $keys/ca.crt}}
		authorization: {mode: Webhook}
		tlsCertFile: $keys/n$1.crt
		tlsPrivateKeyFile: $keys/n$1.key
		cgroupDriver: cgroupfs
		cgroupRoot: /$cgroup/n$1
		failCgroupV1: false
		failSwapOn: false
		enforceNodeAllocatable: []
		clusterDNS: [$dns_ip]
		clusterDomain: cluster.local
		containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
		resolvConf: $state/n$1/resolv.conf
		evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
		imageGCHighThresholdPercent: 100
		kubeAPIQPS: 100
		kubeAPIBurst: 200
	YAML
}

import_images() { # NUMBER
	local archive name first
	for archive in "$images"/*.tar ${image:+"$image"}; do
		on "n$1" ctr -n k8s.io images import "$archive" >>"$logs/import.log" 2>&1 || fail "cannot import $archive"
		[ -e "${archive%.tar}.names" ] || continue
		first=$(head -n 1 "${archive%.tar}.names")
		tail -n +2 "${archive%.tar}.names" | while read -r name; do
			on "n$1" ctr -n k8s.io images tag "$first" "$name" >>"$logs/import.log" 2>&1 </dev/null
		done
	done
}

node() { # NUMBER: switches it on; its Node is registered when this returns
	local name=n$1 directory=$state/n$1
	[ -e "$keys/$name.kubeconfig" ] || node_keys "$1"
	control_groups "$name"
	power_on "$name"
	node_network "$1"
	mkdir -p "$directory/cni"
	cni_config "$1" >"$directory/cni/e2e.conflist"
	containerd_config "$1" >"$directory/containerd.toml"
	kubelet_config "$1" >"$directory/kubelet.yaml"
	echo "nameserver $control_plane_ip" >"$directory/resolv.conf"
	start "$name" containerd --config "$directory/containerd.toml"
	wait_for "containerd of $name" 30 on "$name" ctr version
	import_images "$1"
	start "$name" kubelet --config "$directory/kubelet.yaml" --kubeconfig "$keys/$name.kubeconfig" \
		--hostname-override "$name" --node-ip "$(node_ip "$1"),$(node_ip6 "$1")" --v=2
	wait_for "the Node of $name" 60 kubectl get node "$name"
	# What a cloud would say: a zone each, and which pods are whose.
	kubectl patch node "$name" --type merge --patch "{
		\"metadata\": {\"labels\": {\"topology.kubernetes.io/zone\": \"z$1\"}},
		\"spec\": {\"podCIDR\": \"$(pod_cidr "$1")\", \"podCIDRs\": [\"$(pod_cidr "$1")\", \"$(pod_cidr6 "$1")\"]}
	}" >/dev/null
}
