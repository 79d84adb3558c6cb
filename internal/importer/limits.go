package importer

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// mounts reads volumes: those with a name are kept, folders of the machine are not.
func (c *composition) mounts(u *unit, s *node) {
	var files []copied
	for _, v := range s.get("volumes").each() {
		if v == u.built {
			v.all()
			continue
		}
		var source, target string
		var readOnly bool
		kind := "volume"
		if v.kind == table {
			v.all()
			source, target, readOnly = c.shape(v.find("source")), c.shape(v.find("target")), v.find("read_only").yes()
			if t := v.find("type").str(); t != "" {
				kind = t
			}
		} else {
			text := c.shape(v)
			source, target = mount(text)
			if parts := strings.Split(text, ":"); len(parts) > 2 {
				readOnly = slices.Contains(strings.Split(parts[2], ","), "ro")
			}
		}
		if at := c.inRepository(v, source, target); at != "" && u.has("image") {
			files = append(files, copied{at, target, v})
			continue
		}
		before := len(c.notes)
		c.volume(u, v, source, target, kind)
		if readOnly && len(c.notes) == before {
			c.note(v, Changed, "the service can write to it, too", "")
		}
	}
	if len(files) > 0 {
		c.copy(u, files)
	}
}

// volume takes a mount of a service.
func (b *builder) volume(u *unit, v *node, source, target, kind string) {
	switch {
	case strings.Contains(source, "docker.sock"):
		b.note(v, Lost, "no workload sees the engine's socket", "what watches containers is not needed here")
	case kind == "tmpfs" || kind == "npipe" || kind == "cluster":
		b.note(v, Lost, "only volumes with a name are kept", "every instance has a TMPDIR")
	case b.hasCode(u, v, source):
		b.note(v, Needless, "what is built has it already", "")
	case kind == "bind" || source != "" && strings.ContainsAny(source[:1], "./~$"):
		b.note(v, Lost, "a folder of the machine is not mounted: a version holds its files", "COPY them in the Dockerfile; what is written belongs in a volume with a name")
	case source == "" && (u.built != nil || u.has("build") && path.Base(target) == "node_modules"):
		b.note(v, Needless, "the folder is built, and nothing hides what is installed in it", "")
	case source == "":
		b.note(v, Lost, "a volume without a name is lost with its container", "volumes: { NAME: "+target+" } keeps it")
	default:
		b.alone(u, v, nameOf(source))
		u.add("volumes", nameOf(source), target, v)
	}
}

// alone notes that a volume which another service has, too, is not the same one.
func (b *builder) alone(u *unit, v *node, name string) {
	for _, o := range b.services {
		have, _ := o.value("volumes").([]said)
		if o != u && slices.ContainsFunc(have, func(s said) bool { return s.key == name }) {
			b.notes = append(b.notes, Note{
				v.where(), v.path, Lost, fmt.Sprintf("%s has a volume %s, too: each service has one of its own, and they share nothing", o.name, name),
				"let one service do both, or keep what they share in an accessory",
			})
			return
		}
	}
}

// mount splits [SOURCE:]TARGET[:MODE].
func mount(s string) (source, target string) {
	parts := strings.Split(s, ":")
	if len(parts) == 1 {
		return "", parts[0]
	}
	return parts[0], parts[1]
}

// capacity reads how many instances there are, and what each may use.
func (c *composition) capacity(u *unit, s *node) {
	deploy := s.get("deploy")
	resources := deploy.get("resources")
	for _, n := range []*node{s.get("scale"), deploy.get("replicas")} {
		text := c.shape(n)
		switch v, err := strconv.Atoi(text); {
		case text == "":
		case err != nil:
			c.note(n, Lost, fmt.Sprintf("%q is no number of instances", text), "scale: NUMBER")
		case v > 1:
			u.set("scale", v, n)
		case v < 1:
			c.note(n, Lost, "a service has at least one instance", "")
		}
	}
	limits := resources.get("limits")
	for _, l := range []struct {
		from *node
		key  string
	}{
		{s.get("mem_limit"), "memory"},
		{limits.get("memory"), "memory"},
		{s.get("cpus"), "cpu"},
		{limits.get("cpus"), "cpu"},
		{s.get("pids_limit"), "processes"},
		{limits.get("pids"), "processes"},
	} {
		text := c.shape(l.from)
		u.limit(l.key, text, l.from)
		if f, err := strconv.ParseFloat(text, 64); l.key != "memory" && text != "" && (err != nil || f < -1) { // 0 and -1 are none
			c.note(l.from, Lost, fmt.Sprintf("%q cannot be a limit", text), "limits: { "+l.key+": NUMBER }")
		}
	}
}

// limit says what an instance may use of memory, cpu or processes.
func (u *unit) limit(key, text string, from *node) {
	if text == "" {
		return
	}
	if key == "memory" {
		u.add("limits", key, memory(text), from)
	} else if f, err := strconv.ParseFloat(text, 64); err == nil && f > 0 {
		u.add("limits", key, number(f), from)
	}
}

func number(f float64) any {
	if f == float64(int(f)) {
		return int(f)
	}
	return f
}

var bytesForm = regexp.MustCompile(`(?i)^(\d+(?:\.\d+)?)\s*([bkmg]?)i?b?$`)

// memory writes an amount as Titrate does: 512MB.
func memory(s string) string {
	m := bytesForm.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return s
	}
	switch unit := strings.ToUpper(m[2]); unit {
	case "", "B":
		if n, err := strconv.ParseInt(m[1], 10, 64); err == nil && n >= 1<<20 {
			return fmt.Sprintf("%dMB", n>>20)
		}
		return s // no limit of any program: the manifest's parser asks whether another unit was meant
	case "G":
		if f, err := strconv.ParseFloat(m[1], 64); err == nil && f != float64(int(f)) {
			return fmt.Sprintf("%dMB", int(f*1024))
		}
		return m[1] + "GB"
	default:
		return m[1] + unit + "B"
	}
}
