#!/usr/bin/env bash
# Everything: go vet, every test (the slow ones too), the demo. Installs what the
# tests need and the machine lacks (PostgreSQL, Redis, languages, slirp4netns, where that is
# possible); a test that cannot run says so.
set -euo pipefail
cd "$(dirname "$0")/.."

export TITRATE_TEST_SLOW=1
. test/postgres.sh
start_postgres
trap stop_postgres EXIT
for program in slirp4netns redis-server; do # RUNLEVEL=1: Redis is not started
	if ! command -v "$program" >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		(apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$program") >/dev/null 2>&1 ||
			echo "$program cannot be installed: the tests that need it are skipped" >&2
	fi
done
. test/languages.sh
install_languages

go vet ./...
go test -timeout 25m ./...
(cd tools/release && go vet ./... && go test -timeout 15m ./...)
