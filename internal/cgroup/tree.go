// Package cgroup bounds what families of processes use: it finds where this
// program may make control groups of Linux (version 2, version 1, or a mixture),
// makes one for each family, and tells what the kernel did because of its limits.
//
// It is for one program that has a folder of groups to itself: Make, Sweep and
// Remove touch no group but those.
package cgroup

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Limits is what all processes of a group may use together; zero: no limit.
type Limits struct {
	Memory    int64 // bytes; swap is none
	CPU       int   // thousandths of a core
	Processes int   // threads count too
}

// The controllers that keep the limits.
const (
	memory = "memory"
	cpu    = "cpu"
	pids   = "pids"
)

// nowhere is why nothing is kept, until there is a better reason.
const nowhere = "the machine mounts no control groups"

var controllers = []string{memory, cpu, pids}

// Tree is where groups are made: a folder of one name in each hierarchy that
// keeps some of the limits. A tree that keeps none is of no use and does no harm.
type Tree struct {
	k           kernel
	hierarchies []hierarchy
	mounts      []string
	missing     map[string]string // by controller: why it does not keep its limit

	mu sync.Mutex // one that makes or removes folders at a time: the last group takes ours along
}

// hierarchy is one of the machine's trees of groups.
type hierarchy struct {
	unified     bool   // version 2
	base        string // our folder
	controllers []string
}

// Unit is what the service manager does for this program.
type Unit struct {
	Undivides bool // it has Undivide run whenever this program has ended
}

// Find looks where this program may make groups below a folder called name. What
// it must do for that, it does: in version 2 a group with groups below it has no
// processes, so those of this program's own group, which it must have been given
// (see cgroups(7) on delegation), move to a leaf of it, unless they began there.
func Find(name string, unit Unit) *Tree { return find(machine{}, name, unit) }

// None is a tree that keeps no limit, for that reason.
func None(why string) *Tree {
	t := &Tree{k: machine{}, missing: map[string]string{}}
	for _, c := range controllers {
		t.missing[c] = why
	}
	return t
}

func find(k kernel, name string, unit Unit) *Tree {
	mounts, err := mountsOf(k)
	if err != nil {
		return None(err.Error())
	}
	t := None(nowhere)
	t.k, t.mounts = k, places(mounts)
	for _, m := range mounts {
		if m.unified {
			t.addUnified(m, name, unit)
			continue
		}
		h := hierarchy{base: filepath.Join(m.point, name)}
		for _, c := range controllers {
			if slices.Contains(m.options, c) && t.missing[c] != "" {
				h.controllers = append(h.controllers, c)
			}
		}
		if len(h.controllers) > 0 {
			t.add(h, t.mkdir(h.base))
		}
	}
	return t
}

// add takes a hierarchy that was prepared without an error.
func (t *Tree) add(h hierarchy, err error) {
	if err == nil {
		t.hierarchies = append(t.hierarchies, h)
		_ = t.k.rmdir(h.base) // made again with the first group
	}
	for _, c := range h.controllers {
		if err != nil {
			t.missing[c] = err.Error()
		} else {
			delete(t.missing, c)
		}
	}
}

// Memory reports whether limits of memory are kept.
func (t *Tree) Memory() bool { return t.missing[memory] == "" }

// CPU reports whether limits of the processor are kept.
func (t *Tree) CPU() bool { return t.missing[cpu] == "" }

// Processes reports whether limits of processes are kept.
func (t *Tree) Processes() bool { return t.missing[pids] == "" }

// Why says why a limit is not kept; empty when all are.
func (t *Tree) Why() string {
	return cmp.Or(t.missing[memory], t.missing[cpu], t.missing[pids])
}

// Mounts are the folders in which groups are files: who can write there can
// change any limit, its own too.
func (t *Tree) Mounts() []string { return t.mounts }

