package cgroup

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// mount is where a hierarchy is mounted.
type mount struct {
	point   string
	root    string // what of the hierarchy is mounted there: "/", or a container's part
	unified bool
	options []string // of version 1: its controllers among them
}

// mountsOf lists the hierarchies that this process sees, those of version 1
// before that of version 2. See proc_pid_mountinfo(5).
func mountsOf(k kernel) ([]mount, error) {
	b, err := k.read("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read what is mounted: %w", err)
	}
	var old, unified []mount
	for line := range strings.Lines(string(b)) {
		where, what, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(where), strings.Fields(what)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		m := mount{point: unescape.Replace(left[4]), root: unescape.Replace(left[3])}
		switch right[0] {
		case "cgroup":
			m.options = strings.Split(right[2], ",")
			old = append(old, m)
		case "cgroup2":
			m.unified = true
			unified = append(unified, m)
		}
	}
	return append(old, unified...), nil
}

// unescape undoes what the kernel does to names with blanks.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// places are the folders that hold the hierarchies: one for all of them where they
// are mounted side by side in /sys/fs/cgroup.
func places(mounts []mount) []string {
	var out []string
	for _, m := range mounts {
		dir := m.point
		if parent := filepath.Dir(dir); filepath.Base(parent) == "cgroup" {
			dir = parent
		}
		if !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return out
}
