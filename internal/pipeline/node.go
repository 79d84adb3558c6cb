package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// packageJSON is what is read of a package.json; see docs.npmjs.com/cli/configuring-npm/package-json.
type packageJSON struct {
	Name            string            `json:"name"`
	Main            string            `json:"main"`
	Scripts         map[string]string `json:"scripts"`
	Dependencies    map[string]string `json:"dependencies"`
	DevDependencies map[string]string `json:"devDependencies"`
	Engines         map[string]string `json:"engines"`
	PackageManager  string            `json:"packageManager"`
	Workspaces      json.RawMessage   `json:"workspaces"`
}

func readPackage(tree fs.FS, dir string) (packageJSON, error) {
	var p packageJSON
	text, err := readStart(tree, path.Join(dir, "package.json"))
	if err == nil {
		// Fields of other shapes than expected are left out one by one, as npm bears them.
		var loose map[string]json.RawMessage
		if err = json.Unmarshal([]byte(strings.TrimPrefix(string(text), "\ufeff")), &loose); err == nil {
			for name, to := range map[string]any{"name": &p.Name, "main": &p.Main, "scripts": &p.Scripts, "dependencies": &p.Dependencies, "devDependencies": &p.DevDependencies, "engines": &p.Engines, "packageManager": &p.PackageManager} {
				if json.Unmarshal(loose[name], to) != nil {
					continue
				}
			}
			p.Workspaces = loose["workspaces"]
		}
	}
	return p, err
}

// all returns the dependencies of both kinds.
func (p packageJSON) all() map[string]string {
	out := maps.Clone(p.DevDependencies)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, p.Dependencies)
	return out
}

func (p packageJSON) needs(name string) bool {
	return p.Dependencies[name] != "" || p.DevDependencies[name] != ""
}

