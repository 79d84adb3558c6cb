# What the tests of languages build with. To be sourced. install_languages installs
# what the machine lacks, where that is possible; a test without its tools skips and
# says so.

install_languages() {
	local wanted=()
	command -v node >/dev/null || wanted+=(nodejs)
	command -v npm >/dev/null || wanted+=(npm)
	command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || wanted+=(python3 python3-pip)
	command -v javac >/dev/null || wanted+=(default-jdk-headless)
	command -v mvn >/dev/null || wanted+=(maven)
	# Maven's plugins from Debian's packages: the tests do not ask Maven Central.
	[ -d /usr/share/maven-repo/org/apache/maven/plugins/maven-surefire-plugin ] ||
		wanted+=(libmaven-compiler-plugin-java libmaven-jar-plugin-java libmaven-resources-plugin-java libsurefire-java)
	command -v cargo >/dev/null || wanted+=(cargo)
	command -v cc >/dev/null || wanted+=(gcc libc6-dev)
	[ "${#wanted[@]}" -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
	echo "installing ${wanted[*]} for the tests" >&2
	(apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}") >/dev/null 2>&1 ||
		echo "not all of them could be installed: tests that need them are skipped" >&2
}