// Make makes a group, in place of one of that name, whose processes and counts are
// of the past. Limits that the tree does not keep are left out; a group that
// bounds nothing is nil.
func (t *Tree) Make(name string, l Limits) (Group, error) {
	if name == "" || strings.ContainsAny(name, "/\x00") || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("a control group cannot be called %q", name)
	}
	var g Group
	for _, h := range t.hierarchies {
		if err := t.Remove(Group{filepath.Join(h.base, name)}); err != nil {
			return nil, fmt.Errorf("remove the control group of before: %w", err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.hierarchies {
		if !h.bounds(l) {
			continue
		}
		dir := filepath.Join(h.base, name)
		err := errors.Join(t.ready(h), t.mkdir(dir))
		if err == nil {
			err = h.limit(t.k, dir, l)
		}
		g = append(g, dir)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make a control group: %w", err), t.drop(g))
		}
	}
	return g, nil
}

// Restore gives a group that was made before its limits once more: a group that was
// divided anew has forgotten those of the groups below it. What their processes held in
// memory then stays counted above them.
func (t *Tree) Restore(g Group, l Limits) error {
	var errs []error
	for _, h := range t.hierarchies {
		for _, dir := range g {
			if filepath.Dir(dir) == h.base && h.bounds(l) {
				errs = append(errs, h.limit(t.k, dir, l))
			}
		}
	}
	return errors.Join(errs...)
}

// bounds reports whether a hierarchy keeps any of the limits.
func (h hierarchy) bounds(l Limits) bool {
	has := func(c string) bool { return slices.Contains(h.controllers, c) }
	return l.Memory > 0 && has(memory) || l.CPU > 0 && has(cpu) || l.Processes > 0 && has(pids)
}

// ready makes our folder in a hierarchy, with its controllers for what is below it.
func (t *Tree) ready(h hierarchy) error {
	if err := t.mkdir(h.base); err != nil {
		return err
	}
	if h.unified {
		return enable(t.k, h.base, h.controllers)
	}
	return nil
}

func (t *Tree) mkdir(dir string) error {
	if err := t.k.mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

const period = 100_000 // µs over which a share of the processor is kept, as everywhere

// limit writes the limits of a group.
func (h hierarchy) limit(k kernel, dir string, l Limits) error {
	has := func(c string) bool { return slices.Contains(h.controllers, c) }
	write := func(file, value string) error { return k.write(filepath.Join(dir, file), value) }
	// A machine without accounts of swap has no file for it.
	maybe := func(file, value string) error {
		if _, err := k.read(filepath.Join(dir, file)); err == nil {
			return write(file, value)
		}
		return nil
	}
	var errs []error
	if bytes := strconv.FormatInt(l.Memory, 10); l.Memory > 0 && has(memory) {
		if h.unified {
			errs = append(errs, write("memory.max", bytes), maybe("memory.swap.max", "0"), maybe("memory.oom.group", "1"))
		} else {
			errs = append(errs, write("memory.limit_in_bytes", bytes), maybe("memory.memsw.limit_in_bytes", bytes))
		}
	}
	if quota := strconv.Itoa(l.CPU * period / 1000); l.CPU > 0 && has(cpu) {
		if h.unified {
			errs = append(errs, write("cpu.max", quota+" "+strconv.Itoa(period)))
		} else {
			errs = append(errs, write("cpu.cfs_period_us", strconv.Itoa(period)), write("cpu.cfs_quota_us", quota))
		}
	}
	if l.Processes > 0 && has(pids) {
		errs = append(errs, write("pids.max", strconv.Itoa(l.Processes)))
	}
	return errors.Join(errs...)
}

// Sweep removes the groups of our folder, with what still runs in them, but for
// those that keep names.
func (t *Tree) Sweep(keep func(name string) bool) error {
	var errs []error
	for _, h := range t.hierarchies {
		names, err := t.k.list(h.base)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, name := range names {
			if !keep(name) {
				errs = append(errs, t.Remove(Group{filepath.Join(h.base, name)}))
			}
		}
	}
	return errors.Join(errs...)
}
