package importer

import (
	"path"
	"regexp"
	"strings"
)

var (
	fromLine = regexp.MustCompile(`(?i)^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?`)
	copyLine = regexp.MustCompile(`(?i)^\s*(?:COPY|ADD)\s+((?:--\S+\s+)*)\.?/?\.?\s`)
)

// stage is one of a Dockerfile.
type stage struct {
	name, from string
	whole      bool // it has the files that it is built from
}

// stagesOf reads which stages a Dockerfile has.
func stagesOf(text string) []stage {
	var all []stage
	for line := range strings.Lines(text) {
		if m := fromLine.FindStringSubmatch(line); m != nil {
			s := stage{name: m[2], from: m[1]}
			for _, o := range all {
				s.whole = s.whole || strings.EqualFold(o.name, s.from) && o.whole
			}
			all = append(all, s)
		} else if m := copyLine.FindStringSubmatch(line); m != nil && len(all) > 0 && !strings.Contains(m[1], "--from") {
			all[len(all)-1].whole = true
		}
	}
	return all
}

// within reports whether a mount is of a folder of the repository, or of one in it.
func within(v *node, source, dir string) bool {
	at, ok := repoPath(path.Dir(v.file), source)
	return ok && strings.HasPrefix(source, ".") && (at == dir || strings.HasPrefix(at, dir+"/") || dir == ".")
}

// hasCode reports whether what is mounted into a service is in it without that, since
// its Dockerfile copies the whole folder.
func (b *builder) hasCode(u *unit, v *node, source string) bool {
	text, name := b.dockerfile(u)
	stages := stagesOf(text)
	if len(stages) == 0 {
		return false
	}
	built := stages[len(stages)-1]
	dir, _ := u.value("build").(string)
	says, _ := u.value("build").([]said)
	for _, s := range says {
		switch word, _ := s.value.(string); s.key {
		case "dir":
			dir = word
		case "target":
			for _, g := range stages {
				if strings.EqualFold(g.name, word) {
					built = g
				}
			}
		}
	}
	return name != "" && built.whole && within(v, source, dir)
}

// forDevelopment reports whether a stage has no code in it, because the compose file
// mounts that, and the Dockerfile ends with a stage that has.
func (c *composition) forDevelopment(s *node, dir, dockerfile, target string) bool {
	src, err := readFile(c.tree, path.Join(dir, dockerfile))
	stages := stagesOf(string(src))
	if err != nil || len(stages) == 0 || !stages[len(stages)-1].whole {
		return false
	}
	for _, g := range stages {
		if strings.EqualFold(g.name, target) && g.whole {
			return false
		}
	}
	for _, v := range s.find("volumes").each() {
		source, _ := mount(c.expand(v))
		if v.kind == table {
			source = c.expand(v.under("source"))
		}
		if within(v, source, dir) {
			return true
		}
	}
	return false
}
