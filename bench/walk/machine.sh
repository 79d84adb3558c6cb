#!/bin/sh
# machine.sh: what walk.sh has a fresh machine do, in namespaces of its own. Its arguments are the machine's files and the
# script that it is to run in them.
set -eu
root=$1
ip link set lo up
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs shm run/lock 2>/dev/null || true
pivot_root . mnt
umount -l /mnt
shift
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root LANG=C.UTF-8 TERM=dumb "$@"
