# shellcheck shell=bash
# etcd, kube-apiserver, kube-controller-manager and kube-scheduler on a machine of their own. Sourced by run.sh.

control_plane() {
	power_on cp
	control_plane_network
	start cp etcd --data-dir "$state/cp/etcd" --unsafe-no-fsync \
		--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
		--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
		--initial-cluster default=http://127.0.0.1:2380
	# Whatever a test's pods need is allowed: the conntrack sysctls need a privileged container, too.
	start cp kube-apiserver --etcd-servers http://127.0.0.1:2379 --bind-address 0.0.0.0 --secure-port 6443 \
		--advertise-address "$control_plane_ip" --service-cluster-ip-range "$service_cidr" \
		--tls-cert-file "$keys/api-server.crt" --tls-private-key-file "$keys/api-server.key" \
		--client-ca-file "$keys/ca.crt" \
		--kubelet-client-certificate "$keys/kubelet-client.crt" --kubelet-client-key "$keys/kubelet-client.key" \
		--kubelet-certificate-authority "$keys/ca.crt" --kubelet-preferred-address-types InternalIP \
		--service-account-issuer https://kubernetes.default.svc.cluster.local \
		--service-account-key-file "$keys/accounts.pub" --service-account-signing-key-file "$keys/accounts.key" \
		--authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged=true \
		--max-requests-inflight 2000 --max-mutating-requests-inflight 1000
	start cp kube-controller-manager --kubeconfig "$keys/controllers.kubeconfig" --leader-elect=false \
		--use-service-account-credentials --service-account-private-key-file "$keys/accounts.key" \
		--root-ca-file "$keys/ca.crt" --cluster-signing-cert-file "$keys/ca.crt" \
		--cluster-signing-key-file "$keys/ca.key" --bind-address 127.0.0.1 --allocate-node-cidrs=false \
		--service-cluster-ip-range "$service_cidr" --kube-api-qps 100 --kube-api-burst 200
	start cp kube-scheduler --kubeconfig "$keys/scheduler.kubeconfig" --leader-elect=false --bind-address 127.0.0.1
	wait_for kube-apiserver 60 kubectl get --raw /readyz
}
