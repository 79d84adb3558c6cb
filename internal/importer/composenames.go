package importer

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// byNameAlone finds the hosts whose address no variable has, where services are
// containers: their programs know them by name, and know no password.
func (c *composition) byNameAlone() {
	var addresses []string
	contained := false
	for _, f := range c.read {
		values := c.valuesOf(f.value)
		addresses = append(addresses, slices.DeleteFunc(slices.Clone(values), func(text string) bool { return !strings.Contains(text, "://") })...)
		if _, stock := stockOf(c.expand(f.value.under("image"))); !stock {
			c.texts = append(c.texts, values...)
		}
		contained = contained || f.value.under("profiles") == nil && c.isContainer(f.value)
	}
	for _, f := range c.read {
		if !contained || slices.ContainsFunc(addresses, host(f.name).MatchString) {
			continue
		}
		c.unaddressed = append(c.unaddressed, f.name)
		alone := regexp.MustCompile("^" + regexp.QuoteMeta(f.name) + `(:\d+)?$`)
		same := func(text string) bool { return text != "" && slices.Contains(c.texts, text) }
		if slices.ContainsFunc(c.texts, alone.MatchString) && slices.ContainsFunc(c.valuesOf(f.value), same) {
			c.inParts = append(c.inParts, f.name)
		}
	}
}

// isContainer reports whether a service of a compose file is an image of its own, or is
// made one by a Dockerfile.
func (c *composition) isContainer(s *node) bool {
	build := s.under("build")
	if build == nil {
		image := c.expand(s.under("image"))
		_, stock := stockOf(image)
		_, mounted := c.mountedCode(s, image)
		return image != "" && !stock && proxies[imageBase(image)] == "" && mounted == nil
	}
	context, file := build, "Dockerfile"
	if build.kind == table {
		context = build.under("context")
		if f := build.under("dockerfile"); f != nil {
			file = c.expand(f)
		}
	}
	dir, ok := repoPath(path.Dir(build.file), c.expand(context))
	return ok && c.exists(path.Join(dir, file))
}

// expand is the text of a scalar, with what stands beside the file, and without a note.
func (c *composition) expand(n *node) string {
	if n == nil {
		return ""
	}
	return (&vars{given: c.given}).expand(n.text)
}

// valuesOf are the values of a service's variables, wherever they stand.
func (c *composition) valuesOf(s *node) []string {
	var all []string
	env := s.under("environment")
	for _, n := range env.children() {
		text := n.text
		if env.kind == list {
			_, text, _ = strings.Cut(text, "=")
		}
		all = append(all, text)
	}
	for _, f := range s.under("env_file").children() {
		if p := f.under("path"); p != nil {
			f = p
		}
		if name, ok := repoPath(path.Dir(f.file), f.text); ok && c.exists(name) {
			for _, value := range c.values(name) {
				all = append(all, value)
			}
		}
	}
	return all
}

// children are what stands in a value, for those who only look: the value itself where
// it is a single one.
func (n *node) children() []*node {
	switch {
	case n == nil:
		return nil
	case n.kind == scalar:
		return []*node{n}
	}
	all := slices.Clone(n.items)
	for _, f := range n.fields {
		all = append(all, f.value)
	}
	return all
}
