#!/bin/sh
# debian.sh: makes the files of a Debian that has its essential packages, apt, and the roots of certificates that this
# machine trusts, as a tar archive, by debootstrap from where this machine's apt gets its packages. Further packages can be
# added in it. It is made once and kept in the user's cache; the script prints where. It needs root and debootstrap.
set -eu
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/titrate-test
archive=$cache/debian-bookworm-1.tar
[ -s "$archive" ] && { echo "$archive"; exit 0; }
mkdir -p "$cache"
work=$(mktemp -d "$cache/.debian-XXXXXX")
trap 'rm -rf "$work"' EXIT
from=$(apt-get indextargets --format '$(RELEASE) $(SITE)' | sed -n 's/^bookworm //p' | head -n 1)
[ -n "$from" ] || { echo "debian.sh: apt has no bookworm here" >&2; exit 1; }
debootstrap --variant=minbase --include=ca-certificates bookworm "$work/root" "$from" >&2
cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/"
cd "$work"
# As in Debian's own images: no manuals, but their folders, which packages expect.
printf 'path-exclude=/usr/share/%s/*\n' doc man locale >root/etc/dpkg/dpkg.cfg.d/slim
echo force-unsafe-io >>root/etc/dpkg/dpkg.cfg.d/slim
find root/usr/share/doc root/usr/share/man root/usr/share/locale ! -type d -delete
rm -rf root/var/cache/apt/archives/*.deb root/var/lib/apt/lists/* root/dev root/proc root/sys
mkdir root/dev root/proc root/sys
tar --create --numeric-owner --directory=root --file=made.tar .
mv made.tar "$archive"
echo "$archive"
