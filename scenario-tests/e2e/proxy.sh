# shellcheck shell=bash
# The service proxy, installed as an operator would: with kubectl, from the shipped manifests. Sourced by run.sh.

rolled_out() { # DAEMONSET
	kubectl -n kube-system rollout status "daemonset/$1" --timeout=120s >/dev/null && return
	kubectl -n kube-system get pods -o wide >&2
	kubectl -n kube-system logs "daemonset/$1" --tail=20 --all-containers >&2 || true
	fail "$1 does not run on every node"
}

install_proxy() { # kube-verdict | kube-proxy | kubeadm: kube-verdict over the kube-proxy of kubeadm | none
	case $1 in
	kube-verdict)
		kubectl apply --server-side -k "$here/overlay" >/dev/null
		rolled_out kube-verdict
		;;
	kube-proxy)
		kubectl apply -k "$here/kube-proxy" >/dev/null
		rolled_out kube-proxy
		;;
	kubeadm)
		install_proxy kube-proxy
		kubectl apply --server-side --force-conflicts -k "$repository/manifests/overlays/kubeadm" >/dev/null
		rolled_out kube-proxy
		;;
	none) ;;
	*) fail "PROXY=$1 is none of kube-verdict, kube-proxy, kubeadm, none" ;;
	esac
}
