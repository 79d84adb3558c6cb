package namespaces

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// makeRoot makes a root out of the image, enters it, and lets go of the machine's.
//
// Whatever is mounted is mounted from within the new root, so that the image's links
// lead nowhere else; what comes from the machine is opened before, and moved in.
func (in *inside) makeRoot() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return cannot("make mounts private", err)
	}
	from, err := in.openTrees()
	if err != nil {
		return err
	}
	if err := in.overlay(); err != nil {
		return err
	}
	old, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the machine's root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return cannot("change the root", err)
	}
	// The machine's root is there still, on top of ours: without a /proc to be seen
	// the kernel mounts none.
	if err := in.fill(from); err != nil {
		return err
	}
	if err := unix.Fchdir(old); err != nil {
		return fmt.Errorf("leave the machine's root: %w", err)
	}
	mounts := 1
	if len(in.trees) > 0 {
		mounts = 2 // the layer is mounted over it
	}
	for range mounts {
		if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
			return cannot("leave the machine's root", err)
		}
	}
	_ = unix.Close(old)
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("enter the image: %w", err)
	}
	if !in.ReadOnly {
		return nil
	}
	return cannotUnlessNil("make the root read-only", unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, ""))
}

func cannotUnlessNil(what string, err error) error {
	if err == nil {
		return nil
	}
	return cannot(what, err)
}

// enterLayer goes to the folder of the layer, and returns where the image is from there.
func (in *inside) enterLayer() (image string, err error) {
	if len(in.trees) == 0 {
		if err := unix.Chdir(in.Dir); err != nil {
			return "", fmt.Errorf("enter the layer: %w", err)
		}
		return escape.Replace(in.Root), nil
	}
	// The data folder lets nobody in but whose it is. Over the root nothing is hidden:
	// names lead on from what is below.
	layer, lower := in.trees[0], in.trees[1]
	if err := unix.MoveMount(layer, "", unix.AT_FDCWD, "/", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return "", cannot("mount the layer", err)
	}
	if err := unix.Fchdir(layer); err != nil {
		return "", fmt.Errorf("enter the layer: %w", err)
	}
	if err := unix.MoveMount(lower, "", unix.AT_FDCWD, "image", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return "", cannot("mount the image", err)
	}
	closeAll(in.trees[:2])
	return "image", nil
}

// overlay mounts the image with the program's layer over it, and goes there.
func (in *inside) overlay() error {
	image, err := in.enterLayer()
	if err != nil {
		return err
	}
	// Of the options of a mount in a user namespace. Volatile: what the program writes
	// goes with it, and needs not be synced to the disk then.
	const layer = ",upperdir=upper,workdir=work,userxattr"
	lower := "lowerdir=" + image
	const flags = unix.MS_NODEV | unix.MS_NOSUID
	err = unix.Mount("overlay", "root", "overlay", flags, lower+layer+",volatile")
	if errors.Is(err, unix.EINVAL) { // a kernel before 5.10
		err = unix.Mount("overlay", "root", "overlay", flags, lower+layer)
	}
	if err != nil {
		return cannot("lay the program's files over the image's (overlay, Linux 5.11 or later, on a disk of its own)", err)
	}
	return unix.Chdir("root")
}

