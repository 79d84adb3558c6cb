package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// keepMounts makes sure that nothing we mount is seen elsewhere.
func keepMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	return nil
}

// ofTheMachine are the parts of /proc that steer the whole machine. They are root's
// by their owner, which a step of root's is without a capability.
var ofTheMachine = []string{"acpi", "bus", "fs", "irq", "mtrr", "scsi", "sys", "sysrq-trigger"}

// mountProc mounts a /proc in which only processes can be written to.
func mountProc(at string) error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("proc", at, "proc", flags, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, name := range ofTheMachine {
		path := filepath.Join(at, name)
		if !exists(path) {
			continue
		}
		err := unix.Mount(path, path, "", unix.MS_BIND, "")
		if err == nil {
			err = unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|flags, "")
		}
		if err != nil {
			return fmt.Errorf("protect /proc/%s: %w", name, err)
		}
	}
	return nil
}

// makeRoot builds the view of files that the step has, and moves into it.
func makeRoot(sp spec) error {
	if err := keepMounts(); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", sp.Root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=4m"); err != nil {
		return fmt.Errorf("mount a root: %w", err)
	}
	for _, b := range sp.Binds {
		if err := b.mount(sp.Root); err != nil {
			return err
		}
	}
	if err := mountDev(sp.Root); err != nil {
		return err
	}
	proc := filepath.Join(sp.Root, "proc")
	if err := os.Mkdir(proc, 0o555); err != nil {
		return err
	}
	if err := mountProc(proc); err != nil {
		return err
	}
	if err := os.Chdir(sp.Root); err != nil {
		return err
	}
	// The old root is stacked under the new one and let go; see pivot_root(2).
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot to the new root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let the old root go: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// mount shows b under root. A link of the machine, as /bin may be, stays a link.
func (b bind) mount(root string) error {
	at := b.At
	if b.Path == "" {
		at = filepath.Join(root, at)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0755,size=4m"); err != nil {
			return fmt.Errorf("mount a folder in memory: %w", err)
		}
		return nil
	}
	if at == "" {
		at = b.Path
		if target, err := os.Readlink(b.Path); err == nil && strings.Count(b.Path, "/") == 1 {
			return os.Symlink(target, filepath.Join(root, at))
		}
	}
	if err := bindAt(b.Path, filepath.Join(root, at)); err != nil {
		return err
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if !b.Write {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, filepath.Join(root, at), unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("protect %s: %w", b.Path, err)
	}
	return nil
}

func bindAt(path, to string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if info.IsDir() {
		err = os.MkdirAll(to, 0o755)
	} else {
		var f *os.File
		if f, err = os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
			f.Close()
		}
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(path, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("show %s: %w", path, err)
	}
	return nil
}

var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

func mountDev(root string) error {
	for _, d := range devices {
		if err := bindAt(d, filepath.Join(root, d)); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, filepath.Join(root, "dev", name)); err != nil {
			return err
		}
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was sent
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
