# A PostgreSQL of the tests' own, on a unix socket in a temporary folder. To be
# sourced. start_postgres sets TITRATE_TEST_POSTGRES; where no server can be had it
# says so and leaves the variable unset, and the tests that need it skip.

start_postgres() {
	[ -z "${TITRATE_TEST_POSTGRES:-}" ] || return 0
	local bin
	bin=$(find_postgres)
	if [ -z "$bin" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "installing postgresql for the tests" >&2
		(apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql) >/dev/null 2>&1 || true
		bin=$(find_postgres)
	fi
	if [ -z "$bin" ]; then
		echo "no PostgreSQL here and none could be installed: tests against it are skipped" >&2
		return 0
	fi
	pg_dir=$(mktemp -d /tmp/titrate-pg.XXXXXX)
	pg_as=()
	if [ "$(id -u)" = 0 ]; then # it refuses to run as root
		chown nobody "$pg_dir"
		pg_as=(setpriv --reuid=nobody --clear-groups)
	fi
	if ! (cd "$pg_dir" && "${pg_as[@]}" "$bin/initdb" -D "$pg_dir/data" -U titrate -A trust --no-sync >"$pg_dir.log" 2>&1 &&
		"${pg_as[@]}" "$bin/pg_ctl" -D "$pg_dir/data" -w -l "$pg_dir/log" -o "-k $pg_dir -c listen_addresses= -c fsync=off" start >>"$pg_dir.log" 2>&1); then
		echo "PostgreSQL did not start; tests against it are skipped:" >&2
		cat "$pg_dir.log" >&2
		return 0
	fi
	pg_bin=$bin
	export TITRATE_TEST_POSTGRES="postgres://titrate@/postgres?host=$pg_dir"
}

stop_postgres() {
	[ -n "${pg_bin:-}" ] || return 0
	(cd "$pg_dir" && "${pg_as[@]}" "$pg_bin/pg_ctl" -D "$pg_dir/data" -m immediate stop >/dev/null 2>&1) || true
	rm -rf "$pg_dir" "$pg_dir.log"
}

find_postgres() {
	local dir
	for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) $(dirname "$(command -v initdb 2>/dev/null || echo /nowhere/x)"); do
		if [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ]; then
			echo "$dir"
			return
		fi
	done
}
