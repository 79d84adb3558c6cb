package pipeline

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	devServer = regexp.MustCompile(`(^|\s)(react-scripts start|ng serve|vue-cli-service serve|webpack(-dev-server| serve)|gatsby develop|parcel(\s|$)|vite(\s+(dev|serve|--\S+)|\s*$))`)
	envBefore = regexp.MustCompile(`^((cross-env|npx)\s+|\w+=\S*\s+)*`)
)

// nodeStarted is how a package is started.
type nodeStarted struct {
	line string // empty: nothing says it
	from string // what says it
	dev  bool   // it needs devDependencies
	site bool   // it is files that are served
}

// nodeStart says how a package is started. Every framework here listens on $PORT by
// itself, but for the previews of vite and astro, which are told by a flag.
func nodeStart(tree fs.FS, dir string, pkg packageJSON, w Workload) nodeStarted {
	builds := pkg.Scripts["build"] != ""
	if w.Build.With == "static" || w.Build.Output != "" || w.Build.Fallback != "" {
		return nodeStarted{site: true}
	}
	if line, from := procfile(tree, dir, w.Name); line != "" {
		return nodeStarted{line: line, from: from, dev: startsBy(pkg.DevDependencies, line)}
	}
	s := nodeStarted{}
	for _, name := range []string{"start:prod", "start:production", "start"} {
		if line := pkg.Scripts[name]; line != "" && s.line == "" {
			s.line, s.from = line, "scripts."+name+" of package.json"
			if before := pkg.Scripts["pre"+name]; before != "" {
				s.line = before + " && " + line
			}
		}
	}
	if devServer.MatchString(s.line) && builds && w.Run.Silent() {
		return nodeStarted{site: true}
	}
	for _, f := range frameworks {
		if strings.Contains(s.line, f.develops) && f.develops != "" || s.line == "" && pkg.needs(f.name) && builds {
			s.line, s.from = f.start, f.name
		}
	}
	switch {
	case strings.Contains(s.line, "vite preview"):
		s.line += ` --host 127.0.0.1 --port "$PORT" --strictPort`
	case strings.Contains(s.line, "astro preview"):
		s.line += ` --port "$PORT"`
	}
	if s.line != "" {
		s.dev = startsBy(pkg.DevDependencies, s.line)
		return s
	}
	for _, f := range []string{pkg.Main, "server.js", "server.mjs", "index.js", "app.js", "main.js", "src/index.js", "src/server.js"} {
		if f != "" && isFile(tree, path.Join(dir, f)) {
			return nodeStarted{line: "node " + f, from: f}
		}
	}
	if builds && pkg.Main != "" && !pkg.needs("vite") {
		return nodeStarted{line: "node " + pkg.Main, from: "main of package.json"} // the build leaves it
	}
	return nodeStarted{site: builds && w.Run.Silent()}
}

// frameworks say how what they have built is started, where no script does or the
// script is for developing.
var frameworks = []struct{ name, develops, start string }{
	{"next", "next dev", "next start"},
	{"nuxt", "nuxt dev", "node .output/server/index.mjs"},
	{"nuxt", "nuxi dev", "node .output/server/index.mjs"},
	{"@sveltejs/adapter-node", "", "node build"},
	{"@astrojs/node", "astro dev", "node ./dist/server/entry.mjs"},
	{"@nestjs/core", "nest start --watch", "node dist/main"},
}

// startsBy reports whether a line's program is one of packages.
func startsBy(packages map[string]string, line string) bool {
	program, _, _ := strings.Cut(envBefore.ReplaceAllString(line, ""), " ")
	_, ok := packages[program]
	return ok
}

// singlePage reports whether a site answers every path with its index.html: a router
// in the browser says so.
func singlePage(pkg packageJSON) bool {
	return slices.ContainsFunc([]string{"react-scripts", "react-router", "react-router-dom", "@tanstack/react-router", "wouter", "vue-router", "@solidjs/router", "@angular/router", "svelte-spa-router", "preact-router"}, pkg.needs)
}

// builtSite finds the folder that a site's build has left.
func builtSite(dir, output string) (string, error) {
	tried := []string{"dist", "build", "out", "public", "www", ".output/public", "_site"}
	if output != "" {
		tried = []string{output}
	}
	for _, name := range tried {
		at := filepath.Join(dir, filepath.FromSlash(name))
		for _, inner := range []string{"", "browser", "*/browser", "*"} { // Angular has a folder of the project's name
			found, err := filepath.Glob(filepath.Join(at, inner, "index.html"))
			if err == nil && len(found) == 1 && (inner == "" || name == "dist") {
				return filepath.Dir(found[0]), nil
			}
		}
		if info, err := os.Stat(at); output != "" && err == nil && info.IsDir() {
			return at, nil
		}
	}
	return "", fmt.Errorf("the build left no site: no index.html in %s", strings.Join(tried, ", "))
}
