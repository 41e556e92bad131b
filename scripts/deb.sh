#!/bin/bash
# deb.sh [BINARY [VERSION [DIRECTORY]]]: the Debian package, from the release binary that `make build` left: the daemon, its unit
# for systemd, a configuration, manual pages and completions. It takes dpkg-deb, and dpkg-shlibdeps to name what the
# binary is linked with. Prints the package's path. DEB_MAINTAINER, "Name <address>", is who answers for the package;
# if it is not set, the first of the authors in Cargo.toml.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
binary=$(realpath "${1:-$target/release/kube-verdict}")
version=${2:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)}
architecture=$(dpkg --print-architecture)
package=${3:-$target}/kube-verdict_${version}_$architecture.deb
maintainer=${DEB_MAINTAINER:-$(sed -n 's/^authors = \["\([^"]*\)".*/\1/p' Cargo.toml | head -n 1)}
[[ $maintainer == *?" <"?*"@"?*">" ]] ||
	{ echo "DEB_MAINTAINER is \"$maintainer\"; it has to be like \"Name <name@example.org>\"" >&2; exit 1; }
command -v dpkg-shlibdeps >/dev/null || { echo "dpkg-shlibdeps is missing: apt-get install dpkg-dev" >&2; exit 1; }
# Building twice makes the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
umask 022
put() { # MODE FILE PATH
	install -D -m "$1" "$2" "$root$3"
}
filled() { # FILE [NAME VALUE]…: with what stands for the names
	local text
	text=$(cat "$1" && echo .)
	text=${text%.}
	set -- MAINTAINER "$maintainer" "${@:2}"
	while [ "$#" -gt 0 ]; do
		text=${text//"@$1@"/"$2"}
		shift 2
	done
	printf %s "$text"
}
packed() { # FILE PATH
	install -d "$(dirname "$root$2")"
	gzip -9 -n <"$1" >"$root$2"
}

put 755 "$binary" /usr/sbin/kube-verdict
strip --remove-section=.comment --remove-section=.note "$root/usr/sbin/kube-verdict"
put 644 packaging/kube-verdict.service /lib/systemd/system/kube-verdict.service
put 644 packaging/config.yaml /etc/kube-verdict/config.yaml
put 644 packaging/example.yaml.off /etc/kube-verdict/manifests/example.yaml.off

mkdir "$work/generated"
"$binary" generate "$work/generated"
for page in "$work"/generated/*.8; do
	packed "$page" "/usr/share/man/man8/$(basename "$page").gz"
done
put 644 "$work/generated/kube-verdict.bash" /usr/share/bash-completion/completions/kube-verdict
put 644 "$work/generated/_kube-verdict" /usr/share/zsh/vendor-completions/_kube-verdict
put 644 "$work/generated/kube-verdict.fish" /usr/share/fish/vendor_completions.d/kube-verdict.fish

documents=/usr/share/doc/kube-verdict
put 644 packaging/debian/copyright $documents/copyright
filled packaging/debian/changelog >"$work/changelog"
packed "$work/changelog" $documents/changelog.gz
put 644 NOTICE $documents/NOTICE
scripts/third-party.py >"$work/third-party"
packed "$work/third-party" $documents/THIRD-PARTY.gz
for document in standalone manifests configuration data-plane metrics differences; do
	put 644 "docs/$document.md" "$documents/$document.md"
done
for example in manifests/examples/*; do
	put 644 "$example" "$documents/examples/$(basename "$example")"
done

# What it is linked with, as the packages of those libraries say it.
mkdir "$work/debian"
printf 'Source: kube-verdict\n\nPackage: kube-verdict\nArchitecture: any\n' >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O "root/usr/sbin/kube-verdict" 2>"$work/complaints") ||
	{ cat "$work/complaints" >&2; exit 1; }
depends=${depends#shlibs:Depends=}

install -d "$root/DEBIAN"
filled packaging/debian/control.in VERSION "$version" ARCHITECTURE "$architecture" DEPENDS "$depends" \
	SIZE "$(du -k -s --exclude=DEBIAN "$root" | cut -f 1)" >"$root/DEBIAN/control"
(cd "$root" && find etc -type f -printf '/%p\n' | sort) >"$root/DEBIAN/conffiles"
(cd "$root" && find usr lib -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
for script in postinst prerm postrm; do
	install -m 755 "packaging/debian/$script" "$root/DEBIAN/$script"
done
dpkg-deb --root-owner-group -Z"${COMPRESSION:-xz}" --build "$root" "$package" >/dev/null
echo "$package"
