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
		c.file(u, name)
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
			c.note(f, Lost, "it names no secret", "")
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

// file gives a service the variables of a file. Those of .env and its like are one
// machine's, and not for everybody to read: of these the names are taken alone. Any
// other file stands in the repository with the compose file, and its values are taken
// unless they look like secrets.
func (c *composition) file(u *unit, name string) {
	names := c.dotenv(name)
	private := strings.HasPrefix(path.Base(name), ".env")
	values := map[string]string{}
	if !private {
		values = c.values(name)
	}
	for _, k := range sortedByLine(names) {
		value, given := values[k]
		n := &node{file: name, line: names[k].Line, path: k, text: value, bare: !given}
		switch {
		case k == "PORT":
			c.note(n, Needless, "Titrate gives each instance its PORT", "")
		case given:
			c.variable(u, k, n)
		default:
			c.secret(u, k, n)
		}
	}
}

// values are those of a file of variables that stand in it, without the quotes and
// comments that compose takes away too.
func (b *builder) values(name string) map[string]string {
	values := map[string]string{}
	src, err := readFile(b.tree, name)
	if err != nil {
		return values
	}
	for line := range strings.Lines(string(src)) {
		m := envLine.FindStringSubmatch(line)
		_, value, ok := strings.Cut(line, "=")
		if m == nil || m[2] != "=" || !ok {
			continue
		}
		value = strings.TrimSpace(value)
		quoted := byte(0)
		if q := value; len(q) > 1 && (q[0] == '"' || q[0] == '\'') {
			end := strings.IndexByte(q[1:], q[0])
			if end < 0 { // it goes on in the next line
				continue
			}
			quoted, value = q[0], q[1:end+1]
		} else if i := strings.Index(value, " #"); i >= 0 {
			value = strings.TrimSpace(value[:i])
		}
		if v := (vars{given: values}); quoted != '\'' {
			value = v.expand(value)
			hidden := func(name string) bool { return isSecret(name, values[name]) }
			if len(v.missing) > 0 || slices.ContainsFunc(v.taken, hidden) { // it stands elsewhere, or holds a secret
				continue
			}
		}
		values[m[1]] = value
	}
	return values
}

func sortedByLine(names map[string]Place) []string {
	var all []string
	for k := range names {
		all = append(all, k)
	}
	slices.SortFunc(all, func(x, y string) int { return names[x].Line - names[y].Line })
	return all
}
