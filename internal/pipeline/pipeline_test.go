package pipeline

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"titrate/internal/manifest"
)

// The test binary is the program that builds run again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "__sandbox":
			os.Exit(Sandbox(os.Args[2:]))
		case "__gocache":
			os.Exit(GoCache(os.Args[2:], os.Stdin, os.Stdout))
		}
	}
	os.Exit(m.Run())
}

func builder(t *testing.T, change func(*Config)) *Builder {
	t.Helper()
	cfg := Config{Dir: t.TempDir(), Launcher: []string{os.Args[0]}, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	b, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	// Artifacts are read-only; the test's folder must be removable.
	t.Cleanup(func() { removeAll(b.artifacts.dir); removeAll(b.path("builds")) })
	return b
}

// files writes a repository: name, content, name, content, …
func files(t *testing.T, nameContent ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(nameContent); i += 2 {
		write(t, dir, nameContent[i], nameContent[i+1])
	}
	return dir
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	mode := os.FileMode(0o644)
	if strings.HasPrefix(content, "#!") {
		mode = 0o755
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

const goMod = "module example.com/shop\n\ngo 1.24\n"

func mainGo(says string) string {
	return "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"" + says + "\\n\") }\n"
}

func goService(name, dir string) Workload {
	return Workload{Name: name, Build: manifest.Build{Dir: dir}}
}

func build(t *testing.T, b *Builder, source string, ws ...Workload) ([]Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	return b.Build(ctx, Job{App: "shop", Label: "r1", Source: source, Workloads: ws})
}

func mustBuild(t *testing.T, b *Builder, source string, ws ...Workload) []Result {
	t.Helper()
	res, err := build(t, b, source, ws...)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// runs starts an artifact as a node would.
func runs(t *testing.T, b *Builder, a Artifact) string {
	t.Helper()
	c := exec.Command(a.Command[0], a.Command[1:]...)
	c.Dir = b.artifacts.Path(a.Digest)
	if strings.HasPrefix(a.Command[0], "./") {
		c.Path = filepath.Join(c.Dir, a.Command[0])
	}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("run %v: %v\n%s", a.Command, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestBuild_goProgramsOfOneModuleTogether(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "go.mod", goMod, "services/a/main.go", mainGo("a"), "services/b/main.go", mainGo("b"),
		"services/a/templates/index.html", "hello", "services/a/migrate", "#!/bin/sh\necho migrated", "services/a/README.md", "words", "other/b/main.go", mainGo("other b"))
	res := mustBuild(t, b, source, goService("a", "services/a"), goService("b", "services/b"), goService("c", "other/b"))
	for i, want := range []string{"a", "b", "other b"} {
		if got := runs(t, b, res[i].Artifact); got != want || res[i].Reused {
			t.Errorf("%s says %q", res[i].Workload, got)
		}
		if err := b.Artifacts().Verify(res[i].Artifact.Digest); err != nil {
			t.Error(err)
		}
	}
	dir := b.artifacts.Path(res[0].Artifact.Digest)
	if _, err := os.Stat(filepath.Join(dir, "templates/index.html")); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "migrate")); err != nil || info.Mode().Perm() != 0o555 {
		t.Error(info, err)
	}
	for _, left := range []string{"main.go", "README.md"} {
		if exists(filepath.Join(dir, left)) {
			t.Errorf("%s went along", left)
		}
	}
	for _, log := range []string{"a.fetch.log", "b.fetch.log", "a.compile.log", "b.compile.log"} {
		if text, err := os.ReadFile(b.path("logs", "builds", "shop", "r1", log)); err != nil || !strings.Contains(string(text), "$ go ") {
			t.Errorf("%s: %q, %v", log, text, err)
		}
	}
}

func TestR1_onlyWhatChangedIsBuiltAgain(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "go.mod", goMod, "a/main.go", mainGo("a"), "a/main_test.go", "package main\n", "b/main.go",
		"package main\n\nimport (\n\t\"os\"\n\n\t\"example.com/shop/lib\"\n)\n\nfunc main() { os.Stdout.WriteString(lib.Word) }\n",
		"lib/lib.go", "package lib\n\nconst Word = \"one\"\n")
	ws := []Workload{goService("a", "a"), goService("b", "b")}
	first := mustBuild(t, b, source, ws...)
	again := mustBuild(t, b, source, ws...)
	for i := range ws {
		if !again[i].Reused || again[i].Artifact.Digest != first[i].Artifact.Digest {
			t.Errorf("%s was built again", again[i].Workload)
		}
	}
	write(t, source, "lib/lib.go", "package lib\n\nconst Word = \"two\"\n")
	write(t, source, "a/main_test.go", "package main\n\n// changed\n")
	write(t, source, "titrate.yaml", "titrate: 1\n")
	changed := mustBuild(t, b, source, ws...)
	if !changed[0].Reused || changed[1].Reused || changed[1].Artifact.Digest == first[1].Artifact.Digest || runs(t, b, changed[1].Artifact) != "two" {
		t.Errorf("after a change of lib: %+v", changed)
	}
	// The same content elsewhere, by another builder: the same artifact.
	write(t, source, "lib/lib.go", "package lib\n\nconst Word = \"one\"\n")
	other := builder(t, nil)
	copied := t.TempDir()
	if err := copyTree(source, copied); err != nil {
		t.Fatal(err)
	}
	if res := mustBuild(t, other, copied, ws...); res[1].Artifact.Digest != first[1].Artifact.Digest {
		t.Error("the build is not reproducible")
	}
}

func TestR1_aLinkIsWhatItLeadsTo(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "go.mod", goMod, "a/main.go", mainGo("a"), "shared/menu", "espresso")
	if err := os.Symlink("../shared/menu", filepath.Join(source, "a", "menu")); err != nil {
		t.Fatal(err)
	}
	mustBuild(t, b, source, goService("a", "a"))
	write(t, source, "shared/menu", "cortado")
	changed := mustBuild(t, b, source, goService("a", "a"))[0]
	menu, err := os.ReadFile(filepath.Join(b.artifacts.Path(changed.Artifact.Digest), "menu"))
	if err != nil || string(menu) != "cortado" || changed.Reused {
		t.Errorf("the artifact carries %q (%v), reused: %t", menu, err, changed.Reused)
	}
}

func TestBuild_aModuleOfTheUsersCacheWithoutNetwork(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	sum, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	source := files(t, "go.mod", strings.Replace(string(mod), "module titrate", "module example.com/shop", 1), "go.sum", string(sum),
		"main.go", "package main\n\nimport (\n\t\"os\"\n\n\t\"github.com/google/go-cmp/cmp\"\n)\n\nfunc main() { os.Stdout.WriteString(cmp.Diff(1, 1) + \"same\") }\n")
	res := mustBuild(t, b, source, goService("shop", "."))
	if got := runs(t, b, res[0].Artifact); got != "same" {
		t.Errorf("it says %q", got)
	}
}

func TestBuild_saysWhichModuleIsMissing(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "go.mod", goMod+"\nrequire example.com/far/away v1.2.3\n",
		"go.sum", "example.com/far/away v1.2.3 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nexample.com/far/away v1.2.3/go.mod h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
		"main.go", "package main\n\nimport _ \"example.com/far/away\"\n\nfunc main() {}\n")
	_, err := build(t, b, source, goService("shop", "."))
	if err == nil || !strings.Contains(err.Error(), CodeModule) || !strings.Contains(err.Error(), "example.com/far/away") || !strings.Contains(err.Error(), "go mod download") {
		t.Fatal(err)
	}
}

