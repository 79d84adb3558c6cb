#!/bin/sh
# steps.sh: the walk, on the machine. Figures go to stdout, all else to stderr.
set -eu
for tool in go node npm pip java mvn; do
	! command -v "$tool" >/dev/null || { echo "this machine is not fresh: it has $tool" >&2; exit 1; }
done
mkdir -p /run/lock
dockerd --host unix:///run/docker.sock --cgroup-parent "$1" >/var/log/dockerd.log 2>&1 &
until [ -e /root/go ]; do sleep 0.1; done # the stand-ins of base images are there

began=$(date +%s.%N)
since() { # TIME: seconds since
	echo "$(date +%s.%N) $1" | awk '{ printf "%.1f", $1 - $2 }'
}
step() { # WHAT FILE [STATUS]: runs a block, each line of it stamped
	at=$(date +%s.%N)
	echo "── $1" >&2
	grep -v '^#' "$2" >&2
	status=0
	sh -eu "$2" >/root/out 2>&1 || status=$?
	cat /root/out >&2
	[ "$status" = "${3:-0}" ] || { echo "$1: status $status" >&2; exit 1; }
	echo "$1	$(since "$at") s"
}
says() { # TEXT: what the last step must have said
	grep -q -- "$1" /root/out || { echo "it did not say: $1" >&2; exit 1; }
}

git config --global user.name team
git config --global user.email team@example.com
git config --global init.defaultBranch main
cd /root/shop
git init -q && git add . && git commit -qm "our shop"
ours=$(git rev-parse HEAD)

echo 'apt-get install -qy /root/titrate.deb' >/root/blocks/0.sh
step "install" /root/blocks/0.sh
step "titrate up" /root/blocks/1.sh
step "titrate init" /root/blocks/2.sh
step "git push: seven services built, started, promoted" /root/blocks/3.sh
says 'promoted'
step "the shop answers" /root/blocks/4.sh
says 'Emma'
echo "install to own app serving	$(since "$began") s"
step "their bad commit" /root/blocks/5.sh
sh /root/blocks/6.sh
step "git push: built, shifting begins" /root/blocks/7.sh
step "rolled back" /root/blocks/8.sh 3
says 'rolled-back'
echo "install to own bad commit rolled back	$(since "$began") s"
step "why" /root/blocks/9.sh
says 'errors'

cat /root/blocks/[0-8].sh | grep -oE 'apt-get install|titrate (up|init)|git push' >/root/typed
echo "commands	$(wc -l </root/typed) ($(paste -sd, /root/typed | sed 's/,/, /g'))"
echo "files	$(git diff --name-only "$ours" HEAD~1 | wc -l) ($(git diff --name-only "$ours" HEAD~1 | paste -sd' '))"
echo "containers	$(docker -H unix:///run/docker.sock ps -q | wc -l)"
titrate down >&2
