package importer

import (
	"bufio"
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"
)

var envLine = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*(=|$)`)

// dotenv returns the names that a file of variables sets, and where. Values are not
// kept.
func (b *builder) dotenv(name string) map[string]Place {
	names := map[string]Place{}
	if !b.exists(name) {
		return names
	}
	src, err := readFile(b.tree, name)
	if err != nil {
		return names
	}
	for in, line := bufio.NewScanner(bytes.NewReader(src)), 1; in.Scan(); line++ {
		if m := envLine.FindStringSubmatch(in.Text()); m != nil {
			names[m[1]] = Place{name, line}
		}
	}
	return names
}

// variables sorts what a service's process is given into values that may be read by
// everybody, secrets, and addresses of others.
func (c *composition) variables(u *unit, s *node) {
	for _, f := range s.get("env_file").each() {
		file := f
		if f.kind == table {
			file = f.all().find("path")
		}
		name, ok := repoPath(path.Dir(f.file), c.text(file))
		if !ok || !c.exists(name) {
			c.note(f, Lost, "the file of variables is not in the repository: its names are not known", "name them: secrets: [NAME]")
			continue
		}
		names := c.dotenv(name)
		for _, k := range sortedByLine(names) {
			if k != "PORT" {
				c.secret(u, k, &node{file: name, line: names[k].Line, path: k})
			}
		}
	}
	for _, f := range takeTable(s, "environment").pairs() {
		c.variable(u, f.name, f.value)
	}
	for _, f := range s.get("secrets").each() {
		name := f.str()
		if f.kind == table {
			name = f.all().find("source").str()
		}
		if name == "" {
			continue
		}
		variable := strings.ToUpper(strings.ReplaceAll(nameOf(name), "-", "_"))
		c.secret(u, variable, f)
		for _, r := range c.roots {
			at := c.text(r.find("secrets").find(name).find("file"))
			if file, ok := repoPath(path.Dir(r.file), at); at != "" && ok && c.exists(file) {
				c.secret(u, variable, &node{file: file, line: 1})
			}
		}
		c.notes = append(c.notes, Note{f.where(), f.path, Changed, "the secret was a file, /run/secrets/" + name, "it is the variable " + variable + " here: the program reads it there"})
	}
}

func sortedByLine(names map[string]Place) []string {
	var all []string
	for k := range names {
		all = append(all, k)
	}
	slices.SortFunc(all, func(x, y string) int { return names[x].Line - names[y].Line })
	return all
}