func TestBuild_tellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	for name, c := range map[string]struct {
		source []string
		w      Workload
		want   []string
	}{
		"does not compile":   {[]string{"go.mod", goMod, "main.go", "package main\n\nfunc main() { x }\n"}, goService("shop", "."), []string{CodeFailed, "main.go:3:15: undefined: x", "services.shop.build = .", "shop.compile.log"}},
		"does not parse":     {[]string{"go.mod", goMod, "main.go", "package main\n\nfunc main( {\n"}, goService("shop", "."), []string{CodeFailed, "main.go:3"}},
		"missing package":    {[]string{"go.mod", goMod, "main.go", "package main\n\nimport _ \"example.com/shop/none\"\n\nfunc main() {}\n"}, goService("shop", "."), []string{CodeFailed, "example.com/shop/none"}},
		"newer Go":           {[]string{"go.mod", "module x\n\ngo 1.99\n", "main.go", mainGo("x")}, goService("shop", "."), []string{CodeGoVersion, "asks for Go 1.99", "go line of go.mod"}},
		"no folder":          {[]string{"go.mod", goMod}, goService("shop", "services/none"), []string{CodeNothing, "no folder services/none"}},
		"no go.mod":          {[]string{"main.go", mainGo("x")}, goService("shop", "."), []string{CodeNothing, "go mod init"}},
		"no program":         {[]string{"go.mod", goMod, "lib.go", "package lib\n"}, goService("shop", "."), []string{CodeNothing, "build: {command"}},
		"several programs":   {[]string{"go.mod", goMod, "a/main.go", mainGo("a"), "b/main.go", mainGo("b")}, goService("shop", "."), []string{CodeNothing, "several programs: a, b", "build: a"}},
		"Dockerfile":         {[]string{"Dockerfile", "FROM scratch\n"}, goService("shop", "."), []string{CodeDocker, "no container engine answers", "apt install docker.io", "image: REF"}},
		"package.json":       {[]string{"package.json", "{}"}, goService("shop", "."), []string{CodeNothing, "scripts.start"}},
		"command fails":      {[]string{"x", "y"}, Workload{Name: "shop", Build: manifest.Build{Dir: ".", Command: "echo about to fail; exit 3", Output: "x"}}, []string{CodeFailed, "exit code 3", "about to fail"}},
		"command not there":  {[]string{"x", "y"}, Workload{Name: "shop", Build: manifest.Build{Dir: ".", Command: "no-such-tool", Output: "x"}}, []string{CodeFailed, "exit code 127", "PATH"}},
		"no output":          {[]string{"x", "y"}, Workload{Name: "shop", Build: manifest.Build{Dir: ".", Command: "true", Output: "dist"}}, []string{CodeOutput, "left no dist"}},
		"output not started": {[]string{"d/x", "y"}, Workload{Name: "shop", Build: manifest.Build{Dir: ".", Command: "true", Output: "d"}}, []string{CodeOutput, "build: {run"}},
		"output leads out":   {[]string{"d/x", "y"}, Workload{Name: "shop", Build: manifest.Build{Dir: ".", Command: "ln -s /etc/passwd d/l", Output: "d", Run: "cat l"}}, []string{CodeOutput, "leads out"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := build(t, b, files(t, c.source...), c.w)
			if err == nil {
				t.Fatal("it was built")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in\n%v", want, err)
				}
			}
		})
	}
}

