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
		if at, ok := repoPath(path.Dir(v.file), source); ok && strings.HasPrefix(source, ".") && (at == dir || strings.HasPrefix(at, dir+"/") || dir == ".") {
			return true
		}
	}
	return false
}
