package namespaces

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// mappedTrees are the folders that a container sees, to be mounted within: the layer,
// the image and the mounts of its specification, in this order. Where they belong to it
// a file of user n belongs to user n of the user namespace of process pid.
//
// Only root of the whole machine may map, so it is done outside.
func mappedTrees(spec Spec, pid int) (trees []int, err error) {
	defer func() {
		if err != nil {
			closeAll(trees)
		}
	}()
	ns, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/user")
	if err != nil {
		return nil, fmt.Errorf("open the users within: %w", err)
	}
	defer ns.Close()
	all := append([]Mount{{From: spec.Dir, Own: true}, {From: spec.Root, Own: true}}, spec.Mounts...)
	for _, m := range all {
		fd, err := unix.OpenTree(unix.AT_FDCWD, m.From, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		if err != nil {
			return trees, cannot("show "+m.From+" to a program", err)
		}
		trees = append(trees, fd)
		if !m.Own {
			continue
		}
		attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV, Userns_fd: uint64(ns.Fd())}
		if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
			return trees, &mapError{fmt.Errorf("the disk of %s has no id-mapped mounts: %w", m.From, err)}
		}
	}
	return trees, nil
}

// giveTree sends a folder to the process within, which waits for it.
func giveTree(wire, tree int) error {
	return unix.Sendmsg(wire, []byte{1}, unix.UnixRights(tree), nil, 0)
}

// takeTree waits for a folder from outside.
func takeTree() (int, error) {
	b, with := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(wireFD, b, with, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, err
	}
	msgs, err := unix.ParseSocketControlMessage(with[:n])
	if err != nil || len(msgs) != 1 {
		return -1, errors.Join(errors.New("none came"), err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		return -1, errors.Join(errors.New("none came"), err)
	}
	return fds[0], nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}
