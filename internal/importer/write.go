package importer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"titrate/internal/manifest"

	"go.yaml.in/yaml/v4"
)

// maxRepairs bounds how much may be given up.
const maxRepairs = 1000

// valid writes the manifest, and gives up of it what the manifest's own parser
// refuses: with the parser's words, that is a note.
func (b *builder) valid() (string, error) {
	for range maxRepairs {
		if len(b.services)+len(b.functions) == 0 {
			return "", b.nothing()
		}
		b.pulls()
		text, err := b.write()
		if err != nil {
			return "", err
		}
		_, problems := manifest.Parse([]byte(text), manifest.File)
		errs := problems.Errors()
		if len(errs) == 0 {
			return text, nil
		}
		if !slices.ContainsFunc(errs, b.giveUp) {
			return "", &Error{codeInvalid, b.file, "what came out is no manifest:\n" + errs.String(), "write titrate.yaml by hand, with titrate init as a start"}
		}
	}
	return "", &Error{codeInvalid, b.file, "what came out is no manifest", "write titrate.yaml by hand, with titrate init as a start"}
}

// pulls leaves out registries that no image is left of.
func (b *builder) pulls() {
	b.registries = slices.DeleteFunc(b.registries, func(r said) bool {
		from := func(u *unit) bool {
			image, _ := u.value("image").(string)
			return strings.HasPrefix(image, r.key+"/")
		}
		if slices.ContainsFunc(b.accessories, from) || slices.ContainsFunc(b.services, from) {
			return false
		}
		b.note(r.from, Needless, "no image of it is left", "")
		return true
	})
}

var pathPart = regexp.MustCompile(`[^.\[\]]+`)

// giveUp takes out what a problem is about, and notes it. It reports whether there
// was such a thing.
func (b *builder) giveUp(p manifest.Problem) bool {
	parts := pathPart.FindAllString(p.Path, -1)
	if len(parts) == 0 {
		return false
	}
	units := map[string]*[]*unit{"services": &b.services, "functions": &b.functions, "queues": &b.queues, "accessories": &b.accessories, "environments": &b.settings}[parts[0]]
	switch {
	case parts[0] == "registries" && len(b.registries) > 0:
		b.drop(b.registries[0].from, p)
		b.registries = nil
		return true
	case parts[0] == "defaults" && b.defaults != nil && len(parts) > 1 && b.defaults.has(parts[1]):
		b.giveUpOf(b.defaults, b.defaults.index(parts[1]), parts[2:], p)
		if len(b.defaults.keys) == 0 {
			b.defaults = nil
		}
		return true
	case units == nil:
		return false
	case len(parts) == 1 && parts[0] != "services" && parts[0] != "functions" && len(*units) > 0:
		for _, a := range *units {
			b.drop(a.from, p)
		}
		*units = nil
		return true
	case len(parts) == 1:
		return false
	}
	i := slices.IndexFunc(*units, func(u *unit) bool { return u.name == parts[1] })
	if i < 0 {
		return false
	}
	u := (*units)[i]
	if len(parts) == 2 || parts[2] == "image" && !u.has("build") && !u.has("use") && parts[0] != "environments" {
		b.drop(u.from, p)
		*units = slices.Delete(*units, i, i+1)
		return true
	}
	at := u.index(parts[2])
	if at < 0 {
		return false
	}
	b.giveUpOf(u, at, parts[3:], p)
	if parts[2] == "build" && !u.has("build") && !u.has("image") { // it would be built from the root otherwise
		*units = slices.Delete(*units, i, i+1)
	}
	return true
}

// giveUpOf takes out a key, or the entry of it that the problem names.
func (b *builder) giveUpOf(u *unit, at int, rest []string, p manifest.Problem) {
	k := &u.keys[at]
	entries, _ := k.value.([]said)
	words, _ := k.value.([]string)
	if len(rest) > 0 && len(entries) > 1 {
		if j := slices.IndexFunc(entries, func(s said) bool { return s.key == rest[0] || s.key == strings.Join(rest, ".") }); j >= 0 {
			b.drop(entries[j].from, p)
			k.value = slices.Delete(slices.Clone(entries), j, j+1)
			if k.key == "build" && len(entries) == 2 && k.value.([]said)[0].key == "dir" {
				k.value = k.value.([]said)[0].value
			}
			return
		}
	}
	if len(rest) > 0 && len(words) > 1 && k.key == "secrets" {
		if j, err := strconv.Atoi(rest[0]); err == nil && j < len(words) {
			b.notes = append(b.notes, Note{k.from.where(), words[j], Lost, p.Message, p.Hint})
			k.value = slices.Delete(slices.Clone(words), j, j+1)
			return
		}
	}
	b.drop(k.from, p)
	u.keys = slices.Delete(u.keys, at, at+1)
}

