#!/bin/bash
# prepare.sh KERNEL…: what run.sh boots. KERNEL is a series of Debian's kernels: 5.10, 6.1, 6.12 or 7.2.
#
# Prints the folder that it all is in: KUBE_VERDICT_VM, or ~/.cache/kube-verdict/vm. What is there already is not made
# again, as long as these scripts are the same. Kernels are downloaded and unpacked, not installed; QEMU and the
# programs that go into the machine are installed if they are missing.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
home=${KUBE_VERDICT_VM:-${XDG_CACHE_HOME:-$HOME/.cache}/kube-verdict/vm}
# Programs of the machine, each with the package that has it.
programs=(busybox=busybox-static ip=iproute2 nft=nftables ipvsadm=ipvsadm ipset=ipset conntrack=conntrack
	xtables-legacy-multi=iptables xtables-nft-multi=iptables tc=iproute2)
# Programs that make it.
tools=(cpio=cpio depmod=kmod xz=xz-utils strip=binutils)

say() { echo "vm: $*" >&2; }
fail() { say "$*"; exit 1; }
PATH=$PATH:/usr/sbin:/sbin

[ "$#" -gt 0 ] || fail "which kernel? One or more of 5.10 6.1 6.12 7.2"
[ "$(uname -m)" = x86_64 ] || fail "these machines are made for x86_64 only, and this is $(uname -m)"
mkdir -p "$home"
home=$(realpath "$home")
recipe=$(cat "$here"/prepare.sh "$here"/initramfs.sh "$here"/init | sha256sum | cut -d' ' -f1)

wanted=()
for kernel; do
	[ "$(cat "$home/$kernel/recipe" 2>/dev/null)" = "$recipe" ] || wanted+=("$kernel")
done
qemu_version() { qemu-system-x86_64 --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9]*\).*/\1/p'; }
# QEMU 7 without KVM loses flags at cmpxchg16b, and kernels from 6.12 on die of it.
qemu_is_good() { [ "$(qemu_version || true)" ] && [ "$(qemu_version)" -ge 8 ]; }
if [ "${#wanted[@]}" -eq 0 ] && qemu_is_good; then
	echo "$home"
	exit 0
fi

# One at a time: tests of several crates may ask at once.
exec 9>"$home/.lock"
flock 9

# Debian's packages, of releases that this machine need not have: apt with lists and sources of its own.
apt=$home/apt
mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -1)
[ -n "$mirror" ] || mirror=$(sed -n 's/^deb [^h]*\(http[^ ]*\).*/\1/p' /etc/apt/sources.list 2>/dev/null | head -1)
sources() { # RELEASE…
	local release
	for release; do
		echo "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main"
	done
}
aside() { APT_CONFIG=$apt/conf "$@"; }
lists_are_there=
fetch_lists() {
	[ -z "$lists_are_there" ] || return 0
	[ -n "$mirror" ] && command -v apt-get >/dev/null || fail "this needs apt-get and a mirror of Debian's in its sources"
	mkdir -p "$apt"/lists/partial "$apt"/cache/archives/partial
	sources bullseye bookworm bookworm-backports trixie trixie-backports > "$apt/sources"
	: > "$apt/status"
	cat > "$apt/conf" <<-CONF
		Dir::Etc::sourcelist "$apt/sources"; Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
		Dir::State::lists "$apt/lists"; Dir::State::status "$apt/status"; Dir::Cache "$apt/cache";
		APT::Architecture "amd64"; APT::Sandbox::User "root"; Acquire::Languages "none"; Acquire::Retries "3";
		APT::Update::Post-Invoke ""; APT::Update::Post-Invoke-Success "";
	CONF
	say "reading Debian's package lists from $mirror"
	aside apt-get -qq update || fail "cannot read Debian's package lists from $mirror"
	lists_are_there=yes
}

missing=()
for entry in "${programs[@]}" "${tools[@]}"; do
	command -v "${entry%%=*}" >/dev/null || missing+=("${entry#*=}")
done
if [ "${#missing[@]}" -gt 0 ]; then
	[ "$(id -u)" -eq 0 ] || fail "these Debian packages are missing: ${missing[*]}; install them as root"
	say "installing ${missing[*]}"
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null ||
		{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
			"${missing[@]}" >/dev/null; } || fail "cannot install ${missing[*]}"
fi
if ! qemu_is_good; then
	[ "$(id -u)" -eq 0 ] || fail "QEMU 8 or later is missing (qemu-system-x86; on Debian 12 from bookworm-backports)"
	say "installing QEMU"
	. /etc/os-release
	if [ "${VERSION_CODENAME:-}" = bookworm ]; then
		fetch_lists
		sources bookworm bookworm-backports > "$apt/qemu"
		from=(-o Dir::Etc::sourcelist="$apt/qemu" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$apt/lists")
		# Those that are installed must go along: they belong together.
		mapfile -t packages < <(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' qemu-utils 2>/dev/null |
			sed -n 's/^ii //p')
		packages+=(qemu-system-x86 qemu-system-common qemu-system-data seabios)
		packages=("${packages[@]/%//bookworm-backports}")
	else
		from=()
		packages=(qemu-system-x86)
	fi
	DEBIAN_FRONTEND=noninteractive apt-get "${from[@]}" -o APT::Sandbox::User=root install -qq -y \
		--no-install-recommends "${packages[@]}" >/dev/null || fail "cannot install QEMU"
	qemu_is_good || fail "the QEMU that could be installed is older than 8: $(qemu-system-x86_64 --version | head -1)"
fi

# The newest package of the kernels without drivers for hardware; all that is tested here is in them.
package() { # KERNEL
	local number=${1//./\\.}
	aside apt-cache pkgnames "linux-image-$1." |
		grep -E "^linux-image-$number\.[0-9]+(-[0-9]+|\+deb1[0-9.]+)-cloud-amd64\$" | sort -V | tail -1
}
for kernel in "${wanted[@]}"; do
	# Somebody else may have made it while this one waited.
	[ "$(cat "$home/$kernel/recipe" 2>/dev/null)" != "$recipe" ] || continue
	fetch_lists
	image=$(package "$kernel") || fail "Debian has no kernel $kernel"
	release=${image#linux-image-}
	work=$home/$kernel.new
	rm -rf "$work"
	mkdir -p "$work/tree" "$home/packages"
	say "fetching $image"
	# From 7 on the kernel and its modules are in packages of their own.
	for name in "$image" "linux-binary-$release" "linux-modules-$release" "linux-base-$release"; do
		aside apt-cache show "$name" >/dev/null 2>&1 || continue
		(cd "$home/packages" && { ls "${name}"_*.deb >/dev/null 2>&1 || aside apt-get -qq download "$name"; }) ||
			fail "cannot download $name"
		dpkg-deb -x "$home/packages/${name}"_*.deb "$work/tree"
	done
	modules=$(find "$work/tree" -type d -path "*/lib/modules/$release" | head -1)
	vmlinuz=$(find "$work/tree" -type f -name 'vmlinuz*' | head -1)
	[ -n "$modules" ] && [ -n "$vmlinuz" ] || fail "$image does not have what was expected of it"
	cp "$vmlinuz" "$work/vmlinuz"
	"$here/initramfs.sh" "$modules" "$work/base.cpio" "${programs[@]%%=*}"
	rm -rf "$work/tree" "$home/${kernel:?}"
	echo "$recipe" > "$work/recipe"
	mv "$work" "$home/$kernel"
done
echo "$home"
