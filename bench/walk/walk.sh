#!/usr/bin/env bash
# walk.sh [DEB]: a fresh Debian machine, without Go, Node, Python's pip or Java, walks through docs/tutorials/your-own-app.md,
# by the page's own commands, with examples/polyglot as the team's app: titrate's package is installed, the seven services are
# built by their Dockerfiles and run as containers, a bad commit takes itself back. It prints how long that took, what was typed
# and what was edited; it ends with 1 when a step does not do what the page says.
#
# The machine is Debian's minbase with git, curl, docker.io and postgresql, in namespaces of its own under a network of its own
# (slirp4netns); no systemd runs in it, so the container engine is started by hand and titrate by `titrate up`. Base images are
# stand-ins (test/bases), loaded beforehand where Docker Hub's would be pulled. It needs root, debootstrap, slirp4netns and what
# test/bases.sh needs; the machine's files are made once and kept in the user's cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/titrate-test
files=$cache/debian-server-1.tar
work=$(mktemp -d /tmp/walk.XXXXXX)
machine=$work/m
pid= slirp=
finish() {
	[ -z "$slirp" ] || kill "$slirp" 2>/dev/null || true
	if [ -n "$pid" ]; then
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	fi
	find /sys/fs/cgroup -depth -type d -path "*/$(basename "$work")*" -exec rmdir {} + 2>/dev/null || true
	chmod -R u+w "$work" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT

make_files() { # the machine as it is bought: Debian, and what a team's server has
	local made=$cache/.server-$$
	mkdir "$made"
	tar -xf "$("$project/test/debian.sh")" -C "$made"
	printf 'exit 101\n' >"$made/usr/sbin/policy-rc.d" # nothing is started by its package: there is no init
	chmod +x "$made/usr/sbin/policy-rc.d"
	cp /etc/resolv.conf "$made/etc/resolv.conf"
	mount -t proc proc "$made/proc"
	mount --bind /dev "$made/dev"
	trap 'umount "$made/proc" "$made/dev"; rm -rf --one-file-system "$made"; finish' EXIT
	DEBIAN_FRONTEND=noninteractive chroot "$made" sh -c 'apt-get update -q && apt-get install -qy --no-install-recommends git curl docker.io iptables iproute2 postgresql && apt-get clean' >&2
	umount "$made/proc" "$made/dev"
	tar --create --numeric-owner --directory="$made" --file="$made.tar" .
	mv "$made.tar" "$files"
	rm -rf --one-file-system "$made"
	trap finish EXIT
}
# Its mounts are of a namespace that ends with it.
if [ "${1:-}" = --make-files ]; then make_files; exit; fi
[ -s "$files" ] || unshare --mount "$0" --make-files

deb=${1:-}
if [ -z "$deb" ]; then
	(cd "$project/tools/release" && go run . -out "$work/release") >&2
	deb=$(echo "$work"/release/titrate_*_"$(dpkg --print-architecture)".deb)
fi

mkdir "$machine"
tar -xf "$files" -C "$machine"
cp /etc/resolv.conf "$machine/etc/resolv.conf"
mkdir -p "$machine/root/blocks"
cp "$deb" "$machine/root/titrate.deb"
cp -r "$project/examples/polyglot" "$machine/root/shop"
cp "$here/machine.sh" "$here/steps.sh" "$machine/root/"
# The page's blocks, each a file: 1.sh, 2.sh …
awk -v dir="$machine/root/blocks" '/^```sh$/ { n++; on = 1; next } /^```$/ { on = 0 } on { print > (dir "/" n ".sh") }' "$project/docs/tutorials/your-own-app.md"

unshare --net --mount --pid --fork --kill-child sh "$here/machine.sh" "$machine" sh /root/steps.sh "/$(basename "$work")" >"$work/said" 2>"$work/told" &
pid=$!
for _ in $(seq 200); do
	[ "$(readlink "/proc/$pid/ns/net")" = "$(readlink /proc/self/ns/net)" ] || break
	sleep 0.05
done
slirp4netns --configure --mtu=1500 --disable-host-loopback "$pid" tap0 >/dev/null 2>&1 &
slirp=$!
until [ -S "$machine/run/docker.sock" ]; do
	kill -0 "$pid" 2>/dev/null || { cat "$work/told" >&2; exit 1; }
	sleep 0.1
done
DOCKER_HOST=unix://$machine/run/docker.sock "$project/test/bases.sh" >/dev/null
touch "$machine/root/go"
status=0
wait "$pid" || status=$?
pid=
cat "$work/said"
[ "$status" = 0 ] || { cat "$work/told" >&2; exit 1; }
