#!/bin/sh
# ric.sh [FOLDER]: pushes functions that AWS's own client for Node.js (aws-lambda-ric) runs to a real Titrate, and calls
# them. The client is installed into FOLDER, where it is kept, or into a temporary one; its native part is built there,
# which takes minutes.
set -eu
cd "$(dirname "$0")/.."
for tool in node npm make g++ cmake autoconf automake libtoolize; do
	command -v $tool >/dev/null && continue
	echo "there is no $tool, which aws-lambda-ric is built with: apt-get install nodejs npm make g++ cmake autoconf automake libtool" >&2
	exit 1
done
folder=${1:-}
if [ -z "$folder" ]; then
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
[ -e "$folder/node_modules/aws-lambda-ric/dist/rapid-client.node" ] ||
	npm install --prefix "$folder" --no-audit --no-fund aws-lambda-ric@3.3.0
TITRATE_TEST_RIC=$folder go test ./test -count=1 -v -run 'TestScripts$/functions-ric$'
