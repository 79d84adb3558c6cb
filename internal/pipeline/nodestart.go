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
	fixedPort = regexp.MustCompile(`((?:^|\s)(?:next start|vite preview|astro preview|serve|http-server)(?:\s.*)?\s(?:-p|-l|--port|--listen)[ =])\d+\b`)
	envBefore = regexp.MustCompile(`^((cross-env|npx)\s+|\w+=\S*\s+)*`)
)

// nodeStarted is how a package is started.
type nodeStarted struct {
	line string // empty: nothing says it
	from string // what says it
	dev  bool   // it needs devDependencies
	site bool   // it is files that are served

	single bool   // of a site: index.html answers for all paths
	after  string // shell lines after the build
}

// nodeStart says how a package is started. Every framework here listens on $PORT by
// itself, but for the previews of vite and astro, which are told by a flag; a port that
// a script passes to one of them gives way to $PORT.
func nodeStart(tree fs.FS, dir string, pkg packageJSON, w Workload) nodeStarted {
	builds := pkg.Scripts["build"] != ""
	if w.Build.With == "static" || w.Build.Output != "" || w.Build.Fallback != "" {
		return nodeStarted{site: true}
	}
	if line, from := procfile(tree, dir, w.Name); line != "" {
		return nodeStarted{line: line, from: from, dev: startsBy(pkg.DevDependencies, line)}
	}
	if single := singlePageMode(tree, dir, pkg); single && builds && w.Run.Silent() {
		return nodeStarted{site: true, single: true}
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
	if nextStart.MatchString(s.line) && pkg.needs("next") {
		switch output(tree, dir, "next.config") {
		case "export":
			return nodeStarted{site: w.Run.Silent()}
		case "standalone":
			root, _, _ := workspaceOf(tree, dir)
			at := path.Join(".next/standalone", relative(root, dir)) // as Next.js lays it out
			s.line, s.from = "HOSTNAME=127.0.0.1 node "+at+"/server.js", "output: standalone of next.config"
			s.after = "cp -R .next/static " + at + "/.next/\nif [ -d public ]; then cp -R public " + at + "/; fi"
		}
	}
	switch {
	case fixedPort.MatchString(s.line):
		s.line = fixedPort.ReplaceAllString(s.line, `$1"$$PORT"`)
	case strings.Contains(s.line, "vite preview"):
		s.line += ` --host 127.0.0.1 --port "$PORT" --strictPort`
	case strings.Contains(s.line, "astro preview"):
		s.line += ` --port "$PORT"`
	}
	if s.line != "" {
		s.dev = startsBy(pkg.DevDependencies, s.line)
		return s
	}
	if builds && w.Run.Silent() && pkg.Main == "" && pkg.needs("vite") && isFile(tree, path.Join(dir, "index.html")) {
		return nodeStarted{site: true} // its main.js is the browser's
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

var (
	nextStart    = regexp.MustCompile(`(^|\s)next start(\s|$)`)
	configOutput = regexp.MustCompile(`(?m)^[^/*\n]*\boutput:\s*["'\x60](\w+)["'\x60]`)
	ssrOff       = regexp.MustCompile(`(?m)^[^/*\n]*\bssr:\s*false`)
)

// config returns the start of a configuration file, whatever language it is in.
func config(tree fs.FS, dir, name string) []byte {
	for _, ending := range []string{".ts", ".mjs", ".js", ".cjs", ".mts"} {
		if text, err := readStart(tree, path.Join(dir, name+ending)); err == nil {
			return text
		}
	}
	return nil
}

// output returns what Next.js is told to make, where that stands there as a word.
func output(tree fs.FS, dir, name string) string {
	if m := configOutput.FindSubmatch(config(tree, dir, name)); m != nil {
		return string(m[1])
	}
	return ""
}

// singlePageMode reports whether a framework with a server is told to make a site for
// the browser alone. Its start script cannot run then.
func singlePageMode(tree fs.FS, dir string, pkg packageJSON) bool {
	return pkg.needs("@react-router/dev") && ssrOff.Match(config(tree, dir, "react-router.config")) ||
		pkg.needs("@remix-run/dev") && ssrOff.Match(config(tree, dir, "vite.config"))
}

// buildDownloads says what in a package is known to download while it is built, or "".
func buildDownloads(tree fs.FS, dir string, pkg packageJSON) string {
	if pkg.Scripts["build"] == "" {
		return ""
	}
	for _, name := range []string{"prisma", "@prisma/client"} {
		if pkg.needs(name) {
			return name + " downloads its engine"
		}
	}
	if !pkg.needs("next") {
		return ""
	}
	for _, pattern := range []string{"app/layout.*", "src/app/layout.*", "app/*/layout.*", "src/app/*/layout.*", "app/fonts.*", "src/app/fonts.*", "pages/_app.*", "src/pages/_app.*"} {
		found, err := fs.Glob(tree, path.Join(dir, pattern))
		for _, f := range found {
			if text, missing := readStart(tree, f); err == nil && missing == nil && strings.Contains(string(text), "next/font/google") {
				return relative(dir, f) + " imports next/font/google, which downloads fonts"
			}
		}
	}
	return ""
}

// adapterMissing refuses a SvelteKit that is to find out where it will run: it knows
// hosting companies, and makes nothing elsewhere.
func adapterMissing(pkg packageJSON) *BuildError {
	if !pkg.needs("@sveltejs/adapter-auto") || pkg.needs("@sveltejs/adapter-node") || pkg.needs("@sveltejs/adapter-static") {
		return nil
	}
	return &BuildError{
		Code: CodeNothing, Step: StepDetect, Saw: "@sveltejs/adapter-auto makes something that runs at some hosting companies only",
		Help: "npm install -D @sveltejs/adapter-node, import it in svelte.config.js in place of adapter-auto, commit, push again\nor, for a site without a server: the same with @sveltejs/adapter-static",
	}
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
	tried := []string{"dist", "build", "build/client", "out", "public", "www", ".output/public", ".vitepress/dist", "docs/.vitepress/dist", "_site", "storybook-static"}
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
