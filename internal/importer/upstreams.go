package importer

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxConfigs bounds how many files are looked into for names of services.
const maxConfigs = 50

// upstreams finds where services listen that say no port: a proxy's configuration, which
// another service is built with, names host and port.
func (c *composition) upstreams() {
	for _, name := range c.names() {
		u := c.byName[name]
		if u.has("port") {
			continue
		}
		for _, o := range c.services {
			if port, from := c.namedBy(o, name); o != u && port != 0 {
				u.set("port", port, from)
				break
			}
		}
	}
}

// namedBy is the port at which a configuration of a service names a host, and the line;
// 0: none does.
func (c *composition) namedBy(o *unit, name string) (int, *node) {
	at := regexp.MustCompile(`(?m)(?:^|[^\w.-])` + regexp.QuoteMeta(name) + `:(\d{2,5})\b|https?://` + regexp.QuoteMeta(name) + `(?:[/;"'\s]|$)`)
	for _, file := range c.configs(o) {
		src, err := readFile(c.tree, file)
		m := at.FindSubmatchIndex(src)
		if err != nil || m == nil {
			continue
		}
		port := 80
		if m[2] >= 0 {
			port, _ = strconv.Atoi(string(src[m[2]:m[3]])) // they are digits
		}
		return port, &node{file: file, line: strings.Count(string(src[:m[1]-1]), "\n") + 1, path: name}
	}
	return 0, nil
}

// configs are the files in the folder that a service is built from which are a proxy's
// configuration by their names.
func (c *composition) configs(u *unit) []string {
	_, dockerfile := c.dockerfile(u)
	if dockerfile == "" {
		return nil
	}
	dir := path.Dir(dockerfile)
	var files []string
	_ = fs.WalkDir(c.tree, dir, func(name string, d fs.DirEntry, err error) error { // what cannot be read names nothing
		deep := strings.Count(name, "/")-strings.Count(dir, "/") > 2
		switch base := path.Base(name); {
		case err != nil || len(files) == maxConfigs:
			return fs.SkipAll
		case d.IsDir() && (deep || base == "node_modules" || base != "." && strings.HasPrefix(base, ".")):
			return fs.SkipDir
		case d.Type().IsRegular() && (base == "Caddyfile" || slices.Contains([]string{".conf", ".cfg", ".template", ".tmpl"}, path.Ext(base))):
			files = append(files, name)
		}
		return nil
	})
	return files
}