// drop notes what the manifest's parser said of what a line became.
func (b *builder) drop(from *node, p manifest.Problem) {
	n := Note{Key: p.Path, Kind: Lost, Why: p.Message, Instead: p.Hint}
	if from != nil {
		n.Place, n.Key = from.where(), from.path
	}
	b.notes = append(b.notes, n)
}

// order is how the keys of services and accessories stand in the file.
var order = []string{
	"use", "version", "image", "build", "handler", "runtime", "layers", "memory", "timeout", "http", "cron", "queue", "topic", "visibility", "retention", "delay", "maxReceive", "deadLetter", "run", "worker", "port", "health", "host", "route", "scale", "limits", "readOnly", "volumes", "env", "secrets", "alarms",
	"url", "secret", "hooks", "rollout", "startTimeout", "drain", "deploy", "services",
}

func (b *builder) write() (string, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	put(root, "titrate", encode(manifest.Format), "")
	put(root, "app", encode(b.app), "")
	if b.defaults != nil {
		put(root, "defaults", b.keys(b.defaults), "")
	}
	for _, part := range []struct {
		key   string
		units []*unit
	}{{"services", b.services}, {"functions", b.functions}, {"queues", b.queues}, {"accessories", b.accessories}, {"environments", b.settings}} {
		all := &yaml.Node{Kind: yaml.MappingNode}
		for _, u := range part.units {
			one := b.keys(u)
			if part.key == "functions" || part.key == "queues" { // a line for each
				one.Style = yaml.FlowStyle
			}
			comment := u.from.where().String()
			if len(one.Content) == 0 { // an empty table stands beside its name
				one.Style, comment = yaml.FlowStyle, ""
			}
			put(all, u.name, one, comment)
		}
		if len(part.units) > 0 {
			put(root, part.key, all, "")
		}
	}
	if len(b.registries) > 0 {
		put(root, "registries", encode(b.registries), b.registries[0].from.where().String())
	}
	var out strings.Builder
	fmt.Fprintf(&out, "# Made by titrate import from %q, which lists what was not carried over.\n", b.file)
	enc, err := yaml.NewDumper(&out, yaml.WithIndent(2), yaml.WithLineWidth(-1)) // one line stays one
	if err == nil {
		err = errors.Join(enc.Dump(root), enc.Close())
	}
	if err != nil {
		return "", fmt.Errorf("write the manifest: %w", err)
	}
	return sections.ReplaceAllString(out.String(), "\n$0"), nil
}

// keys are those of a unit, in their order.
func (b *builder) keys(u *unit) *yaml.Node {
	one := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range order {
		if i := u.index(key); i >= 0 {
			put(one, key, encode(u.keys[i].value), "")
		}
	}
	return one
}

var sections = regexp.MustCompile(`(?m)^(defaults|services|functions|queues|accessories|environments|registries):`)

func put(m *yaml.Node, key string, value *yaml.Node, comment string) {
	k := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}
	if comment != "" {
		k.LineComment = "# " + strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return '·'
			}
			return r
		}, comment)
	}
	m.Content = append(m.Content, k, value)
}

// encode makes a node of a value of [said].
func encode(v any) *yaml.Node {
	switch v := v.(type) {
	case []said:
		m := &yaml.Node{Kind: yaml.MappingNode}
		for _, s := range v {
			put(m, s.key, encode(s.value), "")
		}
		if width(v) < 100 {
			m.Style = yaml.FlowStyle
		}
		return m
	case []string:
		l := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, s := range v {
			l.Content = append(l.Content, encode(s))
		}
		return l
	case string:
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
		if !simple.MatchString(v) {
			n.Style = yaml.DoubleQuotedStyle
		}
		return n
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v)}
}

// width is about how many columns a value takes on one line.
func width(v any) int {
	entries, ok := v.([]said)
	if !ok {
		return len(fmt.Sprint(v))
	}
	n := 0
	for _, s := range entries {
		n += len(s.key) + width(s.value) + 4
	}
	return n
}

// simple is text that means the same without quotes, wherever it stands.
var simple = regexp.MustCompile(`^(/|\.|[A-Za-z/.][A-Za-z0-9_./:@-]*[A-Za-z0-9_/]|[0-9]+(\.[0-9]+)?([smhd]|[KMG]B))$`)
