package pipeline

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goWith returns a go command that believes in another environment.
func goWith(t *testing.T, env ...string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "go", "#!/bin/sh\nexport "+strings.Join(env, " ")+"\nexec go \"$@\"\n")
	return filepath.Join(dir, "go")
}

// downloads returns the download folder of this machine's module cache.
func downloads(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "cache", "download")
}

// usesCmp is a repository that needs one module, and nothing of that one's needs.
func usesCmp(t *testing.T) string {
	t.Helper()
	sum, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := ""
	for line := range strings.Lines(string(mod)) {
		if _, v, ok := strings.Cut(line, "github.com/google/go-cmp "); ok {
			version = strings.Fields(v)[0]
		}
	}
	return files(t, "go.mod", goMod+"\nrequire github.com/google/go-cmp "+version+"\n", "go.sum", string(sum),
		"main.go", "package main\n\nimport (\n\t\"os\"\n\n\t\"github.com/google/go-cmp/cmp\"\n)\n\nfunc main() { os.Stdout.WriteString(cmp.Diff(1, 1) + \"same\") }\n")
}

func TestFetch_unpacksWhatTheUserHasDownloaded(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	from, to := filepath.Join(downloads(t), "github.com/google/go-cmp"), filepath.Join(cache, "cache/download/github.com/google/go-cmp")
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(from, to); err != nil {
		t.Fatal(err)
	}
	b := builder(t, func(c *Config) { c.Go = goWith(t, "GOMODCACHE="+cache) })
	t.Cleanup(func() { removeAll(b.path("builds", "modcache")) })
	res := mustBuild(t, b, usesCmp(t), goService("shop", "."))
	if got := runs(t, b, res[0].Artifact); got != "same" {
		t.Errorf("it says %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "*")); len(left) != 1 {
		t.Errorf("the user's cache was written to: %v", left)
	}
}

func TestFetch_usesTheNetworkOnlyWhenAllowed(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 100)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		http.FileServer(http.Dir(downloads(t))).ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	for _, allowed := range []bool{false, true} {
		t.Run(fmt.Sprint(allowed), func(t *testing.T) {
			cache := filepath.Join(t.TempDir(), "none")
			b := builder(t, func(c *Config) {
				c.Network = allowed
				c.Go = goWith(t, "GOMODCACHE="+cache, "GOPROXY="+proxy.URL, "GOSUMDB=off")
			})
			res, err := build(t, b, usesCmp(t), goService("shop", "."))
			switch {
			case allowed && (err != nil || runs(t, b, res[0].Artifact) != "same" || len(asked) == 0):
				t.Errorf("allowed: %v, %d requests", err, len(asked))
			case !allowed && (err == nil || len(asked) != 0 || !strings.Contains(err.Error(), CodeModule) || !strings.Contains(err.Error(), "--network")):
				t.Errorf("not allowed: %v, %d requests", err, len(asked))
			}
		})
	}
}

func TestFetch_aWorkspaceAndAReplacedModule(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	lib := "package lib\n\nconst Word = \"from lib\"\n"
	main := "package main\n\nimport (\n\t\"os\"\n\n\t\"example.com/lib\"\n)\n\nfunc main() { os.Stdout.WriteString(lib.Word) }\n"
	work := files(t, "go.work", "go 1.24\n\nuse (\n\t./svc\n\t./lib\n)\n", "svc/go.mod", "module example.com/svc\n\ngo 1.24\n", "svc/main.go", main, "lib/go.mod", "module example.com/lib\n\ngo 1.24\n", "lib/lib.go", lib)
	replaced := files(t, "svc/go.mod", "module example.com/svc\n\ngo 1.24\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../lib\n", "svc/main.go", main, "lib/go.mod", "module example.com/lib\n\ngo 1.24\n", "lib/lib.go", lib)
	for _, source := range []string{work, replaced} {
		res := mustBuild(t, b, source, goService("svc", "svc"))
		if got := runs(t, b, res[0].Artifact); got != "from lib" {
			t.Errorf("it says %q", got)
		}
		write(t, source, "lib/lib.go", strings.Replace(lib, "from", "of", 1))
		if res = mustBuild(t, b, source, goService("svc", "svc")); res[0].Reused || runs(t, b, res[0].Artifact) != "of lib" {
			t.Error("a change of the module beside it was not seen")
		}
	}
}
