package cgroup

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
)

// control is where systemd runs what it runs beside a service that was given its group.
const control = ".control"

// Undivide makes the group of a service one that takes processes again, where Find has
// divided it and the service was not started in a leaf: it takes back the controllers of
// the groups below, so that the processes in them run on without limits until the next
// Find and Restore. It is for what the service manager runs after the service, in its
// group. Where there is nothing to undivide it does nothing.
func Undivide() error { return undivide(machine{}) }

func undivide(k kernel) error {
	mounts, err := mountsOf(k)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if !m.unified {
			continue
		}
		own, _, err := ownGroup(k, m)
		if err != nil {
			return err
		}
		if _, err := k.read(filepath.Join(own, moved, "cgroup.procs")); err != nil {
			continue
		}
		names, err := k.list(own)
		if err != nil {
			return err
		}
		// From below: a group gives up none that those below it give on.
		var errs []error
		for _, name := range names {
			errs = append(errs, disable(k, filepath.Join(own, name)))
		}
		if err := errors.Join(append(errs, disable(k, own))...); err != nil {
			return err
		}
	}
	return nil
}

// disable takes from the groups below one what it gives them.
func disable(k kernel, dir string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	given, err := k.read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone meanwhile
	}
	if err != nil {
		return err
	}
	for c := range strings.FieldsSeq(string(given)) {
		if err := k.write(file, "-"+c); err != nil {
			return err
		}
	}
	return nil
}