// escape hides what has a meaning in the options of overlay.
var escape = strings.NewReplacer(`\`, `\\`, ",", `\,`, ":", `\:`)

// devices are the machine's that a program may use.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// tree is something of the machine, held to be mounted within.
type tree struct {
	fd int
	Mount
	device bool
}

func (in *inside) openTrees() ([]tree, error) {
	var out []tree
	for _, name := range devices {
		out = append(out, tree{Mount: Mount{From: "/dev/" + name, To: "/dev/" + name}, device: true})
	}
	for _, m := range in.Mounts {
		out = append(out, tree{Mount: m})
	}
	for i, t := range out {
		if n := i - len(devices) + 2; !t.device && n < len(in.trees) {
			out[i].fd = in.trees[n]
			continue
		}
		flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
		if !t.device {
			flags |= unix.AT_RECURSIVE
		}
		fd, err := unix.OpenTree(unix.AT_FDCWD, t.From, flags)
		if err != nil {
			return nil, cannot("show "+t.From+" to a program", err)
		}
		out[i].fd = fd
	}
	return out, nil
}

// put mounts the tree where it belongs, under the root that we are in.
func (t tree) put() error {
	var err error
	if t.device {
		err = os.WriteFile(t.To, nil, 0o666)
	} else {
		err = os.MkdirAll(t.To, 0o755)
	}
	if err != nil {
		return fmt.Errorf("make %s in the image: %w", t.To, err)
	}
	if err := unix.MoveMount(t.fd, "", unix.AT_FDCWD, t.To, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return cannot("show "+t.From+" to a program", err)
	}
	_ = unix.Close(t.fd)
	if t.device {
		return nil
	}
	// What the machine forbids there stays forbidden: the kernel refuses anything else.
	var st unix.Statfs_t
	if err := unix.Statfs(t.To, &st); err != nil {
		return cannot("show "+t.From+" to a program", err)
	}
	flags := uintptr(unix.MS_REMOUNT | unix.MS_BIND | unix.MS_NODEV | unix.MS_NOSUID)
	flags |= uintptr(st.Flags) & (unix.MS_RDONLY | unix.MS_NOEXEC)
	if t.ReadOnly {
		flags |= unix.MS_RDONLY
	}
	return cannotUnlessNil("show "+t.From+" to a program", unix.Mount("", t.To, "", flags, ""))
}

// fill makes what every program expects in a root.
func (in *inside) fill(from []tree) error {
	const safe = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := mount("proc", "/proc", safe, ""); err != nil {
		return err
	}
	if err := mount("tmpfs", "/dev", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=755,size=64k"); err != nil {
		return err
	}
	for _, t := range from {
		if err := t.put(); err != nil {
			return err
		}
		if t.Own && in.Way != alone {
			if err := giveTo(in.Who, t.To); err != nil {
				return fmt.Errorf("give %s to the program's user: %w", t.To, err)
			}
		}
	}
	if err := mount("devpts", "/dev/pts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
		return err
	}
	if err := mount("tmpfs", "/dev/shm", safe, "mode=1777,size=64m"); err != nil {
		return err
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"} {
		if err := os.Symlink(to, "/dev/"+name); err != nil {
			return fmt.Errorf("make /dev/%s: %w", name, err)
		}
	}
	if err := in.temporary(); err != nil {
		return err
	}
	if err := in.names(); err != nil {
		return err
	}
	return cover()
}

// mount mounts a file system of a kind, at a folder that is made if it is missing.
func mount(kind, to string, flags uintptr, options string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("make %s in the image: %w", to, err)
	}
	return cannotUnlessNil("mount "+kind, unix.Mount(kind, to, kind, flags, options))
}

// temporary makes /tmp, which images FROM scratch lack.
func (in *inside) temporary() error {
	if in.ReadOnly {
		return mount("tmpfs", "/tmp", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777")
	}
	if _, err := os.Stat("/tmp"); err == nil {
		return nil
	}
	if err := os.MkdirAll("/tmp", 0o755); err != nil {
		return fmt.Errorf("make /tmp in the image: %w", err)
	}
	return os.Chmod("/tmp", 0o777|os.ModeSticky)
}

// names writes the files by which names become addresses.
func (in *inside) names() error {
	resolve := ""
	if in.Egress != "" {
		resolve = "nameserver " + nameServer + "\n"
	}
	hosts := append([]string{"127.0.0.1\tlocalhost " + in.Name, "::1\tlocalhost ip6-localhost ip6-loopback"}, in.Hosts...)
	for name, text := range map[string]string{
		"hostname":    in.Name + "\n",
		"hosts":       strings.Join(hosts, "\n") + "\n",
		"resolv.conf": resolve,
	} {
		file := filepath.Join("/etc", name)
		if err := os.MkdirAll("/etc", 0o755); err != nil {
			return fmt.Errorf("make /etc in the image: %w", err)
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) { // perhaps a link to a file that is not there
			return fmt.Errorf("write %s: %w", file, err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
	}
	return nil
}

// What of /proc tells of the machine is hidden, and what changes it cannot be
// written to: the lists are those of runc.
var (
	hidden   = []string{"acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats"}
	readOnly = []string{"bus", "fs", "irq", "sys", "sysrq-trigger"}
)

func cover() error {
	// Before it cannot be changed: whoever the program is, it may listen at any port.
	_ = os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0o644) // a kernel before 4.11
	// In a user namespace of its own a program would have every capability again, over
	// little, but with much of the kernel to try them on.
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0o644); err != nil {
		return cannot("keep programs from making namespaces of their own", err)
	}
	for _, name := range hidden {
		at := filepath.Join("/proc", name)
		st, err := os.Stat(at)
		if err != nil {
			continue // this kernel does not have it
		}
		if st.IsDir() {
			err = unix.Mount("tmpfs", at, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=0")
		} else {
			err = unix.Mount("/dev/null", at, "", unix.MS_BIND, "")
		}
		if err != nil {
			return cannot("hide "+at, err)
		}
	}
	for _, name := range readOnly {
		at := filepath.Join("/proc", name)
		if _, err := os.Stat(at); err != nil {
			continue
		}
		if err := unix.Mount(at, at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return cannot("make "+at+" read-only", err)
		}
		const flags = unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
		if err := unix.Mount("", at, "", flags, ""); err != nil {
			return cannot("make "+at+" read-only", err)
		}
	}
	return nil
}
