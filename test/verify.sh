#!/usr/bin/env bash
# Fails if generated files are stale, go.mod is not tidy, or code is not formatted.
set -euo pipefail
cd "$(dirname "$0")/.."

go test ./internal/manifest ./internal/explain ./internal/api ./internal/cli -run 'Generated|Reference|Schema|Golden' -count=1 >/dev/null
# Only go.mod is held to be tidy, and -e, because the tests of a dependency want
# module versions that cannot be had everywhere: their lines in go.sum come and go.
untidy=$(go mod tidy -e -diff 2>/dev/null || true)
if grep -q '^+++ tidy/go.mod' <<<"$untidy"; then
	echo "go.mod is not tidy: go mod tidy -e" >&2
	echo "$untidy" >&2
	exit 1
fi
unformatted=$(gofmt -l cmd client internal examples test bench)
if [ -n "$unformatted" ]; then
	echo "not formatted:" >&2
	echo "$unformatted" >&2
	exit 1
fi
echo "generated files, go.mod and format are as they should be"
