#!/bin/sh
# Prints every figure with the command that repeats it. None of them is a test: a
# busy machine gives other figures, and says so by its load average.
set -u
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
program=$work/titrate
CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$program" ./cmd/titrate || exit 1
go build -o "$work/" ./bench/up ./bench/breach ./bench/releases ./bench/upgrade ./bench/controller || exit 1
failed=0
figure() { "$@" 2>"$work/said" || { echo "FAILED: $*"; tail -n 20 "$work/said"; failed=1; }; }

figure "$work/up" -program "$program"
figure "$work/breach" -program "$program"
figure "$work/releases" -program "$program"
figure "$work/upgrade" -program "$program"
printf '\n$ go run ./bench/controller -rollouts 10000 -seconds 60\n'
figure "$work/controller" -rollouts 10000 -seconds 60
figure go run ./bench/gateway
trace=../shared/data/azure-functions-2019
if [ -d "$trace" ]; then
	printf '\n$ go run ./bench/keepalive\n'
	figure go run ./bench/keepalive -data "$trace"
fi
printf '\n$ go test -run NONE -bench . ./internal/rollout ./internal/analysis ./internal/target/local\n'
figure go test -run NONE -bench . ./internal/rollout ./internal/analysis ./internal/target/local >"$work/benchmarks"
grep '^Benchmark' "$work/benchmarks"
exit $failed
