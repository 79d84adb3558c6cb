#!/bin/sh
# debian-node.sh: makes the files of a Debian image with Node in them, as a tar archive, out of Debian's packages.
# It is made once and kept in the user's cache; the script prints where. Any user may run it; nothing is installed.
set -eu
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/titrate-test
archive=$cache/debian-node-1.tar
[ -s "$archive" ] && { echo "$archive"; exit 0; }
mkdir -p "$cache"
work=$(mktemp -d "$cache/.debian-node-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir root packages
: >status
# What apt would install where nothing is installed yet.
apt-get install --print-uris --yes --no-install-recommends -o Dir::State::status="$work/status" \
	base-files base-passwd dash coreutils libc-bin nodejs | sed -n "s/^'.*' \([^_]*\)_\([^_]*\)_\([^ ]*\)\.deb .*/\1/p" | sort -u >names
(cd packages && xargs apt-get download -o Dir::State::status="$work/status" <../names) >&2
for p in packages/*.deb; do dpkg-deb --extract "$p" root; done
cp root/usr/share/base-passwd/passwd.master root/etc/passwd
cp root/usr/share/base-passwd/group.master root/etc/group
echo 'node:x:1000:1000::/home/node:/bin/sh' >>root/etc/passwd
echo 'node:x:1000:' >>root/etc/group
mkdir -p root/home/node
rm -rf root/usr/share/doc root/usr/share/man root/usr/share/locale
tar --create --owner=0 --group=0 --numeric-owner --directory=root --file=made.tar .
mv made.tar "$archive"
echo "$archive"