func TestBuild_oneThatFailsDoesNotHideTheOthers(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "go.mod", goMod, "good/main.go", mainGo("good"), "bad/main.go", "package main\n\nfunc main() { nope() }\n", "worse/main.go", "package main\n\nfunc main() { worse() }\n")
	res, err := build(t, b, source, goService("good", "good"), goService("bad", "bad"), goService("worse", "worse"))
	if err == nil || res[0].Err != nil || res[1].Err == nil || res[2].Err == nil {
		t.Fatal(res, err)
	}
	if text := res[1].Err.Error(); !strings.Contains(text, "bad was not built") || !strings.Contains(text, "undefined: nope") || strings.Contains(text, "undefined: worse") {
		t.Error(text)
	}
	if runs(t, b, res[0].Artifact) != "good" {
		t.Error("the good one does not run")
	}
}

func TestBuild_withoutGoSaysSo(t *testing.T) {
	t.Parallel()
	b := builder(t, func(c *Config) { c.Go = "/nowhere/go" })
	_, err := build(t, b, files(t, "go.mod", goMod, "main.go", mainGo("x")), goService("shop", "."))
	if err == nil || !strings.Contains(err.Error(), CodeNoGo) || !strings.Contains(err.Error(), "shop was not built") {
		t.Fatal(err)
	}
}

func TestBuild_byACommand(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "web/make.sh", "#!/bin/sh\nmkdir -p dist && sed s/NAME/world/ page > dist/page && printf '#!/bin/sh\\ncat page\\n' > dist/serve && chmod +x dist/serve\n", "web/page", "hello NAME\n", "secret", "not for web")
	folder := Workload{Name: "web", Build: manifest.Build{Dir: "web", Command: "./make.sh", Output: "dist", Run: "./serve"}}
	single := Workload{Name: "one", Build: manifest.Build{Dir: "web", Command: "./make.sh && cp dist/serve one && ! cat ../secret", Output: "one"}}
	res := mustBuild(t, b, source, folder, single)
	if got := runs(t, b, res[0].Artifact); got != "hello world" {
		t.Errorf("it says %q", got)
	}
	if got := strings.Join(res[1].Artifact.Command, " "); got != "./one" {
		t.Errorf("command %q", got)
	}
	write(t, source, "secret", "changed")
	if again := mustBuild(t, b, source, folder); !again[0].Reused {
		t.Error("a change elsewhere built it again")
	}
	write(t, source, "web/page", "bye NAME\n")
	if again := mustBuild(t, b, source, folder); again[0].Reused || runs(t, b, again[0].Artifact) != "bye world" {
		t.Error("a change was not built")
	}
	if left, err := os.ReadDir(b.path("builds", "work")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
