package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kernel is what there is of the machine; tests have one that stands for another.
type kernel interface {
	read(path string) ([]byte, error)
	write(path, value string) error
	mkdir(dir string) error
	rmdir(dir string) error
	list(dir string) ([]string, error) // names of folders
	delegated(dir string) bool         // this program may divide the group
	kill(dir string)                   // every process of the group
}

// machine is this one.
type machine struct{}

func (machine) read(path string) ([]byte, error) { return os.ReadFile(path) }

func (machine) write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value) // in one write: the kernel reads each as a whole
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (machine) mkdir(dir string) error { return os.Mkdir(dir, 0o755) }
func (machine) rmdir(dir string) error {
	if err := unix.Rmdir(dir); err != nil { // not os.Remove, which tries to unlink too
		return &os.PathError{Op: "rmdir", Path: dir, Err: err}
	}
	return nil
}

func (machine) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// delegated: systemd marks what it gives away. Before version 251 only root sees that
// mark; another user is given the files of a service, and a terminal's scope is none.
// In a container the top is the container's own, which unlike the machine's has a type.
func (machine) delegated(dir string) bool {
	for _, mark := range []string{"trusted.delegate", "user.delegate"} {
		var b [8]byte
		if n, err := unix.Getxattr(dir, mark, b[:]); err == nil && string(b[:n]) == "1" {
			return true
		}
	}
	if os.Geteuid() != 0 {
		if !strings.HasSuffix(dir, ".service") {
			return false
		}
		for _, file := range []string{"cgroup.procs", "cgroup.subtree_control"} {
			if unix.Access(filepath.Join(dir, file), unix.W_OK) != nil {
				return false
			}
		}
		return true
	}
	_, typed := os.Stat(filepath.Join(dir, "cgroup.type"))
	_, above := os.Stat(filepath.Join(filepath.Dir(dir), "cgroup.procs"))
	return typed == nil && above != nil
}

func (m machine) kill(dir string) {
	if m.write(filepath.Join(dir, "cgroup.kill"), "1") == nil { // version 2, since Linux 5.14
		return
	}
	for _, pid := range m.members(dir) {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		// Looked at again, now that the number cannot change hands.
		for _, still := range m.members(dir) {
			if still == pid {
				_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
			}
		}
		_ = unix.Close(fd)
	}
}

func (m machine) members(dir string) []int {
	b, _ := m.read(filepath.Join(dir, "cgroup.procs"))
	var out []int
	for field := range strings.FieldsSeq(string(b)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			out = append(out, pid)
		}
	}
	return out
}
