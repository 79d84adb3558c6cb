package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// manager is a package manager: the lock file that says it is used, and its lines.
type manager struct {
	name, spec, lock              string // spec: its name in the npm registry
	fetch, alone, rebuild, finish string // alone: fetch without network
	env                           []string
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
		name: "pnpm", spec: "pnpm", lock: "pnpm-lock.yaml",
		fetch: `pnpm install --frozen-lockfile --ignore-scripts --prod=false --package-import-method copy --store-dir "$DOWNLOADS/pnpm"`,
		alone: `pnpm install --frozen-lockfile --ignore-scripts --prod=false --package-import-method copy --store-dir "$DOWNLOADS/pnpm" --offline`,
		// The store is out of sight by then, and pnpm insists on one in its place.
		rebuild: `sed -i "/storeDir/s|[^\" ]*/pnpm/v|$DEPS/pnpm/v|" node_modules/.modules.yaml && pnpm rebuild --store-dir "$DEPS/pnpm"`,
		finish:  `pnpm prune --prod --ignore-scripts --config.store-dir="$DEPS/pnpm"; rm -f node_modules/.modules.yaml node_modules/.pnpm-workspace-state*.json`,
	},
	{
		name: "yarn", spec: "yarn", lock: "yarn.lock",
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
	name: "yarn", spec: "@yarnpkg/cli-dist", lock: "yarn.lock", fetch: "yarn install --immutable --mode=skip-build", rebuild: "npm rebuild --offline",
	env: []string{"YARN_NODE_LINKER=node-modules", "YARN_ENABLE_GLOBAL_CACHE=false", "YARN_CACHE_FOLDER=$DEPS/yarn", "YARN_GLOBAL_FOLDER=$DEPS/berry", "YARN_ENABLE_TELEMETRY=0"},
}

// packages plans how a package manager fetches.
func (r *run) packages(ctx context.Context, tree fs.FS, w Workload, m manager, p *plan) error {
	before, err := r.manage(ctx, tree, w, m, p)
	if err != nil {
		return err
	}
	for _, name := range []string{m.lock, "package.json", ".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml", ".pnpmfile.cjs"} {
		if isFile(tree, path.Join(p.root, name)) {
			p.locks = append(p.locks, name)
		}
	}
	p.kept = append(p.kept, "node_modules")
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
	p.told = plain(m.fetch)
	p.fetch = `cd "$SRC"` + "\n" + before + m.fetch
	if m.alone != "" {
		p.alone = `cd "$SRC"` + "\n" + strings.ReplaceAll(before, "--prefer-offline", "--offline") + m.alone
	}
	p.by = path.Join(p.root, cmp.Or(m.lock, "package.json"))
	return nil
}

// manage finds the program of a package manager: the one that the repository brings; the
// machine's, where it is of the release that the repository means; otherwise npm fetches
// it, by the line that it returns. What corepack would do is done by npm, which knows the
// registry and the login of the project, and comes with every Node.js.
func (r *run) manage(ctx context.Context, tree fs.FS, w Workload, m manager, p *plan) (before string, err error) {
	if m.name == "npm" {
		t, err := r.find(ctx, w, "npm")
		p.tools = append(p.tools, t)
		return "", err
	}
	if own := yarnPath(tree, p.root); m.name == "yarn" && own != "" {
		p.tools = append(p.tools, tool{name: "yarn", path: own, version: plainVersion.FindString(versionIn(path.Base(own)))})
		p.wrap[m.name] = `node "$SRC/` + own + `"`
		p.locks = append(p.locks, own)
		return "", nil
	}
	asked, release := m.release(tree, p.root)
	t, missing := r.find(ctx, w, m.name)
	if missing == nil {
		if ok, err := fits(t, asked); err != nil || ok {
			p.tools = append(p.tools, t)
			return "", nil //nolint:nilerr // a release that cannot be read is its own to judge
		}
	}
	by, err := r.find(ctx, w, "npm")
	if err != nil {
		return "", cmp.Or(missing, err)
	}
	spec := m.spec + "@" + release
	p.tools = append(p.tools, by, tool{name: m.name, path: spec, version: release + " (which npm fetches)"})
	at := path.Join(managed, m.name)
	p.wrap[m.name] = `node "$SRC/` + at + "/node_modules/.bin/" + m.name + `"`
	p.kept = append(p.kept, at)
	return `mkdir -p ` + at + ` && if [ -f .npmrc ]; then cp .npmrc ` + at + `; fi
npm install --prefix ` + at + ` --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --prefer-offline --cache "$DOWNLOADS/npm" '` + spec + "'\n", nil
}

// managed is the folder, relative to the root, of a package manager that npm has fetched.
const managed = ".titrate/managers"

var (
	yarnPathLine = regexp.MustCompile(`(?m)^yarnPath:\s*["']?([^"'\s]+)`)
	lockRelease  = regexp.MustCompile(`(?m)^lockfileVersion:\s*['"]?(\d+)`)
	berryRelease = regexp.MustCompile(`(?m)^__metadata:\s*\n\s+version:\s*(\d+)`)
)

// yarnPath returns the yarn that a repository brings along, or "".
func yarnPath(tree fs.FS, root string) string {
	text, err := readStart(tree, path.Join(root, ".yarnrc.yml"))
	if err != nil {
		return ""
	}
	m := yarnPathLine.FindSubmatch(text)
	if m == nil || !fs.ValidPath(path.Clean(string(m[1]))) || !isFile(tree, path.Join(root, string(m[1]))) {
		return ""
	}
	return path.Clean(string(m[1]))
}

// release says which releases of a manager will do for a repository, and which is
// fetched: by packageManager of package.json, or by the form of its lock file.
func (m manager) release(tree fs.FS, root string) (asked, fetched string) {
	if pkg, err := readPackage(tree, root); err == nil {
		if name, version, _ := strings.Cut(pkg.PackageManager, "@"); name == m.name && plainVersion.MatchString(version) {
			version, _, _ = strings.Cut(version, "+")
			major, _, _ := strings.Cut(version, ".")
			return "^" + major, version
		}
	}
	form := 0
	text, err := readStart(tree, path.Join(root, m.lock))
	if err != nil {
		text = nil // the manager says so itself
	}
	for _, line := range []*regexp.Regexp{lockRelease, berryRelease} {
		if found := line.FindSubmatch(text); found != nil {
			fmt.Sscan(string(found[1]), &form) //nolint:errcheck // digits, by the expression
		}
	}
	switch {
	case m.name == "pnpm" && form >= 9:
		return ">=9", "10"
	case m.name == "pnpm" && form >= 6:
		return "^8", "8"
	case m.name == "pnpm":
		return "^7", "7"
	case m.spec == berry.spec && form >= 8:
		return "^4", "4"
	case m.spec == berry.spec:
		return "^3", "3"
	}
	return "^1", "1"
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
