#!/usr/bin/env bash
# Makes the files that titrate's image has beside the program: git, a shell, what they
# are linked with, and the roots of certificates, from Debian's packages.
#   packaging/image/rootfs.sh DIR ARCH...    makes DIR/ARCH
# It needs apt and dpkg, and touches neither's data on this machine.
set -euo pipefail

packages=(git libpcre2-8-0 zlib1g libc6 busybox-static ca-certificates)
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
	echo "rootfs.sh: apt-get and dpkg-deb are needed: run it on Debian, or in a container of it" >&2
	exit 1
}
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
for arch in "$@"; do
	work=$(mktemp -d)
	mkdir -p "$work"/{state/lists/partial,cache/archives/partial,deb,root}
	touch "$work/status"
	apt=(apt-get -qq -o "APT::Architecture=$arch" -o "APT::Architectures::=$arch" -o "Dir::State=$work/state"
		-o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User=$(id -un)")
	"${apt[@]}" update
	(cd "$work/deb" && "${apt[@]}" download "${packages[@]}")
	for deb in "$work"/deb/*.deb; do
		dpkg-deb -x "$deb" "$work/root"
	done
	root=$work/root
	cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$work/roots"
	mkdir -p "$root/etc/ssl/certs"
	mv "$work/roots" "$root/etc/ssl/certs/ca-certificates.crt"
	ln -s busybox "$root/bin/sh"
	mkdir -p "$root/usr/share/doc-kept" && cp "$root"/usr/share/doc/git/copyright "$root/usr/share/doc-kept/git"
	rm -rf "$root"/usr/share/{doc,man,locale,lintian,bash-completion,perl5,gitweb,bug,ca-certificates,initramfs-tools} "$root"/usr/lib/*/gconv \
		"$root"/usr/lib/*/perl5 "$root"/var "$root"/etc/{bash_completion.d,ca-certificates,ld.so.conf.d} "$root"/usr/sbin "$root"/sbin
	mv "$root/usr/share/doc-kept" "$root/usr/share/doc"
	printf 'root:x:0:0:root:/:/bin/sh\ntitrate:x:65532:65532:Titrate:/var/lib/titrate:/bin/sh\n' >"$root/etc/passwd"
	printf 'root:x:0:\ntitrate:x:65532:\n' >"$root/etc/group"
	rm -rf "${out:?}/$arch"
	mv "$root" "$out/$arch"
	rm -rf "$work"
done
