#!/usr/bin/env bash
# Everything: go vet, every test (the slow ones too), the demo. Installs what the
# tests need and the machine lacks (PostgreSQL, languages, podman, where that is
# possible); a test that cannot run says so.
set -euo pipefail
cd "$(dirname "$0")/.."

export TITRATE_TEST_SLOW=1
. test/postgres.sh
start_postgres
trap stop_postgres EXIT
. test/engines.sh
install_engines
. test/languages.sh
install_languages

go vet ./...
go test -timeout 25m ./...
(cd tools/release && go vet ./... && go test -timeout 15m ./...)
