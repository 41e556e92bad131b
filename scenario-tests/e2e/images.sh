# shellcheck shell=bash
# The images that the suite's pods run, made from the programs of scripts/peers.sh and of this machine: nothing is
# pulled. Built once, into a folder beside those programs: NAME.tar, and NAME.names with the names that the suite
# knows it by. Sourced by run.sh.

registry=registry.k8s.io/e2e-test-images

tag() { # IMAGE: the version that this suite asks for
	sed -n "s|.*configs\[$1\] = .*\"\([v0-9.-]*\)\"}.*|\1|p" "$suite_source/test/utils/image/manifest.go"
}

make_image() { # NAME ROOT NAMES OPTION…
	local name=$1 root=$2 names=$3
	shift 3
	tr ' ' '\n' <<<"$names" >"$images/$name.names"
	"$scripts/oci.sh" "$root" "$images/.new" "${names%% *}" --env PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
	rm -rf "$root"
	mv "$images/.new" "$images/$name.tar"
	say "made the image $name"
}

# What a shell needs around it: busybox for everything that has no program of its own.
shell_root() { # ROOT
	local root=$1 applet
	mkdir -p "$root"/{bin,etc,root} "$root"/{tmp,var/tmp}
	chmod 755 "$root"
	chmod 1777 "$root"/{tmp,var/tmp}
	"$scripts/rootfs.sh" "$root" busybox=/bin/busybox
	for applet in $(busybox --list); do ln -s /bin/busybox "$root/bin/$applet" 2>/dev/null || true; done
	printf '%s:x:%s:::/bin/sh\n' root 0:0 nobody 65534:65534 user-defined-in-image 1000:1000 >"$root/etc/passwd"
	printf '%s\n' root:x:0: nobody:x:65534: >"$root/etc/group"
	echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
}

agnhost_image() {
	local root program
	root=$(mktemp -d)
	shell_root "$root"
	# Debian's busybox prefers its applets to programs in PATH, and its wget crashes on options that the suite
	# uses: the shell and whatever talks to the network are the real ones.
	for program in sh nc wget curl dig nslookup host ss iperf bash; do rm -f "$root/bin/$program"; done
	"$scripts/rootfs.sh" "$root" "$peers/agnhost=/agnhost" bash=/bin/bash nc.openbsd=/bin/nc curl dig getent iperf \
		nslookup ss wget
	ln -s bash "$root/bin/sh"
	ln -s agnhost "$root/agnhost-2"
	echo 'tries = 1' >"$root/etc/wgetrc"
	mkdir -m 1777 "$root/uploads"
	cp "$suite_source"/test/images/agnhost/porter/localhost.{crt,key} "$root/"
	make_image agnhost "$root" "$registry/agnhost:$(tag Agnhost) $registry/glibc-dns-testing:$(tag GlibcDnsTesting)" \
		--entrypoint '["/agnhost"]' --cmd pause
}

busybox_image() {
	local root
	root=$(mktemp -d)
	shell_root "$root"
	make_image busybox "$root" \
		"$registry/busybox:$(tag BusyBox) registry.k8s.io/build-image/distroless-iptables:$(tag DistrolessIptables)" \
		--cmd sh
}

program_image() { # PROGRAM NAME
	local root
	root=$(mktemp -d)
	chmod 755 "$root"
	mkdir -m 1777 "$root/tmp"
	"$scripts/rootfs.sh" "$root" "$peers/$1=/$1"
	make_image "$1" "$root" "$2" --entrypoint "[\"/$1\"]"
}

# For the baseline and for taking over from: the program where kubeadm's DaemonSet looks for it, with the nft that
# it runs.
kube_proxy_image() {
	local root
	root=$(mktemp -d)
	chmod 755 "$root"
	mkdir "$root/etc"
	"$scripts/rootfs.sh" "$root" "$peers/kube-proxy=/usr/local/bin/kube-proxy" nft=/usr/sbin/nft
	make_image kube-proxy "$root" localhost/kube-proxy:e2e --entrypoint '["/usr/local/bin/kube-proxy"]'
}

all_images() {
	images=$peers/images
	mkdir -p "$images"
	[ -e "$images/pause.tar" ] || program_image pause "registry.k8s.io/pause:$(tag Pause)"
	[ -e "$images/coredns.tar" ] || program_image coredns localhost/coredns:e2e
	[ -e "$images/regression-issue-74839.tar" ] ||
		program_image regression-issue-74839 "$registry/regression-issue-74839:$(tag RegressionIssue74839)"
	[ -e "$images/busybox.tar" ] || busybox_image
	[ -e "$images/agnhost.tar" ] || agnhost_image
	[ -e "$images/kube-proxy.tar" ] || kube_proxy_image
}
