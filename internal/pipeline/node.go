package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
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

func (p packageJSON) needs(name string) bool {
	return p.Dependencies[name] != "" || p.DevDependencies[name] != ""
}

// manager is a package manager: the lock file that says it is used, and its lines.
type manager struct {
	name, lock, fetch, alone, rebuild, finish string // alone: fetch without network
	env                                       []string
}

// npm and the others get packages without running their scripts, which the build step
// does, without network.
var npm = manager{
	name: "npm", lock: "package-lock.json",
	fetch:   `npm ci --ignore-scripts --include=dev --no-audit --no-fund --prefer-offline --cache "$DOWNLOADS/npm"`,
	alone:   `npm ci --ignore-scripts --include=dev --no-audit --no-fund --offline --cache "$DOWNLOADS/npm"`,
	rebuild: "npm rebuild --offline",
	finish:  "npm prune --omit=dev --ignore-scripts --offline --no-audit --no-fund",
}

var managers = []manager{
	npm, npm.locked("npm-shrinkwrap.json", "", ""),
	{
		name: "pnpm", lock: "pnpm-lock.yaml",
		fetch: `pnpm install --frozen-lockfile --ignore-scripts --prod=false --package-import-method copy --store-dir "$DOWNLOADS/pnpm"`,
		alone: `pnpm install --frozen-lockfile --ignore-scripts --prod=false --package-import-method copy --store-dir "$DOWNLOADS/pnpm" --offline`,
		// The store is out of sight by then, and pnpm insists on one in its place.
		rebuild: `sed -i "/storeDir/s|[^\" ]*/pnpm/v|$DEPS/pnpm/v|" node_modules/.modules.yaml && pnpm rebuild --store-dir "$DEPS/pnpm"`,
		finish:  `pnpm prune --prod --ignore-scripts --config.store-dir="$DEPS/pnpm"; rm -f node_modules/.modules.yaml node_modules/.pnpm-workspace-state*.json`,
	},
	{
		name: "yarn", lock: "yarn.lock",
		fetch:   `yarn install --frozen-lockfile --ignore-scripts --non-interactive --production=false --cache-folder "$DEPS/yarn"`,
		alone:   `yarn install --frozen-lockfile --ignore-scripts --non-interactive --production=false --cache-folder "$DEPS/yarn" --offline`,
		rebuild: "npm rebuild --offline",
		finish:  `yarn install --production --frozen-lockfile --offline --ignore-scripts --non-interactive --cache-folder "$DEPS/yarn"`,
	},
}

// locked is a manager that reads another lock file, by another command.
func (m manager) locked(file, from, to string) manager {
	m.lock = file
	m.fetch, m.alone = strings.Replace(m.fetch, from, to, 1), strings.Replace(m.alone, from, to, 1)
	return m
}

// unlocked is npm where no lock file says what is meant.
var unlocked = npm.locked("", "npm ci ", "npm install --no-package-lock ")

// berry is yarn from version 2 on, whose lock file has another form.
var berry = manager{
	name: "yarn", lock: "yarn.lock", fetch: "yarn install --immutable --mode=skip-build", rebuild: "npm rebuild --offline",
	env: []string{"YARN_NODE_LINKER=node-modules", "YARN_ENABLE_GLOBAL_CACHE=false", "YARN_CACHE_FOLDER=$DEPS/yarn", "YARN_GLOBAL_FOLDER=$DEPS/berry", "YARN_ENABLE_TELEMETRY=0"},
}

// workspaceOf returns the folder whose lock file holds for dir, and which it is.
func workspaceOf(tree fs.FS, dir string) (root string, m manager, ok bool) {
	for up := dir; ; up = path.Dir(up) {
		for _, m := range managers {
			if !isFile(tree, path.Join(up, m.lock)) || up != dir && len(members(tree, up)) == 0 {
				continue
			}
			if text, err := readStart(tree, path.Join(up, m.lock)); err == nil && m.name == "yarn" && strings.Contains(string(text), "\n__metadata:") {
				m = berry
			}
			return up, m, true
		}
		if up == "." {
			return dir, manager{}, false
		}
	}
}

var workspaceLine = regexp.MustCompile(`(?m)^\s*-\s*['"]?([^'"#\n]+?)['"]?\s*$`)

// members returns the folders of a workspace, relative to the repository's root.
func members(tree fs.FS, root string) map[string]packageJSON {
	p, err := readPackage(tree, root)
	if err != nil {
		return nil
	}
	var patterns []string
	var long struct{ Packages []string }
	if json.Unmarshal(p.Workspaces, &patterns) != nil && json.Unmarshal(p.Workspaces, &long) == nil {
		patterns = long.Packages
	}
	if text, err := readStart(tree, path.Join(root, "pnpm-workspace.yaml")); err == nil {
		for _, m := range workspaceLine.FindAllStringSubmatch(string(text), -1) {
			patterns = append(patterns, m[1])
		}
	}
	out := map[string]packageJSON{}
	for _, pattern := range patterns {
		pattern = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(pattern, "./"), "/"), "**", "*")
		found, err := fs.Glob(tree, path.Join(root, pattern))
		if err != nil {
			continue
		}
		for _, dir := range found {
			if p, err := readPackage(tree, dir); err == nil {
				out[dir] = p
			}
		}
	}
	return out
}

// strangers returns the members that dir does not depend on.
func strangers(all map[string]packageJSON, dir string) []string {
	need := map[string]bool{dir: true}
	for grown := true; grown; {
		grown = false
		for d := range need {
			for other, p := range all {
				if !need[other] && p.Name != "" && all[d].needs(p.Name) {
					need[other], grown = true, true
				}
			}
		}
	}
	var out []string
	for other := range all {
		if !need[other] && !within(dir, other) {
			out = append(out, other)
		}
	}
	slices.Sort(out)
	return out
}

