#!/bin/bash
# peers.sh [NAME…]: the real Kubernetes programs that tests run against, built once from their Go modules.
#
# Without names: those that `make test` needs. Prints the folder that they are in: KUBE_VERDICT_PEERS, or
# ~/.cache/kube-verdict/peers-VERSION. What is there already is not built again.
# Names: any program of Kubernetes by its own; etcd etcdctl; for whole nodes containerd containerd-shim-runc-v2 ctr
# coredns; for upstream's suite e2e.test ginkgo agnhost regression-issue-74839 pause.
set -euo pipefail

kubernetes=1.36.3 etcd=3.6.16 containerd=2.3.7 coredns=1.14.6 go=1.26.0
peers=${KUBE_VERDICT_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/kube-verdict/peers-$kubernetes}
[ "$#" -gt 0 ] || set -- etcd etcdctl kube-apiserver kubectl kube-proxy
mkdir -p "$peers"
peers=$(realpath "$peers")

wanted=()
for name; do [ -x "$peers/$name" ] || wanted+=("$name"); done
if [ "${#wanted[@]}" -eq 0 ]; then
	echo "$peers"
	exit 0
fi

say() { echo "peers: $*" >&2; }
fail() { say "$*"; exit 1; }

# One at a time: tests of several crates may ask at once.
exec 9>"$peers/.lock"
flock 9

# Debian's Go is too old for Kubernetes; the release itself is a module like any other.
if ! command -v go >/dev/null && [ -x /usr/local/go/bin/go ]; then PATH=$PATH:/usr/local/go/bin; fi
if ! command -v go >/dev/null; then
	if [ ! -x "$peers/.go/bin/go" ]; then
		say "downloading Go $go"
		arch=$(dpkg --print-architecture)
		zip=$peers/.go.zip
		url=https://proxy.golang.org/golang.org/toolchain/@v/v0.0.1-go$go.linux-$arch.zip
		curl -fsSL -o "$zip" "$url" || fail "cannot fetch $url; install Go $go or later and run this again"
		rm -rf "$peers/.go.new" "$peers/.go"
		python3 - "$zip" "$peers/.go.new" <<'P' || fail "cannot unpack $zip"
import sys, zipfile
zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])
P
		mv "$peers/.go.new/golang.org/toolchain@v0.0.1-go$go.linux-$arch" "$peers/.go"
		chmod -R +x "$peers/.go/bin" "$peers/.go/pkg/tool"
		rm -rf "$zip" "$peers/.go.new"
	fi
	PATH=$peers/.go/bin:$PATH
fi
export CGO_ENABLED=0 GOFLAGS=-mod=mod

# What is built comes from modules of our own, one for each source: it requires the source's modules, and imports
# what is built. `begin` enters its folder; it fails when the module is complete already.
begin() { # FOLDER WHAT
	mkdir -p "$peers/.src/$1"
	cd "$peers/.src/$1"
	[ ! -e ready ] || return 1
	say "fetching $2"
	printf 'module peers\n\ngo %s\n' "$go" >go.mod
}
import() { # PACKAGE…
	{
		printf '//go:build tools\n\npackage tools\n\n'
		for package; do echo "import _ \"$package\""; done
	} >tools.go
}