// planNode plans a Node.js service, or a site that npm builds.
func (r *run) planNode(ctx context.Context, tree fs.FS, w Workload) (plan, error) {
	dir := w.Build.Dir
	pkg, err := readPackage(tree, dir)
	if w.Function != nil && errors.Is(err, fs.ErrNotExist) {
		err = nil // its files are all that it is
	}
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return plan{}, fault(w, CodeNothing, StepDetect, "there is no package.json in "+dir, "npm init -y, commit package.json, push again")
		}
		return plan{}, fault(w, CodeNothing, StepDetect, "package.json cannot be read: "+err.Error(), "node -p 'require(\"./package.json\")' says where")
	}
	node, err := r.find(ctx, w, interpreter(w, "node"))
	if err != nil {
		return plan{}, err
	}
	node.name = "node"
	node.path = real(node.path)
	root, m, locked := workspaceOf(tree, dir)
	p := plan{
		language: "node", root: root, dir: relative(root, dir), tools: []tool{node}, needs: []tool{node},
		wrap: map[string]string{"node": node.path},
		env:  append([]string{"npm_config_update_notifier=false", "NEXT_TELEMETRY_DISABLED=1", "NUXT_TELEMETRY_DISABLED=1", "ASTRO_TELEMETRY_DISABLED=1", "SKIP_YARN_COREPACK_CHECK=1", "npm_config_manage_package_manager_versions=false", "npm_config_package_manager_strict=false"}, m.env...),
	}
	p.doubts = nodeDoubts(tree, root, dir, pkg, node)
	p.warns = append(p.warns, p.doubts...)
	if !locked && len(pkg.Dependencies)+len(pkg.DevDependencies) > 0 {
		m = unlocked
		p.warns = append(p.warns, "no lock file (package-lock.json, pnpm-lock.yaml, yarn.lock) says which versions package.json means, so that two builds of one commit may differ: npm install, commit package-lock.json")
	}
	if m.name != "" {
		if err := r.packages(ctx, tree, w, m, &p); err != nil {
			return plan{}, err
		}
	}
	if own := adapterMissing(pkg); own != nil && w.Function == nil {
		return plan{}, nameFault(own, w)
	}
	if isFile(tree, path.Join(dir, "package.json")) {
		if err := r.nodeBuild(ctx, tree, w, m, &p); err != nil {
			return plan{}, err
		}
	}
	if w.Function != nil {
		r.nodeFunction(tree, w, m, &p)
		return p, nil
	}
	start := nodeStart(tree, dir, pkg, w)
	if start.after != "" && p.build != "" {
		p.build += "\n" + start.after
	}
	if start.site {
		p.site, p.needs = true, nil
		if p.serves = w.Build.Fallback; p.serves == "" && (singlePage(pkg) || start.single) {
			p.serves = "index.html"
		}
		p.take = func(src, _ string) (string, error) {
			return builtSite(filepath.Join(src, filepath.FromSlash(p.dir)), w.Build.Output)
		}
		return p, nil
	}
	if start.line == "" && w.Run.Silent() {
		return plan{}, fault(w, CodeNothing, StepDetect, "package.json says neither how to start (scripts.start, main) nor how to build a site (scripts.build), and there is no server.js, index.js or app.js",
			`one of: npm pkg set scripts.start="node server.js", commit, push again`+"\nrun: node …, beside build in titrate.yaml\na Procfile with a line web: node …")
	}
	if p.fetch != "" && !start.dev && w.Run.Silent() {
		p.finish = `cd "$SRC" && ` + m.finish
		if m.finish == "" || m.name == "pnpm" && root != dir {
			p.finish = ""
		}
	}
	p.run, p.from = execLine(start.line), start.from
	if at := path.Join(managed, m.name); p.finish != "" && slices.Contains(p.kept, at) && !mentions(m.name, p.run) {
		p.finish += "\nrm -rf \"$SRC/" + at + `"`
	}
	p.enter = []string{
		`export PATH="$root/.titrate/bin:$root/` + p.dir + `/node_modules/.bin:$root/node_modules/.bin:` + filepath.Dir(node.path) + `:$PATH"`,
		`export NODE_ENV="${NODE_ENV:-production}"`,
	}
	return p, nil
}

// mentions reports whether a shell line names a program.
func mentions(program, line string) bool {
	return slices.Contains(strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t;&|()\"'", r) }), program)
}

// nodeBuild plans the scripts that make a package ready: those of what was fetched, of the
// workspace, of the members that it needs, each after its own needs, and its own.
func (r *run) nodeBuild(ctx context.Context, tree fs.FS, w Workload, m manager, p *plan) error {
	var lines []string
	if p.fetch != "" && installs(tree, p.root, m) {
		lines = append(lines, `(cd "$SRC" && `+m.rebuild+")")
	}
	run := func(dir string, scripts ...string) error {
		pkg, err := readPackage(tree, dir)
		if err != nil {
			return err
		}
		for _, script := range scripts {
			line := cmp.Or(m.name, "npm") + " run " + script
			switch {
			case pkg.Scripts[script] == "":
			case dir == w.Build.Dir:
				lines = append(lines, line)
			case dir == p.root:
				lines = append(lines, `(cd "$SRC" && `+line+")")
			default:
				lines = append(lines, `(cd "$SRC/`+relative(p.root, dir)+`" && `+line+")")
			}
		}
		return nil
	}
	if p.root != w.Build.Dir {
		if err := run(p.root, "postinstall"); err != nil {
			return err
		}
		for _, dir := range needed(members(tree, p.root), w.Build.Dir) {
			if err := run(dir, "postinstall", "build"); err != nil {
				return err
			}
		}
	}
	if err := run(w.Build.Dir, "postinstall", "build"); err != nil {
		return err
	}
	p.build = strings.Join(lines, "\n")
	if p.build == "" || m.name != "" {
		return nil
	}
	npm, err := r.find(ctx, w, "npm")
	p.tools = append(p.tools, npm)
	return err
}
