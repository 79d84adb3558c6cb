#!/bin/sh
# Plants faults in the pure packages, one at a time, and prints which of them the
# tests do not find. Fails when fewer than 95 % of a package's are found.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .cache/bin
go build -o .cache/bin/mutate ./tools/mutate
exec .cache/bin/mutate -min "${MUTATE_MIN:-95}" ./internal/rollout ./internal/analysis