// planNode plans a Node.js service, or a site that npm builds.
func (r *run) planNode(ctx context.Context, tree fs.FS, w Workload) (plan, error) {
	dir := w.Build.Dir
	pkg, err := readPackage(tree, dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return plan{}, fault(w, CodeNothing, StepDetect, "there is no package.json in "+dir, "npm init -y, commit package.json, push again")
		}
		return plan{}, fault(w, CodeNothing, StepDetect, "package.json cannot be read: "+err.Error(), "node -p 'require(\"./package.json\")' says where")
	}
	node, err := r.find(ctx, w, "node")
	if err != nil {
		return plan{}, err
	}
	node.path = real(node.path)
	root, m, locked := workspaceOf(tree, dir)
	p := plan{
		language: "node", root: root, dir: relative(root, dir), tools: []tool{node}, needs: []tool{node}, wrap: map[string]string{},
		env: append([]string{"npm_config_update_notifier=false", "NEXT_TELEMETRY_DISABLED=1", "NUXT_TELEMETRY_DISABLED=1", "ASTRO_TELEMETRY_DISABLED=1", "COREPACK_HOME=$DEPS/corepack", "COREPACK_ENABLE_DOWNLOAD_PROMPT=0", "COREPACK_ENABLE_STRICT=0"}, m.env...),
	}
	if asked := pkg.Engines["node"]; asked != "" { // as npm: told, and no more
		if ok, err := fits(node, asked); err == nil && !ok {
			p.warns = append(p.warns, "engines.node of package.json asks for "+asked+", and it is built and run with node "+node.version+" at "+node.path+": put another first on the PATH of titrate up")
		}
	}
	if !locked && len(pkg.Dependencies)+len(pkg.DevDependencies) > 0 {
		m = unlocked
		p.warns = append(p.warns, "no lock file (package-lock.json, pnpm-lock.yaml, yarn.lock) says which versions package.json means, so that two builds of one commit may differ: npm install, commit package-lock.json")
	}
	if m.name != "" {
		if err := r.packages(ctx, tree, w, m, &p); err != nil {
			return plan{}, err
		}
	}
	if err := r.nodeBuild(ctx, tree, w, pkg, m, &p); err != nil {
		return plan{}, err
	}
	start := nodeStart(tree, dir, pkg, w)
	if start.site {
		p.site, p.needs = true, nil
		if p.serves = w.Build.Fallback; p.serves == "" && singlePage(pkg) {
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
	p.enter = []string{
		`export PATH="$root/.titrate/bin:$root/` + p.dir + `/node_modules/.bin:$root/node_modules/.bin:` + filepath.Dir(node.path) + `:$PATH"`,
		`export NODE_ENV="${NODE_ENV:-production}"`,
	}
	p.wrap["node"] = node.path
	return p, nil
}

// nodeBuild plans the scripts that make a package ready, and those of its dependencies.
func (r *run) nodeBuild(ctx context.Context, tree fs.FS, w Workload, pkg packageJSON, m manager, p *plan) error {
	var lines []string
	if p.fetch != "" && installs(tree, p.root, m) {
		lines = append(lines, `(cd "$SRC" && `+m.rebuild+")")
	}
	runner := cmp.Or(m.name, "npm")
	for _, script := range []string{"postinstall", "build"} {
		if pkg.Scripts[script] != "" {
			lines = append(lines, runner+" run "+script)
		}
	}
	p.build = strings.Join(lines, "\n")
	if p.build == "" || m.name != "" {
		return nil
	}
	npm, err := r.find(ctx, w, "npm")
	p.tools = append(p.tools, npm)
	return err
}

// packages plans how a package manager fetches.
func (r *run) packages(ctx context.Context, tree fs.FS, w Workload, m manager, p *plan) error {
	t, err := r.find(ctx, w, m.name)
	var missing *BuildError
	if errors.As(err, &missing) && m.name != "npm" {
		// corepack comes with Node.js and fetches the manager that package.json names.
		core, cerr := r.find(ctx, w, "corepack")
		if cerr != nil {
			return err
		}
		t, err = core, nil
		p.wrap[m.name] = core.path + " " + m.name
	}
	if err != nil {
		return err
	}
	p.tools = append(p.tools, t)
	for _, name := range []string{m.lock, "package.json", ".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml", ".pnpmfile.cjs"} {
		if isFile(tree, path.Join(p.root, name)) {
			p.locks = append(p.locks, name)
		}
	}
	p.kept = []string{"node_modules"}
	all := members(tree, p.root)
	for dir := range all {
		rel := relative(p.root, dir)
		p.locks = append(p.locks, path.Join(rel, "package.json"))
		p.kept = append(p.kept, path.Join(rel, "node_modules"))
	}
	slices.Sort(p.locks)
	slices.Sort(p.kept)
	if p.root != w.Build.Dir {
		for _, dir := range strangers(all, w.Build.Dir) {
			p.strange = append(p.strange, relative(p.root, dir))
		}
	}
	p.fetch = `cd "$SRC" && ` + m.fetch
	if m.alone != "" {
		p.alone = `cd "$SRC" && ` + m.alone
	}
	p.by = path.Join(p.root, cmp.Or(m.lock, "package.json"))
	return nil
}

// installs reports whether a dependency has an install script, which the fetch step
// does not run.
func installs(tree fs.FS, root string, m manager) bool {
	if m.name != "npm" {
		return m.name != "yarn" || m.fetch == berry.fetch
	}
	f, err := fs.ReadFile(tree, path.Join(root, m.lock))
	return err != nil || strings.Contains(string(f), `"hasInstallScript": true`)
}
