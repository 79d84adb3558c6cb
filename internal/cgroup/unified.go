package cgroup

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// leaf holds this program's own processes where its group has been given to it.
const leaf = "titrate.main"

// moved is the leaf of a service that was not started in one, as systemd before 254
// does not. Its service manager has Undivide run when the service has stopped.
const moved = "titrate.moved"

// undivided is why a service is not divided that was neither started in the leaf nor
// will be undivided. What it started outlives it, so that the group stays divided, and
// systemd could not start it again: a divided group takes no process.
const undivided = "the unit has no DelegateSubgroup=" + leaf + " (systemd 254)"

// addUnified takes what the version 1 hierarchies have left: a controller is in
// one hierarchy alone. Groups are made in our own group when it is ours to divide,
// else, as root, at the top, where the rule of no processes does not hold.
func (t *Tree) addUnified(m mount, name string, unit Unit) {
	own, home, err := ownGroup(t.k, m)
	if err != nil {
		return // told by what stays missing
	}
	parent, why := m.point, ""
	switch given, service := t.k.delegated(own), strings.HasSuffix(own, ".service"); {
	case given && home == "" && service && !unit.Undivides:
		why = undivided
	case given && home == "" && service:
		parent, home = own, moved
	case given:
		parent, home = own, cmp.Or(home, leaf)
	}
	b, err := t.k.read(filepath.Join(parent, "cgroup.controllers"))
	if err != nil {
		return
	}
	h := hierarchy{unified: true, base: filepath.Join(parent, name)}
	for _, c := range controllers {
		if slices.Contains(strings.Fields(string(b)), c) {
			h.controllers = append(h.controllers, c)
		} else if t.missing[c] == nowhere {
			t.missing[c] = "the control group " + parent + " was not given the controller " + c
		}
	}
	if len(h.controllers) == 0 {
		return
	}
	if parent == own {
		err = divide(t.k, own, home, h.controllers)
	} else {
		err = enable(t.k, parent, h.controllers)
	}
	if err == nil {
		err = t.ready(h)
	}
	if err != nil && why != "" {
		err = errors.New(why)
	}
	t.add(h, err)
}

// ownGroup is the folder of the group that was given to this program: the one it
// is in, or the one above its leaf, whose name is home.
func ownGroup(k kernel, m mount) (dir, home string, err error) {
	b, err := k.read("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(b)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		// In a container the mount may begin below the top that the path begins at.
		path = strings.TrimPrefix(path, strings.TrimSuffix(m.root, "/"))
		if base := filepath.Base(path); slices.Contains([]string{leaf, moved, control}, base) {
			path, home = filepath.Dir(path), base
		}
		return filepath.Join(m.point, path), home, nil
	}
	return "", "", errors.New("this program is in no control group of version 2")
}

// divide makes our own group ready for groups below it: its processes move to the
// leaf first. Those that are forked meanwhile are found at the next look.
func divide(k kernel, own, home string, want []string) error {
	home = filepath.Join(own, home)
	if err := k.mkdir(home); err != nil && !errors.Is(err, syscall.EEXIST) {
		return err
	}
	var err error
	for range 10 {
		b, readErr := k.read(filepath.Join(own, "cgroup.procs"))
		if readErr != nil {
			return readErr
		}
		for pid := range strings.FieldsSeq(string(b)) {
			moveErr := k.write(filepath.Join(home, "cgroup.procs"), pid)
			if moveErr != nil && !errors.Is(moveErr, syscall.ESRCH) {
				return fmt.Errorf("move process %s to a group of its own: %w", pid, moveErr)
			}
		}
		if err = enable(k, own, want); !errors.Is(err, syscall.EBUSY) {
			return err
		}
	}
	return err
}

// enable gives controllers to the groups below one.
func enable(k kernel, dir string, want []string) error {
	for _, c := range want {
		if err := k.write(filepath.Join(dir, "cgroup.subtree_control"), "+"+c); err != nil {
			return err
		}
	}
	return nil
}
