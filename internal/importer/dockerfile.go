package importer

import (
	"path"
	"regexp"
	"strconv"
	"strings"
)

var (
	exposeLine = regexp.MustCompile(`(?im)^\s*EXPOSE\s+(\d+)`)
	healthLine = regexp.MustCompile(`(?im)^\s*HEALTHCHECK\s+((?:.*\\\r?\n)*.*)$`)
)

// dockerfile is the text of a service's Dockerfile, and its name; empty where there
// is none.
func (b *builder) dockerfile(u *unit) (text, name string) {
	dir, file := ".", "Dockerfile"
	switch v := u.value("build").(type) {
	case string:
		dir = v
	case []said:
		for _, s := range v {
			switch s.key {
			case "dir":
				dir, _ = s.value.(string)
			case "dockerfile":
				file, _ = s.value.(string)
			}
		}
	default:
		return "", ""
	}
	name = path.Join(dir, file)
	if text := b.made(name); text != "" {
		return text, name
	}
	if !b.exists(name) {
		return "", ""
	}
	src, err := readFile(b.tree, name)
	if err != nil {
		return "", ""
	}
	return string(src), name
}

// dockerfilePort is what the Dockerfile of a service exposes; 0: nothing. What the
// last stage says comes last.
func (b *builder) dockerfilePort(u *unit) (int, *node) {
	text, name := b.dockerfile(u)
	all := exposeLine.FindAllStringSubmatchIndex(text, -1)
	if len(all) == 0 {
		return 0, nil
	}
	at := all[0]
	for _, a := range all { // the first of the last stage that says any
		if strings.Contains(strings.ToUpper(text[at[0]:a[0]]), "\nFROM ") {
			at = a
		}
	}
	n, err := strconv.Atoi(text[at[2]:at[3]])
	if err != nil {
		return 0, nil
	}
	return n, &node{file: name, line: strings.Count(text[:at[2]], "\n") + 1, path: "EXPOSE"}
}

// dockerfileHealth takes the check of a service's Dockerfile, if it asks over HTTP.
func (b *builder) dockerfileHealth(u *unit) {
	text, name := b.dockerfile(u)
	at := healthLine.FindStringSubmatchIndex(text)
	if at == nil || u.has("health") {
		return
	}
	n := &node{file: name, line: strings.Count(text[:at[2]], "\n") + 1, path: "HEALTHCHECK"}
	if p, ok := healthPath(text[at[2]:at[3]]); ok {
		u.set("health", p, n)
	} else if !strings.HasPrefix(strings.ToUpper(strings.TrimSpace(text[at[2]:at[3]])), "NONE") {
		b.note(n, Lost, "a command is no health check here: a service is asked over HTTP, or ready when it accepts connections", "health: /PATH")
	}
}
