#!/usr/bin/env bash
# Everything: go vet, every test (the slow ones too), the demo. Installs what the
# tests need and the machine lacks (PostgreSQL, languages, slirp4netns, debootstrap, where
# that is possible); a test that cannot run says so.
set -euo pipefail
cd "$(dirname "$0")/.."

export TITRATE_TEST_SLOW=1
. test/postgres.sh
start_postgres
trap stop_postgres EXIT
for tool in slirp4netns debootstrap; do
	if ! command -v $tool >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		(apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $tool) >/dev/null 2>&1 ||
			echo "$tool cannot be installed: tests that need it are skipped" >&2
	fi
done
. test/languages.sh
install_languages

go vet ./...
go test -timeout 25m ./...
(cd tools/release && go vet ./... && go test -timeout 15m ./...)
