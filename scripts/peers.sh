#!/bin/bash
# peers.sh [NAME…]: the real Kubernetes programs that tests run against, built once from their Go modules.
#
# Without names: those that `make test` needs. Prints the folder that they are in: KUBE_VERDICT_PEERS, or
# ~/.cache/kube-verdict/peers-VERSION. What is there already is not built again.
# Names: etcd etcdctl kube-apiserver kubectl kube-proxy kube-controller-manager kube-scheduler kubelet …
set -euo pipefail

kubernetes=1.36.3 etcd=3.6.16 go=1.26.0
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

# k8s.io/kubernetes requires its sibling modules at v0.0.0 and finds them in folders that the module does not
# carry: a module of our own replaces each by its release.
siblings="api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider
cluster-bootstrap code-generator component-base component-helpers controller-manager cri-api cri-client
cri-streaming csi-translation-lib dynamic-resource-allocation endpointslice externaljwt kms kube-aggregator
kube-controller-manager kube-proxy kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission
sample-apiserver sample-controller streaming"
kubernetes_module() {
	local module=$peers/.src/kubernetes
	mkdir -p "$module"
	cd "$module"
	[ -e ready ] && return
	say "fetching Kubernetes $kubernetes"
	{
		printf 'module peers\n\ngo %s\n\n' "$go"
		for sibling in $siblings; do echo "replace k8s.io/$sibling => k8s.io/$sibling v0.${kubernetes#1.}"; done
		printf '\nrequire k8s.io/kubernetes v%s\n' "$kubernetes"
	} >go.mod
	{
		printf '//go:build tools\n\npackage tools\n\n'
		for program in apiserver controller-manager proxy scheduler; do
			echo "import _ \"k8s.io/kubernetes/cmd/kube-$program\""
		done
		for program in kubelet kubectl; do echo "import _ \"k8s.io/kubernetes/cmd/$program\""; done
	} >tools.go
	go mod tidy >&2
	touch ready
}
etcd_module() {
	local module=$peers/.src/etcd
	mkdir -p "$module"
	cd "$module"
	[ -e ready ] && return
	say "fetching etcd $etcd"
	printf 'module peers\n\ngo %s\n' "$go" >go.mod
	printf '//go:build tools\n\npackage tools\n\nimport (\n\t_ "go.etcd.io/etcd/etcdctl/v3"\n\t_ "go.etcd.io/etcd/server/v3"\n)\n' >tools.go
	go get "go.etcd.io/etcd/server/v3@v$etcd" "go.etcd.io/etcd/etcdctl/v3@v$etcd" >&2
	go mod tidy >&2
	touch ready
}

# Without these the programs call themselves v0.0.0, which their clients refuse.
flags="-s -w"
minor=${kubernetes#*.}
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	flags+=" -X $package.gitVersion=v$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
	flags+=" -X $package.gitTreeState=clean"
done
build() {
	local name=$1 package=$2 more=$3
	say "building $name (minutes, once)"
	go build -trimpath -ldflags "$more" -o "$peers/.$name" "$package" >&2 || fail "$name does not build"
	mv "$peers/.$name" "$peers/$name"
}
for name in "${wanted[@]}"; do
	[ -x "$peers/$name" ] && continue
	case $name in
	etcd) etcd_module && build etcd go.etcd.io/etcd/server/v3 "-s -w" ;;
	etcdctl) etcd_module && build etcdctl go.etcd.io/etcd/etcdctl/v3 "-s -w" ;;
	*) kubernetes_module && build "$name" "k8s.io/kubernetes/cmd/$name" "$flags" ;;
	esac
done
echo "$peers"
