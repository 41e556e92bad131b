# shellcheck shell=bash
# Certificates and kubeconfigs. Sourced by run.sh.



authority() {
	mkdir -p "$keys"
	local curve=ec_paramgen_curve:prime256v1
	openssl req -x509 -newkey ec -pkeyopt "$curve" -nodes -keyout "$keys/ca.key" -out "$keys/ca.crt" -days 2 \
		-subj /CN=e2e -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature 2>/dev/null
	openssl genrsa -out "$keys/accounts.key" 2048 2>/dev/null
	openssl rsa -in "$keys/accounts.key" -pubout -out "$keys/accounts.pub" 2>/dev/null
}

certificate() { # FILE USER [GROUP [ALTERNATIVE NAMES]]
	local extensions=extendedKeyUsage=clientAuth,serverAuth
	[ -z "${4:-}" ] || extensions+=$'\n'subjectAltName=$4
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$keys/$1.key" \
		-out "$keys/$1.csr" -subj "${3:+/O=$3}/CN=$2" 2>/dev/null
	openssl x509 -req -in "$keys/$1.csr" -CA "$keys/ca.crt" -CAkey "$keys/ca.key" -CAcreateserial -days 2 \
		-out "$keys/$1.crt" -extfile <(echo "$extensions") 2>/dev/null
}

kubeconfig() { # NAME: of the certificate, and of the file: keys/NAME.kubeconfig
	cat >"$keys/$1.kubeconfig" <<-YAML
		apiVersion: v1
		kind: Config
		clusters:
		- name: e2e
		  cluster:
		    server: https://$control_plane_ip:6443
		    certificate-authority: $keys/ca.crt
		users:
		- name: $1
		  user:
		    client-certificate: $keys/$1.crt
		    client-key: $keys/$1.key
		contexts:
		- name: e2e
		  context:
		    cluster: e2e
		    user: $1
		current-context: e2e
	YAML
}

all_keys() {
	authority
	local names=IP:$control_plane_ip,IP:$control_plane_ip6,IP:127.0.0.1,IP:10.96.0.1,IP:fd00:10:96::1
	names+=,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc
	certificate api-server kube-apiserver "" "$names"
	certificate kubelet-client kube-apiserver-kubelet-client system:masters
	certificate admin admin system:masters
	certificate controllers system:kube-controller-manager
	certificate scheduler system:kube-scheduler
	for user in admin controllers scheduler; do kubeconfig "$user"; done
}

node_keys() { # NUMBER
	certificate "n$1" "system:node:n$1" system:nodes "IP:$(node_ip "$1"),IP:$(node_ip6 "$1"),DNS:n$1"
	kubeconfig "n$1"
}
