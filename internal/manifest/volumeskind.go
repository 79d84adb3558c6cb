package manifest

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"titrate/internal/rollout"

	"go.yaml.in/yaml/v4"
)

const (
	maxVolumes    = 20
	maxVolumePath = 200
	atOnce        = "AllAtOnce"
)

// volumesKind maps names of volumes to where an image sees them.
func volumesKind() kind {
	accepts := "names with paths: { data: /var/lib/app }, or { data: { path: /var/lib/app, shared: true } }"
	pathSchema := map[string]any{"type": "string", "pattern": "^/.", "maxLength": maxVolumePath}
	return kind{
		accepts: accepts, null: true,
		schema: map[string]any{
			"type": []string{"object", "null"}, "maxProperties": maxVolumes,
			"propertyNames":        map[string]any{"pattern": namePattern.String(), "maxLength": maxName},
			"additionalProperties": map[string]any{"anyOf": []any{pathSchema, map[string]any{"$ref": "#/definitions/volume"}}},
		},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			out := rollout.Volumes{}
			few := r.atMost(n, at, len(n.Content)/2, maxVolumes)
			for _, p := range r.pairs(n, at, accepts) {
				if hint, ok := checkName(p.name); !ok {
					r.fault(p.key, Problem{Code: codeVolume, Path: p.path, Message: quote(p.name) + " cannot name a volume", Hint: hint})
					continue
				}
				if v, ok := r.volume(p); ok && r.apart(out, v, p) {
					out[p.name] = v
				}
			}
			return out, few
		},
	}
}

// volume reads a path, or {path, shared}.
func (r *reader) volume(p pair) (rollout.Volume, bool) {
	if p.value.Kind != yaml.MappingNode {
		at, ok := volumePath().read(r, p.value, p.path)
		if !ok {
			return rollout.Volume{}, false
		}
		return rollout.Volume{Path: at.(string)}, true
	}
	before := len(r.problems)
	l := r.table(p.value, p.path, inVolume)
	if _, ok := l["path"]; !ok && len(r.problems) == before {
		r.fault(p.key, Problem{Code: codeVolume, Path: p.path, Message: p.path + " has no path", Hint: "{ path: /var/lib/app, shared: true }"})
	}
	return rollout.Volume{Path: pick("", "path", l), Shared: pick(false, "shared", l)}, len(r.problems) == before
}

// apart reports a volume that lies in another's folder, or has it.
func (r *reader) apart(others rollout.Volumes, v rollout.Volume, p pair) bool {
	for _, name := range slices.Sorted(maps.Keys(others)) {
		if o := others[name].Path; o == v.Path || strings.HasPrefix(o, v.Path+"/") || strings.HasPrefix(v.Path, o+"/") {
			r.fault(p.value, Problem{Code: codeVolume, Path: p.path, Message: fmt.Sprintf("%s and %s lie in each other's folder", name, p.name), Hint: "give each a folder of its own"})
			return false
		}
	}
	return true
}

// volumePath is a folder of an image.
func volumePath() kind {
	return text(codeVolume, "an absolute path such as /var/lib/app", map[string]any{"pattern": "^/.", "maxLength": maxVolumePath}, checkVolumePath)
}

func checkVolumePath(s string) error {
	switch {
	case !strings.HasPrefix(s, "/"):
		return errors.New("an absolute path, as the service sees it: /var/lib/app")
	case s != path.Clean(s):
		return fmt.Errorf("write %s", short(path.Clean(s)))
	case s == "/":
		return errors.New("a folder below /: /data")
	case len(s) > maxVolumePath:
		return fmt.Errorf("longer than %d characters", maxVolumePath)
	case strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f || c == ':' || c == ',' || c == '\\' }):
		return errors.New("a path has no colon, comma or backslash")
	}
	for _, system := range []string{"/proc", "/sys", "/dev", "/tmp"} {
		if s == system || strings.HasPrefix(s, system+"/") {
			return errors.New(system + " is the system's")
		}
	}
	return nil
}

// volumes are those of the service, with what follows from them: to one that is not
// shared one version at a time may write (R31), so its versions change places.
func (c candidate) volumes(s *Service) {
	s.Volumes = pick(rollout.Volumes(nil), "volumes", c.layers...)
	if len(s.Volumes) == 0 {
		s.Volumes = nil
	}
	if !s.Volumes.Exclusive() {
		return
	}
	if s.Scale > 1 {
		e := c.last("scale")
		c.f.r.fault(e.key, Problem{
			Code: codeExclusive, Path: e.path, Message: fmt.Sprintf("%s has a volume that is not shared, and %d instances", s.Name, s.Scale),
			Hint: fmt.Sprintf("scale: 1 for %s, or shared: true for the volume if several may write to it at the same time", s.Name),
		})
	}
	all, err := ParseStrategy(atOnce)
	if err != nil {
		panic(err) // this program's own constant
	}
	// What defaults and environments say of strategies is meant for the others.
	for _, l := range c.own() {
		if e, ok := l["rollout"]; ok && (pick(all, "rollout", l).BlueGreen != nil || !slices.Equal(pick(all, "rollout", l).Steps, all.Steps)) {
			c.f.r.fault(e.key, Problem{
				Code: codeExclusive, Path: e.path, Message: s.Name + " has a volume that is not shared: its versions change places, and never share traffic",
				Hint: "remove rollout, or shared: true for the volume if two versions may write to it at the same time",
			})
		}
	}
	s.Strategy, s.Steps, s.BlueGreen, s.Gradual = all.Text, all.Steps, nil, false
}

// last is what the most specific layer says under a key.
func (c candidate) last(key string) entry {
	for _, l := range slices.Backward(c.layers) {
		if e, ok := l[key]; ok {
			return e
		}
	}
	return entry{}
}

// volumesBlock writes every volume in its long form.
func (s Service) volumesBlock() string {
	if len(s.Volumes) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("volumes:\n")
	for _, name := range slices.Sorted(maps.Keys(s.Volumes)) {
		v := s.Volumes[name]
		fmt.Fprintf(&b, "  %s: %s\n", name, flow(field{"path", scalar(v.Path)}, field{"shared", fmt.Sprint(v.Shared)}))
	}
	return b.String()
}

// volumeKeys are the keys of a volume in its long form.
func volumeKeys() []Key {
	return []Key{
		{Name: "path", Places: inVolume, kind: volumePath(), Example: "path: /var/lib/app", Doc: "Where an image sees the volume. A process of this machine finds it in $TITRATE_VOLUME_NAME instead (upper case, - as _)."},
		{
			Name: "shared", Places: inVolume, kind: boolean(), Default: "`false`", Example: "shared: true",
			Doc: "Several instances, and two versions side by side, may write to the volume at the same time. Without it the versions of the service change places: the old one ends before the new one starts (R31).",
		},
	}
}
