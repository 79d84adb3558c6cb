package pipeline

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxDepth bounds how deep services of other languages than Go are looked for.
const maxDepth = 3

// languages adds the services that are built by their language's own tools, the
// outermost folder of each.
func (d *Detection) languages(tree fs.FS) {
	var taken []string
	for _, s := range d.Services {
		taken = append(taken, s.Dir)
	}
	for _, dir := range goDirs(tree, ".") {
		depth := strings.Count(dir, "/") + 1
		if dir == "." {
			depth = 0
		}
		if depth > maxDepth || slices.ContainsFunc(taken, func(t string) bool { return within(dir, t) && (t != "." || dir == ".") }) {
			continue
		}
		s, ok := guessLanguage(tree, dir)
		if !ok || s.Kind == "static" && len(taken) > 0 && slices.ContainsFunc(taken, func(t string) bool { return within(dir, t) }) {
			continue
		}
		d.Looked = append(d.Looked, path.Join(dir, s.marker))
		d.Services = append(d.Services, s.Service)
		for _, name := range s.others {
			other := s.Service
			other.Name = cmp.Or(plainName(name), name)
			d.Services = append(d.Services, other)
		}
		if taken = append(taken, dir); dir == "." {
			return // one program, with what belongs to it
		}
	}
}

// guessed is a service with the file that tells its language.
type guessed struct {
	Service
	marker string
	others []string // further programs of the same folder
}

// guessLanguage guesses the service of one folder. What cannot be started is none: a
// library, or the root of a workspace.
func guessLanguage(tree fs.FS, dir string) (g guessed, ok bool) {
	lang := languageOf(tree, dir, "")
	g = guessed{Service: Service{Name: folderName(dir), Dir: dir, Kind: lang}}
	w := Workload{Name: g.Name}
	w.Build.Dir = dir
	line, from := "", ""
	switch lang {
	case "node":
		pkg, err := readPackage(tree, dir)
		if err != nil || len(members(tree, dir)) > 0 {
			return g, false
		}
		start := nodeStart(tree, dir, pkg, w)
		if pkg.Scripts["start"] == "" && isLibrary(tree, dir, pkg) {
			return g, false
		}
		g.Network = buildDownloads(tree, dir, pkg)
		g.marker, line, from = "package.json", start.line, "Node.js, started by "+start.from
		if start.site {
			g.Kind, line, from = "static", "index.html", "Node.js, a site that scripts.build makes"
		}
		if dir == "." && pkg.Name != "" {
			g.Name = cmp.Or(plainName(path.Base(pkg.Name)), g.Name)
		}
	case "python":
		project, err := readProject(tree, dir)
		if err != nil {
			return g, false
		}
		if line, from = procfile(tree, dir, g.Name); line == "" {
			line, from = pythonStart(tree, dir, project, pythonNames(tree, dir, project))
		}
		g.marker, from = firstFile(tree, dir, "uv.lock", "poetry.lock", "pyproject.toml", "Pipfile", "requirements.txt", "manage.py", "main.py", "app.py"), "Python, started by "+from
	case "java":
		g.marker = firstFile(tree, dir, "pom.xml", "build.gradle", "build.gradle.kts")
		line, from = "app.jar", "Java, "+g.marker
		if text, err := readStart(tree, path.Join(dir, "pom.xml")); err == nil && regexp.MustCompile(`<packaging>\s*pom\s*<`).Match(text) {
			return g, false
		}
		if javaRoot(tree, dir) != dir && !hasMainMethod(tree, dir) || hasModules(tree, dir) && !isDir(tree, path.Join(dir, "src/main")) {
			return g, false
		}
	case "rust":
		c, err := readCargo(tree, dir)
		if err != nil || c.Package.Name == "" || len(c.programs(tree, dir)) == 0 {
			return g, false
		}
		if all := c.programs(tree, dir); c.chosen(all, w) == "" {
			g.Name = cmp.Or(plainName(all[0]), g.Name)
			g.others = all[1:]
		}
		g.marker, line, from = "Cargo.toml", c.Package.Name, "Rust, Cargo.toml"
	case "static":
		site := siteFolder(tree, dir)
		g.marker, line, from = relative(dir, path.Join(site, "index.html")), "index.html", "a site, "+path.Join(site, "index.html")
	}
	if line == "" {
		return g, false
	}
	g.From = from
	g.listens(tree, line)
	return g, true
}

var (
	readsPortElse = regexp.MustCompile(`process\.env\.PORT|process\.env\[.PORT.\]|environ(?:\.get)?[\[(]['"]PORT|getenv\(['"]PORT|env(?:::var)?\(?"PORT"|\$\{?PORT`)
	listensElse   = regexp.MustCompile(`(?:\.listen\(|\bport\s*[=:]\s*)(\d{2,5})\b`)
	healthElse    = regexp.MustCompile("[\"'`](/(?:healthz|health|readyz|ready|livez|up|_health|api/health))[\"'`]")
)

// listens looks into the files that a start line names, and the usual ones, for a port
// and a health check.
func (g *guessed) listens(tree fs.FS, line string) {
	if g.Kind == "static" {
		g.Health, g.HealthFrom, g.PortFrom = "/", "it is a site", "titrate serves it"
		return
	}
	names := append(strings.Fields(line), "server.js", "server.ts", "src/server.ts", "src/index.ts", "src/main.ts", "index.js", "app.js", "main.py", "app.py", "wsgi.py", "src/main.rs")
	for _, name := range names {
		file := path.Join(g.Dir, strings.Trim(name, `'"`))
		if !fs.ValidPath(file) || !isFile(tree, file) {
			continue
		}
		text, err := readStart(tree, file)
		if err != nil {
			continue
		}
		if m := listensElse.FindSubmatch(text); m != nil && g.PortFrom == "" && !strings.Contains(line, "$PORT") {
			fmt.Sscan(string(m[1]), &g.Port) //nolint:errcheck // digits, by the expression
			g.PortFrom = file + " listens on it"
		}
		if readsPortElse.Match(text) {
			g.Port, g.PortFrom = 0, file+" reads $PORT"
		}
		if m := healthElse.FindSubmatch(text); m != nil && g.Health == "" {
			g.Health, g.HealthFrom = string(m[1]), file
		}
	}
	if g.PortFrom == "" && strings.Contains(line, "$PORT") {
		g.PortFrom = "the start command passes it"
	}
}

// firstFile returns the first of names that dir has, or "".
func firstFile(tree fs.FS, dir string, names ...string) string {
	for _, n := range names {
		if isFile(tree, path.Join(dir, n)) {
			return n
		}
	}
	return ""
}

func plainName(s string) string {
	return strings.Trim(notInNames.ReplaceAllString(strings.ToLower(s), "-"), "-0123456789")
}

func folderName(dir string) string { return cmp.Or(plainName(path.Base(dir)), "app") }
