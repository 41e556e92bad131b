# shellcheck shell=bash
# What has to be there before anything starts: Debian's packages, Kubernetes' programs, the image to be tested.
# Sourced by run.sh.

packages=(bind9-dnsutils busybox-static containernetworking-plugins curl gcc iperf iproute2 libc6-dev netcat-openbsd
	nftables openssl python3 runc wget)
programs=(etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl kube-proxy
	containerd containerd-shim-runc-v2 ctr coredns e2e.test ginkgo agnhost regression-issue-74839 pause)

all_programs() {
	local package missing=()
	for package in "${packages[@]}"; do
		dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
	done
	if [ "${#missing[@]}" -gt 0 ]; then
		say "installing ${missing[*]}"
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
	fi
	peers=$("$scripts/peers.sh" "${programs[@]}")
	suite_source=$peers/.src/suite/kubernetes
	PATH=$peers:$PATH:/usr/sbin:/sbin
}

shipped_image() {
	local archive
	case $proxy in kube-proxy | none) return ;; esac
	# The newest, if there are several.
	archive=$(ls -t "$repository"/target/kube-verdict-*.tar 2>/dev/null | head -n 1)
	[ -n "$archive" ] || fail "there is no image: make image"
	echo "$archive"
}

# The kubelet sets some for the whole machine; tidying up puts these back.
keep_sysctls() {
	local name
	for name in vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys \
		kernel.keys.root_maxbytes fs.inotify.max_user_instances; do
		sysctl "$name" 2>/dev/null || true
	done >"$state/sysctls"
	sysctl -qw fs.inotify.max_user_instances=1024
}
