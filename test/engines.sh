# The container engines that the tests run. To be sourced. install_engines installs what
# the machine lacks, where that is possible, and starts none; a test without its engine
# skips and says so.

install_engines() {
	local wanted=()
	command -v dockerd >/dev/null || wanted+=(docker.io)
	command -v podman >/dev/null || wanted+=(podman)
	command -v iptables >/dev/null || wanted+=(iptables)
	command -v slirp4netns >/dev/null || wanted+=(slirp4netns)
	command -v newuidmap >/dev/null || wanted+=(uidmap)
	command -v rootlesskit >/dev/null || wanted+=(rootlesskit)
	command -v debootstrap >/dev/null || wanted+=(debootstrap) # base images
	open_devices
	[ "${#wanted[@]}" -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
	echo "installing ${wanted[*]} for the tests" >&2
	(apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}") >/dev/null 2>&1 ||
		echo "not all of them could be installed: tests that need them are skipped" >&2
}

# open_devices gives the devices that rootless engines and images open the modes that
# systemd gives them (tmpfiles.d/static-nodes-permissions.conf): on a machine whose /dev
# nobody has set up they are root's alone.
open_devices() {
	local device
	[ "$(id -u)" = 0 ] || return 0
	for device in /dev/net/tun /dev/fuse; do
		[ ! -c "$device" ] || chmod 666 "$device" || true
	done
}
