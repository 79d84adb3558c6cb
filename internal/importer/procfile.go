package importer

import (
	"path"
	"regexp"
	"strings"
)

var procLine = regexp.MustCompile(`^([A-Za-z0-9_-]+):\s*(.+)$`)

// procfile reads a Procfile: https://devcenter.heroku.com/articles/procfile.
func (b *builder) procfile(src []byte) {
	var release *node
	line := 0
	for text := range strings.Lines(string(src)) {
		line++
		text = strings.TrimSpace(text)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		n := &node{file: b.file, line: line, path: text}
		m := procLine.FindStringSubmatch(text)
		if m == nil {
			n.path = "line"
			b.note(n, Lost, "this line is not NAME: COMMAND", "")
			continue
		}
		n.path, n.text = m[1], m[2]
		if m[1] == "release" {
			release = n
			continue
		}
		u := b.service(m[1], n)
		u.set("build", ".", n)
		u.set("run", m[2], n)
		if m[1] == "web" {
			u.set("host", ownHost, n)
		} else {
			u.set("worker", true, n)
		}
	}
	b.examples()
	if release == nil {
		return
	}
	for _, u := range b.services {
		if u.name == "web" || len(b.services) == 1 {
			u.set("hooks", []said{{"release", release.text, release}}, release)
			return
		}
	}
	b.note(release, Lost, "there is no web process that it would be the release hook of", "hooks: { release: COMMAND } of a service")
}

// examples gives every service the variables that an example of an .env names: a
// Procfile has none. Values are not read.
func (b *builder) examples() {
	for _, file := range []string{".env.example", ".env.sample", ".env.template"} {
		names := b.dotenv(path.Join(path.Dir(b.file), file))
		for _, name := range sortedByLine(names) {
			for _, u := range b.services {
				if at := names[name]; name != "PORT" {
					b.secret(u, name, &node{file: at.File, line: at.Line, path: name})
				}
			}
		}
	}
}
