#!/usr/bin/env bash
# Everything: go vet, every test (the slow ones too), the demo. Installs what the
# tests need and the machine lacks (PostgreSQL, Redis, engines, languages, where that is
# possible); a test that cannot run says so.
set -euo pipefail
cd "$(dirname "$0")/.."

export TITRATE_TEST_SLOW=1
. test/postgres.sh
start_postgres
trap stop_postgres EXIT
. test/engines.sh
install_engines
if ! command -v redis-server >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	(apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server) >/dev/null 2>&1 || # not started
		echo "redis-server cannot be installed: the tests that need it are skipped" >&2
fi
. test/languages.sh
install_languages

go vet ./...
go test -timeout 25m ./...
(cd tools/release && go vet ./... && go test -timeout 15m ./...)
