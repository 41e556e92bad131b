#!/bin/bash
# Installs what building and testing need from Debian's packages; says what is missing where it cannot.
set -euo pipefail

declare -A provides=(
	[build-essential]="command -v cc"
	[pkg-config]="command -v pkg-config"
	[libmnl-dev]="pkg-config --exists libmnl"
	[libnftnl-dev]="pkg-config --atleast-version=1.2.4 libnftnl"
	[conntrack]="PATH=$PATH:/usr/sbin command -v conntrack"
	[curl]="command -v curl"
	[openssl]="command -v openssl"
	[python3]="command -v python3"
	[iptables]="PATH=$PATH:/usr/sbin command -v xtables-legacy-multi && PATH=$PATH:/usr/sbin command -v xtables-nft-multi"
	[nftables]="PATH=$PATH:/usr/sbin command -v nft"
	[dpkg-dev]="command -v dpkg-shlibdeps"
	[systemd]="test -x /lib/systemd/systemd"
	[iproute2]="PATH=$PATH:/usr/sbin command -v ip"
)

missing=()
for package in "${!provides[@]}"; do
	eval "${provides[$package]}" >/dev/null 2>&1 || missing+=("$package")
done

if ! command -v cargo >/dev/null; then
	echo "Rust is missing: install it from https://rustup.rs (1.95 or later) and run this again." >&2
	exit 1
fi
if [ "${#missing[@]}" -eq 0 ]; then
	exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "These Debian packages are missing: ${missing[*]}" >&2
	echo "Install them as root: apt-get install ${missing[*]}" >&2
	exit 1
fi
echo "Installing ${missing[*]} …"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
