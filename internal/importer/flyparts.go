package importer

import (
	"regexp"
	"strconv"
	"strings"
)

// mounts reads [[mounts]], or the one of [mounts].
func (f *fly) mounts() {
	for _, key := range []string{"mounts", "mount"} {
		for _, m := range f.root.get(key).each() {
			source, target := m.get("source").str(), m.get("destination").str()
			for _, u := range f.meant(m, false) {
				f.volume(u, m, source, target, "volume")
			}
		}
	}
}

// sizeForm is a size of Fly's machines: shared-cpu-2x, performance-4x.
var sizeForm = regexp.MustCompile(`^(shared-cpu|performance)-(\d{1,2})x$`)

// machines reads [[vm]]: what an instance may use.
func (f *fly) machines() {
	for _, vm := range append(f.root.get("compute").each(), f.root.get("vm").each()...) {
		for _, u := range f.meant(vm, true) {
			if size := vm.get("size"); size.str() != "" {
				m := sizeForm.FindStringSubmatch(size.str())
				if m == nil {
					f.note(size, Lost, "it is not known how large this machine is", "limits: { memory: 512MB, cpu: 1 }")
				} else {
					n, _ := strconv.Atoi(m[2])
					each := map[string]int{"shared-cpu": 256, "performance": 2048}[m[1]]
					u.limit("memory", strconv.Itoa(n*each)+"M", size)
					u.limit("cpu", m[2], size)
				}
			}
			if n := vm.get("cpus"); n != nil {
				u.limit("cpu", n.str(), n)
			}
			if n := vm.get("memory_mb"); n != nil {
				u.limit("memory", n.str()+"M", n)
			}
			if n := vm.get("memory"); n != nil {
				text := n.str()
				if _, err := strconv.Atoi(text); err == nil {
					text += "M" // Fly reads a plain number as megabytes
				}
				u.limit("memory", text, n)
			}
		}
	}
}

// deploys reads [deploy], and how long an instance has to end.
func (f *fly) deploys() {
	deploy := f.root.get("deploy")
	if n := deploy.get("release_command"); n.str() != "" {
		f.primary.set("hooks", []said{{"release", n.str(), n}}, n)
	}
	switch n := deploy.get("strategy"); n.str() {
	case "immediate":
		for _, u := range f.services {
			u.set("rollout", "AllAtOnce", n)
		}
	case "bluegreen":
		for _, u := range f.services {
			u.set("rollout", []said{{"blueGreen", []said{}, n}}, n)
		}
	case "":
	default:
		f.note(n, Needless, "traffic moves to a new version bit by bit: rollout says how", "")
	}
	wait, kill := deploy.get("wait_timeout"), f.root.get("kill_timeout")
	for _, u := range f.services {
		if d := flyDuration(wait); d != "" {
			u.set("startTimeout", d, wait)
		}
		if d := flyDuration(kill); d != "" {
			u.set("drain", d, kill)
		}
	}
}

// flyDuration is a duration, or a number of seconds.
func flyDuration(n *node) string {
	s := strings.TrimSpace(n.str())
	if _, err := strconv.Atoi(s); err == nil {
		return s + "s"
	}
	return s
}
