package pipeline

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// withManager puts a package manager first on PATH, installed from the npm registry
// into the project's own folder of tools.
func withManager(t *testing.T, spec string) {
	t.Helper()
	slow(t)
	needTools(t, "node", "npm")
	dir, err := filepath.Abs(filepath.Join("..", "..", ".cache", "test-tools", strings.NewReplacer("@", "", "/", "").Replace(spec)))
	if err != nil {
		t.Fatal(err)
	}
	if !exists(filepath.Join(dir, "bin")) {
		if out, err := exec.CommandContext(t.Context(), "npm", "install", "-g", "--prefix", dir, spec).CombinedOutput(); err != nil {
			t.Skipf("%s cannot be had from the npm registry: %v\n%s", spec, err, out)
		}
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
}

// Not parallel, as its parts change PATH.
func TestNode_byEachPackageManager(t *testing.T) {
	const shop = `{"name":"shop","version":"1.0.0","private":true,"scripts":{"start":"node server.js","build":"echo built > built.txt"},"dependencies":{"ms":"2.1.3"},"devDependencies":{"isarray":"2.0.5"}}`
	for _, c := range []struct {
		name, spec, lock string // lock: the command that makes the lock file
		prunes           bool
	}{
		{"pnpm", "pnpm@9", "pnpm install --lockfile-only", true},
		{"yarn classic", "yarn@1", "yarn install --ignore-scripts && rm -r node_modules", true},
		{"yarn berry", "@yarnpkg/cli-dist@4", "touch yarn.lock && YARN_ENABLE_IMMUTABLE_INSTALLS=0 YARN_NODE_LINKER=node-modules YARN_ENABLE_GLOBAL_CACHE=0 YARN_CACHE_FOLDER=/tmp/berry$$ yarn install --mode=update-lockfile; rm -rf node_modules .yarn /tmp/berry$$", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			withManager(t, c.spec)
			source := files(t, "server.js", nodeServer, "package.json", shop)
			make := exec.CommandContext(t.Context(), "sh", "-c", c.lock)
			make.Dir = source
			make.Env = append(os.Environ(), "CI=")
			if out, err := make.CombinedOutput(); err != nil {
				t.Skipf("the npm registry cannot be had: %v\n%s", err, out)
			}
			b := builder(t, online)
			w := goService("shop", ".")
			a := mustBuild(t, b, source, w)[0].Artifact
			if got := answer(t, b, a); got != "172800000" {
				t.Errorf("it says %q", got)
			}
			dir := b.artifacts.Path(a.Digest)
			if !exists(filepath.Join(dir, "built.txt")) || c.prunes == exists(filepath.Join(dir, "node_modules", "isarray")) {
				t.Error("not built, or not pruned as it should be")
			}
			write(t, source, "server.js", nodeServer+"// changed\n")
			b.cfg.Network = false
			if again, err := build(t, b, source, w); err != nil || again[0].Reused {
				t.Errorf("warm, without network: %+v, %v", again, err)
			}
			b.cfg.Network = true
			write(t, source, "package.json", strings.Replace(shop, "2.1.3", "2.1.2", 1))
			if _, err := build(t, b, source, w); err == nil || !strings.Contains(err.Error(), CodeLock) {
				t.Errorf("a lock file that does not fit: %v", err)
			}
		})
	}
}

// Not parallel, as it changes PATH.
func TestNode_yarnComesByCorepackWhereItIsNotInstalled(t *testing.T) {
	tools := t.TempDir()
	for _, name := range []string{"node", "npm", "corepack"} {
		if err := os.WriteFile(filepath.Join(tools, name), []byte("#!/bin/sh\necho 20.1.0\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", tools)
	tree := repo("package.json", `{"scripts":{"start":"node server.js"},"dependencies":{"ms":"2.1.3"}}`, "yarn.lock", "# yarn lockfile v1\n")
	p, err := (&run{Builder: &Builder{}}).planNode(t.Context(), tree, goService("shop", "."))
	if err != nil {
		t.Fatal(err)
	}
	if p.wrap["yarn"] != filepath.Join(tools, "corepack")+" yarn" || p.wrap["node"] != filepath.Join(tools, "node") {
		t.Errorf("found as %v", p.wrap)
	}
}

func TestNode_withoutALockFileIsBuiltWithAWarning(t *testing.T) {
	t.Parallel()
	source := nodeApp(t)
	if err := os.Remove(filepath.Join(source, "package-lock.json")); err != nil {
		t.Fatal(err)
	}
	b := builder(t, online)
	var told strings.Builder
	res, err := b.Build(t.Context(), Job{App: "shop", Label: "r1", Source: source, Workloads: []Workload{goService("shop", ".")}, Progress: &told})
	if err != nil {
		t.Fatal(err)
	}
	if got := answer(t, b, res[0].Artifact); got != "172800000" {
		t.Errorf("it says %q", got)
	}
	for _, want := range []string{"note    shop: no lock file", "npm install --no-package-lock, by package.json", "build: npm rebuild && npm run build", "start: node server.js, by scripts.start of package.json"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("no %q in\n%s", want, told.String())
		}
	}
	logs, err := b.Logs("shop", "r1")
	if err != nil || len(logs) == 0 {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(logs[0]), "shop.detect.log"))
	if err != nil || !strings.Contains(string(text), "start: node server.js") || !strings.Contains(string(text), "warning: no lock file") {
		t.Errorf("%s, %v", text, err)
	}
}

func TestNode_aMemberOfAWorkspaceBringsWhatItImports(t *testing.T) {
	t.Parallel()
	needTools(t, "node", "npm")
	slow(t)
	source := files(t,
		"package.json", `{"name":"all","private":true,"workspaces":["apps/*","libs/*"]}`,
		"libs/words/package.json", `{"name":"@all/words","version":"1.0.0","main":"index.js","dependencies":{"ms":"2.1.3"}}`, "libs/words/index.js", "module.exports = require('ms')\n",
		"apps/web/package.json", `{"name":"web","version":"1.0.0","scripts":{"start":"node main.js"},"dependencies":{"@all/words":"*"}}`,
		"apps/web/main.js", "require('http').createServer((q, r) => r.end(require('@all/words')('1 day') + '')).listen(process.env.PORT)\n",
		"apps/other/package.json", `{"name":"other","version":"1.0.0","main":"x.js"}`, "apps/other/x.js", "nothing\n")
	c := exec.CommandContext(t.Context(), "npm", "install", "--package-lock-only", "--ignore-scripts")
	c.Dir = source
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("the npm registry cannot be had: %v\n%s", err, out)
	}
	b := builder(t, online)
	a := mustBuild(t, b, source, goService("web", "apps/web"))[0].Artifact
	if got := answer(t, b, a); got != "86400000" {
		t.Errorf("it says %q", got)
	}
	write(t, source, "apps/other/x.js", "changed\n")
	if again := mustBuild(t, b, source, goService("web", "apps/web"))[0]; !again.Reused {
		t.Error("another member's change builds it anew (R1)")
	}
}
