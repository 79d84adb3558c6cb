#!/bin/sh
# bases.sh: gives the engine at DOCKER_HOST the stand-ins for base images that bases/README.md speaks of. They are built once,
# by an engine that reaches Debian's packages and npm's registry, and kept as an archive in the user's cache: all later ones
# load that. `bases.sh --where` prints the archive's name and does nothing else.
set -eu
cd "$(dirname "$0")"
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/titrate-test
goroot=$(go env GOROOT)
archive=$cache/bases-$(cat debian.sh bases.sh bases/* "$goroot/VERSION" | sha256sum | cut -c1-12).tar
[ "${1:-}" = --where ] && { echo "$archive"; exit 0; }
[ -s "$archive" ] && { docker load --quiet --input "$archive"; exit 0; }
export DOCKER_BUILDKIT=0
debian=$(./debian.sh)
work=$(mktemp -d "$cache/.bases-XXXXXX")
trap 'rm -rf "$work"' EXIT
build() { # FILE NAME FOLDER: an image of FILE in FOLDER
	cp "bases/$1.dockerfile" "$work/Dockerfile"
	tar --create --directory="$work" Dockerfile --directory="$3" --exclude=./test . | docker build --quiet --tag "$2" -
}
mkdir "$work/node" "$work/none"
(cd "$work/node" && npm pack --silent npm@10 && mv npm-10.*.tgz npm.tgz)
docker import "$debian" debian:bookworm-slim
build golang golang:1.26-bookworm "$goroot"
build node node:20-bookworm-slim "$work/node"
build python python:3.11-slim-bookworm "$work/none"
build jre eclipse-temurin:17-jre "$work/none"
build maven maven:3-eclipse-temurin-17 "$PWD/bases"
rm -f "$cache"/bases-*.tar # of other Dockerfiles, or another Go
docker save --output "$work/made.tar" golang:1.26-bookworm node:20-bookworm-slim python:3.11-slim-bookworm eclipse-temurin:17-jre maven:3-eclipse-temurin-17
mv "$work/made.tar" "$archive"
