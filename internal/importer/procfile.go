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
		if !b.goProgram(u, n) {
			u.set("run", n.text, n)
		}
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

var goModule = regexp.MustCompile(`(?m)^module\s+"?([^"\s]+)`)

// goProgram reads a line that starts the program of a Go module, which Heroku puts onto
// the PATH by the name that go install gives it: it is what is built, here.
func (b *builder) goProgram(u *unit, n *node) bool {
	mod, err := readFile(b.tree, path.Join(path.Dir(b.file), "go.mod"))
	if err != nil {
		return false
	}
	m := goModule.FindSubmatch(mod)
	words, plain := split(n.text)
	if m == nil || !plain {
		return false
	}
	name := strings.TrimPrefix(strings.TrimPrefix(words[0], "./"), "bin/")
	module := majorVersion.ReplaceAllString(string(m[1]), "")
	dir := "."
	if name != path.Base(module) {
		dir = path.Join("cmd", name)
	}
	if !b.exists(path.Join(path.Dir(b.file), dir)) || len(words) > 1 && b.exists(path.Join(path.Dir(b.file), dir, "Dockerfile")) {
		return false
	}
	u.set("build", dir, n)
	if len(words) > 1 {
		u.set("run", shellLine(append([]string{"./" + u.name}, words[1:]...)), n)
	}
	b.notes = append(b.notes, Note{
		n.where(), n.path, Changed, words[0] + " is taken for what go builds of " + dirName(dir),
		"run: COMMAND, if it is another program; in what go builds it is ./" + u.name,
	})
	return true
}

var majorVersion = regexp.MustCompile(`/v[2-9][0-9]*$`)

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

// dirName is a folder of the repository in a sentence.
func dirName(dir string) string {
	if dir == "." {
		return "the root"
	}
	return dir
}