# k8s.io/kubernetes requires its sibling modules at v0.0.0 and finds them in folders that the module does not
# carry: each is replaced by its release. sample-cli-plugin has none, and nothing here imports it.
siblings="api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider
cluster-bootstrap code-generator component-base component-helpers controller-manager cri-api cri-client
cri-streaming csi-translation-lib dynamic-resource-allocation endpointslice externaljwt kms kube-aggregator
kube-controller-manager kube-proxy kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission
sample-apiserver sample-controller streaming"
require_kubernetes() {
	for sibling in $siblings; do echo "replace k8s.io/$sibling => k8s.io/$sibling v0.${kubernetes#1.}"; done >>go.mod
	printf '\nrequire k8s.io/kubernetes v%s\n' "$kubernetes" >>go.mod
}
kubernetes_module() {
	begin kubernetes "Kubernetes $kubernetes" || return 0
	require_kubernetes
	import k8s.io/kubernetes/cmd/{kube-{apiserver,controller-manager,proxy,scheduler},kubelet,kubectl}
	go mod tidy >&2
	touch ready
}
# The suite and the programs in its images. The release's own go.mod says which ginkgo goes with it.
suite_module() {
	begin suite "the e2e suite of Kubernetes $kubernetes" || return 0
	require_kubernetes
	local source ginkgo
	source=$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's|.*"Dir": "\(.*\)",|\1|p')
	ginkgo=$(sed -n 's|^\s*github.com/onsi/ginkgo/v2 \(v[^ ]*\).*|\1|p' "$source/go.mod")
	printf '\nrequire github.com/onsi/ginkgo/v2 %s\n' "$ginkgo" >>go.mod
	import github.com/onsi/ginkgo/v2/ginkgo k8s.io/kubernetes/test/e2e \
		k8s.io/kubernetes/test/images/{agnhost,regression-issue-74839}
	ln -sfn "$source" kubernetes
	touch ready
}
etcd_module() {
	begin etcd "etcd $etcd" || return 0
	import go.etcd.io/etcd/{etcdctl,server}/v3
	go get "go.etcd.io/etcd/server/v3@v$etcd" "go.etcd.io/etcd/etcdctl/v3@v$etcd" >&2
	go mod tidy >&2
	touch ready
}
# Debian's containerd is older than this kubelet wants.
containerd_module() {
	begin containerd "containerd $containerd" || return 0
	go get "github.com/containerd/containerd/v2@v$containerd" >&2
	touch ready
}
coredns_module() {
	begin coredns "CoreDNS $coredns" || return 0
	go get "github.com/coredns/coredns@v$coredns" >&2
	touch ready
}

# Without these the programs call themselves v0.0.0, which their clients refuse.
flags=
minor=${kubernetes#*.}
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	flags+=" -X $package.gitVersion=v$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
	flags+=" -X $package.gitTreeState=clean"
done
new=$peers/.new
build() { # NAME COMMAND…: the command leaves the program in $new
	local name=$1
	shift
	say "building $name (minutes, once)"
	"$@" >&2 || fail "$name does not build"
	mv "$new" "$peers/$name"
}
go_build() { # NAME PACKAGE [LINKER FLAGS [TAGS]]
	build "$1" go build -trimpath -o "$new" -ldflags "-s -w ${3:-}" -tags "${4:-}" "$2"
}
for name in "${wanted[@]}"; do
	[ -x "$peers/$name" ] && continue
	case $name in
	etcd)
		etcd_module
		go_build etcd go.etcd.io/etcd/server/v3
		;;
	etcdctl)
		etcd_module
		go_build etcdctl go.etcd.io/etcd/etcdctl/v3
		;;
	containerd | containerd-shim-runc-v2 | ctr)
		containerd_module
		go_build "$name" "github.com/containerd/containerd/v2/cmd/$name" \
			"-X github.com/containerd/containerd/v2/version.Version=v$containerd" \
			"no_btrfs no_devmapper no_zfs no_tracing"
		;;
	coredns)
		coredns_module
		go_build coredns github.com/coredns/coredns
		;;
	ginkgo)
		suite_module
		go_build ginkgo github.com/onsi/ginkgo/v2/ginkgo
		;;
	agnhost | regression-issue-74839)
		suite_module
		go_build "$name" "k8s.io/kubernetes/test/images/$name"
		;;
	pause)
		suite_module
		build pause cc -Os -static -DVERSION=1 -o "$new" kubernetes/build/pause/linux/pause.c
		;;
	e2e.test)
		suite_module
		build e2e.test go test -c -vet=off -trimpath -o "$new" -ldflags "-s -w $flags" k8s.io/kubernetes/test/e2e
		;;
	*)
		kubernetes_module
		go_build "$name" "k8s.io/kubernetes/cmd/$name" "$flags"
		;;
	esac
done
echo "$peers"
