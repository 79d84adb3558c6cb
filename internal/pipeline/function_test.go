package pipeline

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"titrate/internal/manifest"
)

// function is a workload that is called: name, folder, and runtime and handler where the
// manifest has them.
func function(name, dir string, runtimeHandler ...string) Workload {
	f := &FunctionBuild{}
	if len(runtimeHandler) > 0 {
		f.Runtime = runtimeHandler[0]
	}
	if len(runtimeHandler) > 1 {
		f.Handler = runtimeHandler[1]
	}
	return Workload{Name: name, Build: manifest.Build{Dir: dir}, Function: f}
}

// bootstraps starts the program of a function as a node would, but for its host.
func bootstraps(t *testing.T, b *Builder, a Artifact) string {
	t.Helper()
	if a.Runtime == "" || len(a.Command) != 1 || a.Command[0] != "./bootstrap" {
		t.Fatalf("no program: %+v", a)
	}
	return runs(t, b, a)
}

func TestFunction_goProgramsAreBuiltToBootstraps(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "go.mod", goMod, "jobs/a/main.go", mainGo("a"), "jobs/b/main.go", mainGo("b"), "jobs/b/page.html", "hello", "web/main.go", mainGo("web"))
	var told strings.Builder
	res, err := b.Build(t.Context(), Job{App: "shop", Label: "r1", Source: source, Progress: &told, Workloads: []Workload{
		function("jobs-a", "jobs/a"), function("jobs-b", "jobs/b", "provided.al2023", "b"), goService("web", "web"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Artifact{{Runtime: "provided", Handler: "bootstrap"}, {Runtime: "provided.al2023", Handler: "b"}} {
		a := res[i].Artifact
		if a.Runtime != want.Runtime || a.Handler != want.Handler {
			t.Errorf("%s has runtime %q and handler %q", res[i].Workload, a.Runtime, a.Handler)
		}
		if got := bootstraps(t, b, a); got != strings.TrimPrefix(res[i].Workload, "jobs-") {
			t.Errorf("%s says %q", res[i].Workload, got)
		}
	}
	if !exists(filepath.Join(b.artifacts.Path(res[1].Artifact.Digest), "page.html")) {
		t.Error("what stands beside the code did not go along")
	}
	if a := res[2].Artifact; a.Runtime != "" || a.Handler != "" || runs(t, b, a) != "web" {
		t.Errorf("the service: %+v", a)
	}
	text, err := os.ReadFile(b.path("logs", "builds", "shop", "r1", "jobs-b.compile.log"))
	if err != nil || !strings.Contains(string(text), "-tags=lambda.norpc ./jobs/a ./jobs/b\n") {
		t.Errorf("not built together: %s, %v", text, err)
	}
}

func TestProgress_tellsOnceOfFunctionsThatShareAnArtifact(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "go.mod", goMod, "main.go", mainGo("all"))
	for _, want := range []string{` s   [0-9a-f]{12}   and 2 more\n$`, `one +unchanged   and 2 more\n$`} {
		var told strings.Builder
		_, err := b.Build(t.Context(), Job{App: "shop", Label: "r1", Source: source, Progress: &told, Workloads: []Workload{
			function("one", ".", "go", "one"), function("two", ".", "go", "two"), function("three", ".", "go", "three"),
		}})
		if err != nil || strings.Count(told.String(), "\n") != 1 || !regexp.MustCompile(want).MatchString(told.String()) {
			t.Errorf("told %q, %v; want one line like %q", told.String(), err, want)
		}
	}
}

func TestR1_functionsOfOneFolderShareAnArtifact(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "go.mod", goMod, "main.go", "package main\n\nimport \"os\"\n\nfunc main() { println(os.Getenv(\"_HANDLER\")) }\n", "README.md", "words")
	ws := []Workload{function("one", ".", "go", "one"), function("two", ".", "go", "two"), function("three", ".", "go1.x", "three")}
	first := mustBuild(t, b, source, ws...)
	for i, res := range first {
		a := res.Artifact
		if a.Digest != first[0].Artifact.Digest || a.Handler != ws[i].Name || a.Runtime != ws[i].Function.Runtime || res.Reused {
			t.Errorf("%s: %+v", res.Workload, res)
		}
		if text, err := os.ReadFile(b.path("logs", "builds", "shop", "r1", ws[i].Name+".compile.log")); err != nil || strings.Count(string(text), "$ go build") != 1 {
			t.Errorf("the log of %s: %q, %v", ws[i].Name, text, err)
		}
	}
	if err := b.Artifacts().Verify(first[0].Artifact.Digest); err != nil {
		t.Error(err)
	}
	ws[1].Function.Handler = "other"
	again := mustBuild(t, b, source, ws...)
	for i, res := range again {
		if !res.Reused || res.Artifact.Digest != first[0].Artifact.Digest || res.Artifact.Handler != ws[i].Function.Handler {
			t.Errorf("%s: %+v", res.Workload, res)
		}
	}
	write(t, source, "main.go", "package main\n\nfunc main() { nope() }\n")
	res, err := build(t, b, source, ws...)
	if err == nil || !strings.Contains(res[0].Err.Error(), "undefined: nope") || strings.Contains(res[2].Err.Error(), "undefined") || !strings.Contains(res[2].Err.Error(), "shares its build with one") {
		t.Errorf("%v", err)
	}
}

func TestFunction_thatNeedsCIsToldSo(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "go.mod", goMod, "fn/main.go", "package main\n\nimport _ \"example.com/shop/c\"\n\nfunc main() {}\n", "c/c.go", "package c\n\nimport \"C\"\n")
	_, err := build(t, b, source, function("fn", "fn"))
	if err == nil || !strings.Contains(err.Error(), "build constraints exclude all Go files") || !strings.Contains(err.Error(), "functions are built without C") {
		t.Error(err)
	}
}

func TestFunction_withAWSsLibraryIsBuiltWithoutNetwork(t *testing.T) {
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
		"fn/main.go", "package main\n\nimport \"github.com/aws/aws-lambda-go/lambda\"\n\nfunc main() { lambda.Start(func() (string, error) { return \"hello\", nil }) }\n")
	a := mustBuild(t, b, source, function("fn", "fn", "provided.al2023"))[0].Artifact
	c := exec.CommandContext(t.Context(), filepath.Join(b.artifacts.Path(a.Digest), "bootstrap"))
	c.Env = []string{"PATH=/nowhere"}
	if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "AWS_LAMBDA_RUNTIME_API") {
		t.Errorf("it asks for no work: %v, %s", err, out)
	}
}

func TestFunction_aReadyBootstrapIsTakenAsItIs(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "fn/bootstrap", "#!/bin/sh\ncat data\n", "fn/data", "ready", "titrate.yaml", "titrate: 1\n", "other/bootstrap", "#!/bin/sh\necho other\n")
	ws := []Workload{function("fn", "fn"), function("other", "other", "provided")}
	res := mustBuild(t, b, source, ws...)
	for i, want := range []string{"ready", "other"} {
		if got := bootstraps(t, b, res[i].Artifact); got != want {
			t.Errorf("%s says %q", res[i].Workload, got)
		}
	}
	write(t, source, "fn/data", "changed")
	again := mustBuild(t, b, source, ws...)
	if again[0].Reused || !again[1].Reused || bootstraps(t, b, again[0].Artifact) != "changed" {
		t.Errorf("after a change of fn: %+v", again)
	}
}

func TestFunction_aBootstrapThatCannotRunIsRefused(t *testing.T) {
	t.Parallel()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skipf("needs /proc to read a program of this machine: %v", err)
	}
	other := append([]byte{}, self[:100]...)
	other[18], other[19] = 8, 0 // e_machine: MIPS
	b := builder(t, nil)
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    []string // empty: it runs
	}{
		"program":         {string(self[:100]), 0o755, nil},
		"script":          {"#!/bin/sh\n", 0o755, nil},
		"not executable":  {string(self[:100]), 0o644, []string{"not executable", "chmod +x bootstrap"}},
		"other processor": {string(other), 0o755, []string{"another processor: EM_MIPS", "GOARCH="}},
		"no interpreter":  {"#!/no/where -x\n", 0o755, []string{"run by /no/where, which is not on this machine"}},
		"line ends":       {"#!/bin/sh\r\necho\r\n", 0o755, []string{"line ends of Windows", "sed -i"}},
		"text":            {"hello", 0o755, []string{"neither a program", "GOOS=linux"}},
		"empty":           {"", 0o755, []string{"neither a program"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := t.TempDir()
			if err := os.Mkdir(filepath.Join(source, "fn"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(source, "fn", "bootstrap"), []byte(c.content), c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := build(t, b, source, function("fn", "fn"))
			if len(c.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for _, want := range append(c.want, CodeBootstrap, "functions.fn.build = fn", "nothing has moved") {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in %v", want, err)
				}
			}
		})
	}
}

func TestFunction_byACommandThatLeavesAFolderAProgramOrAZip(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "fn/make", "#!/bin/sh\nmkdir -p out && printf '#!/bin/sh\\necho made\\n' > out/bootstrap && chmod +x out/bootstrap\n", "fn/x.zip", "")
	if err := os.WriteFile(filepath.Join(source, "fn", "x.zip"), zipped(t, "bootstrap", "#!/bin/sh\necho zipped\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	folder, program, packed, whole, ready := function("folder", "fn"), function("program", "fn", "provided"), function("packed", "fn"), function("whole", "fn"), function("ready", "fn")
	folder.Build.Command, folder.Build.Output = "./make", "out"
	program.Build.Command, program.Build.Output = "./make && mv out/bootstrap it", "it"
	packed.Build.Command, packed.Build.Output = "mkdir dist && cp x.zip dist/fn.zip", "dist/fn.zip"
	whole.Build.Command = "./make && mv out/bootstrap ."
	ready.Build.Output = "x.zip"
	res := mustBuild(t, b, source, folder, program, packed, whole, ready)
	for i, want := range []string{"made", "made", "zipped", "made", "zipped"} {
		if got := bootstraps(t, b, res[i].Artifact); got != want {
			t.Errorf("%s says %q", res[i].Workload, got)
		}
	}
	if res[2].Artifact.Digest != res[4].Artifact.Digest {
		t.Error("the same zip is not the same artifact")
	}
	for _, again := range mustBuild(t, b, source, folder, program, packed, whole, ready) {
		if !again.Reused {
			t.Errorf("%s was built again (R1)", again.Workload)
		}
	}
	packed.Build.Command = "mkdir dist && echo no zip > dist/fn.zip"
	if _, err := build(t, b, source, packed); err == nil || !strings.Contains(err.Error(), CodePackage) || !strings.Contains(err.Error(), "dist/fn.zip: it is no zip") {
		t.Error(err)
	}
	packed.Build.Command = "true"
	if _, err := build(t, b, source, packed); err == nil || !strings.Contains(err.Error(), CodeOutput) || !strings.Contains(err.Error(), "left no dist/fn.zip") {
		t.Error(err)
	}
	folder.Build.Command = "ln -s / out"
	if _, err := build(t, b, source, folder); err == nil || !strings.Contains(err.Error(), CodeOutput) {
		t.Errorf("a link out of the build: %v", err)
	}
}

func TestFunction_oneCommandLeavesTheZipsOfAll(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	fn := func(name, output, command string) Workload {
		w := function(name, ".", "provided")
		w.Build.Command, w.Build.Output = command, output
		return w
	}
	const pack = "test ! -e ran && touch ran && mkdir out && for f in a b; do mkdir $f && echo '#!/bin/sh' > $f/bootstrap && chmod +x $f/bootstrap && echo $f > $f/own && mv $f out/; done"
	source := files(t, "pack.sh", pack)
	res := mustBuild(t, b, source, fn("a", "out/a", pack), fn("b", "out/b", pack))
	if res[0].Artifact.Digest == res[1].Artifact.Digest {
		t.Error("both have the same files")
	}
	for i, want := range []string{"a", "b"} {
		own, err := os.ReadFile(filepath.Join(b.artifacts.Path(res[i].Artifact.Digest), "own"))
		if err != nil || strings.TrimSpace(string(own)) != want {
			t.Errorf("%s has %q: %v", want, own, err)
		}
	}
	_, err := build(t, b, source, fn("a", "out/a", "exit 7"), fn("b", "out/b", "exit 7"))
	if err == nil || !strings.Contains(err.Error(), "it shares its build with") {
		t.Errorf("the command failed once: %v", err)
	}
}

func TestFunction_saysWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	for name, c := range map[string]struct {
		source []string
		w      Workload
		want   []string
	}{
		"no folder":       {[]string{"x", "y"}, function("fn", "none"), []string{CodeNothing, "no folder none"}},
		"nothing in it":   {[]string{"fn/x", "y", "go.mod", goMod}, function("fn", "fn"), []string{CodeNothing, "no package main, no bootstrap", "handler.js", "bootstrap"}},
		"no bootstrap":    {[]string{"fn/x", "y", "go.mod", goMod}, function("fn", "fn", "provided"), []string{CodeNothing, "no bootstrap"}},
		"unknown runtime": {[]string{"fn/x", "y"}, function("fn", "fn", "ruby3.3"), []string{CodeHandler, `"ruby3.3" is not known`, "nodejs22"}},
		"no go.mod":       {[]string{"fn/main.go", mainGo("x")}, function("fn", "fn"), []string{CodeNothing, "go mod init"}},
		"with docker":     {[]string{"fn/x", "y"}, Workload{Name: "fn", Build: manifest.Build{Dir: "fn", With: "docker"}, Function: &FunctionBuild{}}, []string{CodeHandler, "not built with: docker", "command"}},
		"an empty output": {[]string{"fn/x", "y"}, Workload{Name: "fn", Build: manifest.Build{Dir: "fn", Command: "mkdir out", Output: "out"}, Function: &FunctionBuild{}}, []string{CodeHandler, "no function"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := build(t, b, files(t, c.source...), c.w)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in\n%v", want, err)
				}
			}
		})
	}
}

func TestFunction_isCheckedBeforeAnythingMoves(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	var fails error
	b := builder(t, func(c *Config) {
		c.CheckFunction = func(_ context.Context, folder, runtime, handler string) error {
			mu.Lock()
			defer mu.Unlock()
			if !exists(filepath.Join(folder, "bootstrap")) {
				return errors.New("no files in " + folder)
			}
			asked = append(asked, runtime+" "+handler)
			if handler == "bad" {
				return fails
			}
			return nil
		}
	})
	source := files(t, "fn/bootstrap", "#!/bin/sh\n")
	good, bad := function("good", "fn", "provided", "good"), function("bad", "fn", "provided", "bad")
	fails = fmt.Errorf("it ended: %w", &LackError{Saw: "handler.js throws", Help: "mend handler.js"})
	res, err := build(t, b, source, good, bad)
	for _, want := range []string{CodeFunction, "bad was not built", "the handler bad with runtime provided: handler.js throws", "help    mend handler.js"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if res[0].Err != nil || len(asked) != 2 {
		t.Errorf("%+v; asked %v", res, asked)
	}
	fails = errors.New("plainly no")
	if _, err := build(t, b, source, good, bad); err == nil || !strings.Contains(err.Error(), "plainly no") || len(asked) != 3 {
		t.Errorf("%v; asked %v", err, asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var fault *BuildError
	if _, err := b.Build(ctx, Job{App: "shop", Label: "r1", Source: source, Workloads: []Workload{bad}}); errors.As(err, &fault) || !errors.Is(err, context.Canceled) {
		t.Errorf("a build that was called off: %v", err)
	}
}

// packageFile is a package of npm in a file, so that no registry is asked.
func packageFile(t *testing.T, name, module string) string {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	tw := tar.NewWriter(z)
	for _, f := range [][2]string{{"package/package.json", `{"name":"` + name + `","version":"1.0.0","main":"i.js"}`}, {"package/i.js", module}} {
		if err := tw.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const wordLock = `{"name":"fns","lockfileVersion":3,"requires":true,"packages":{"":{"name":"fns","dependencies":{"word":"file:word.tgz"}},"node_modules/word":{"version":"1.0.0","resolved":"file:word.tgz"}}}`

// calls calls a handler of Node.js as its runtime would.
func calls(t *testing.T, b *Builder, a Artifact) string {
	t.Helper()
	file, export, _ := strings.Cut(a.Handler, ".")
	if len(a.Command) != 0 {
		t.Fatalf("it has a command: %v", a.Command)
	}
	c := exec.CommandContext(t.Context(), "node", "-e", "console.log(require('./"+file+"')."+export+"())")
	c.Dir = b.artifacts.Path(a.Digest)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("call %s: %v\n%s", a.Handler, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestFunction_nodeFunctionsOfOnePackageShareItsInstall(t *testing.T) {
	t.Parallel()
	needTools(t, "node", "npm")
	b := builder(t, nil)
	source := files(t, "package.json", `{"name":"fns","dependencies":{"word":"file:word.tgz"}}`, "package-lock.json", wordLock, "word.tgz", packageFile(t, "word", "module.exports = 'word'"),
		"api/get/handler.js", "exports.handler = () => 'get ' + require('word')", "api/put/index.js", "exports.handler = () => 'put ' + require('../../lib')",
		"lib.js", "module.exports = 'lib'", "src/orders.js", "exports.create = () => 'create ' + require('word')", "web/main.go", mainGo("x"), "go.mod", goMod, "internal/lib.go", "package internal\n")
	ws := []Workload{
		function("get", "api/get"), function("put", "api/put"), function("create", ".", "", "src/orders.create"), function("named", "api/put", "", "api/put/index.handler"),
		goService("web", "web"),
	}
	res := mustBuild(t, b, source, ws...)
	for i, want := range []struct{ handler, says string }{
		{"api/get/handler.handler", "get word"}, {"api/put/index.handler", "put lib"}, {"src/orders.create", "create word"}, {"api/put/index.handler", "put lib"},
	} {
		a := res[i].Artifact
		if a.Digest != res[0].Artifact.Digest || a.Runtime != "nodejs" || a.Handler != want.handler {
			t.Errorf("%s: %+v", res[i].Workload, a)
		}
		if got := calls(t, b, a); got != want.says {
			t.Errorf("%s says %q", res[i].Workload, got)
		}
	}
	for _, name := range []string{"web", "go.mod", "internal/lib.go"} {
		if exists(filepath.Join(b.artifacts.Path(res[0].Artifact.Digest), name)) {
			t.Errorf("%s, which is the service's, went along", name)
		}
	}
	if logs, err := filepath.Glob(b.path("logs", "builds", "shop", "r1", "*.fetch.log")); err != nil || len(logs) != 5 {
		t.Errorf("logs %v, %v", logs, err)
	}
	if deps, err := filepath.Glob(b.path("builds", "deps", "shop", "*")); err != nil || len(deps) != 1 {
		t.Errorf("installed %v, %v", deps, err)
	}
	write(t, source, "web/main.go", mainGo("y"))
	write(t, source, "internal/lib.go", "package internal\n\n// changed\n")
	for _, again := range mustBuild(t, b, source, ws...)[:4] {
		if !again.Reused {
			t.Errorf("%s was built again (R1)", again.Workload)
		}
	}
}

func TestFunction_membersOfAWorkspaceShareItsInstall(t *testing.T) {
	t.Parallel()
	needTools(t, "node", "npm")
	b := builder(t, nil)
	source := files(t, "package.json", `{"name":"fns","workspaces":["fn/*"]}`, "word.tgz", packageFile(t, "word", "module.exports = 'word'"),
		"package-lock.json", `{"name":"fns","lockfileVersion":3,"requires":true,"packages":{"":{"name":"fns","workspaces":["fn/*"]},"fn/a":{"name":"a","dependencies":{"word":"file:../../word.tgz"}},"fn/b":{"name":"b","dependencies":{"word":"file:../../word.tgz"}},
"node_modules/a":{"resolved":"fn/a","link":true},"node_modules/b":{"resolved":"fn/b","link":true},"node_modules/word":{"version":"1.0.0","resolved":"file:word.tgz"}}}`,
		"fn/a/package.json", `{"name":"a","main":"a.js","dependencies":{"word":"file:../../word.tgz"}}`, "fn/a/a.js", "exports.handler = () => 'a ' + require('word')",
		"fn/b/package.json", `{"name":"b","dependencies":{"word":"file:../../word.tgz"}}`, "fn/b/index.js", "exports.handler = () => 'b ' + require('word')")
	ws := []Workload{function("a", "fn/a"), function("b", "fn/b")}
	res := mustBuild(t, b, source, ws...)
	for i, want := range []string{"a word", "b word"} {
		if got := calls(t, b, res[i].Artifact); got != want {
			t.Errorf("%s says %q", res[i].Workload, got)
		}
	}
	if deps, err := filepath.Glob(b.path("builds", "deps", "shop", "*")); err != nil || len(deps) != 1 {
		t.Errorf("installed %v, %v", deps, err)
	}
	write(t, source, "fn/b/index.js", "exports.handler = () => 'changed'")
	again := mustBuild(t, b, source, ws...)
	if !again[0].Reused || again[1].Reused {
		t.Errorf("after a change of b: %+v", again)
	}
}

func TestFunction_nodeWithoutAPackageIsItsFolder(t *testing.T) {
	t.Parallel()
	needTools(t, "node", "npm")
	b := builder(t, nil)
	source := files(t, "a/index.mjs", "export const handler = () => 1", "b/other.js", "exports.handler = () => 'b'", "b/index.js", "module.exports = {}", "b/tool.py", "x = 1")
	res := mustBuild(t, b, source, function("a", "a", "nodejs20.x"), function("b", "b", "", "other.handler"))
	if a := res[0].Artifact; a.Handler != "index.handler" || a.Runtime != "nodejs20.x" || a.Command != nil {
		t.Errorf("%+v", a)
	}
	if got := calls(t, b, res[1].Artifact); got != "b" {
		t.Errorf("b says %q", got)
	}
}

func TestFunction_typescriptNeedsABuildScript(t *testing.T) {
	t.Parallel()
	needTools(t, "node", "npm")
	b := builder(t, nil)
	source := files(t, "package.json", `{"name":"fn"}`, "src/handler.ts", "export const handler = async () => 1")
	_, err := build(t, b, source, function("fn", "."))
	for _, want := range []string{CodeHandler, "src/handler.ts is TypeScript", "build script", "--outdir=dist"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	write(t, source, "package.json", `{"name":"fn","scripts":{"build":"mkdir dist && echo \"exports.handler = () => 'built'\" > dist/handler.js"}}`)
	a := mustBuild(t, b, source, function("fn", "."))[0].Artifact
	if got := calls(t, b, a); got != "built" || a.Handler != "dist/handler.handler" {
		t.Errorf("%s says %q", a.Handler, got)
	}
	w := function("fn", ".")
	w.Build.Output = "dist"
	a = mustBuild(t, b, source, w)[0].Artifact
	if a.Handler != "handler.handler" || exists(filepath.Join(b.artifacts.Path(a.Digest), "src")) {
		t.Errorf("with an output: %+v", a)
	}
}

func TestFunction_pythonPackagesStandBesideItsFiles(t *testing.T) {
	t.Parallel()
	source := files(t, "requirements.txt", "--index-url "+index(t)+"\nword==1.0\n", "fn/lambda_function.py", "import word\ndef lambda_handler(event, context):\n    return word.WORD.decode()\n",
		"jobs/app.py", "from shared import NAME\nhandler = lambda event, context: NAME\n", "shared.py", "NAME = 'shared'\n", "alone/requirements.txt", "", "alone/main.py", "async def handler(event, context): pass\n", "alone/word.py", "own = 1\n")
	b := builder(t, online)
	res := mustBuild(t, b, source, function("fn", "fn"), function("jobs", "jobs"), function("alone", "alone", "python3"), function("same", "jobs", "", "jobs.app.handler"))
	for i, want := range []string{"fn/lambda_function.lambda_handler", "jobs/app.handler", "main.handler", "jobs.app.handler"} {
		if a := res[i].Artifact; a.Handler != want || a.Command != nil || a.Runtime == "" {
			t.Errorf("%s: %+v", res[i].Workload, a)
		}
	}
	if res[0].Artifact.Digest != res[3].Artifact.Digest || exists(filepath.Join(b.artifacts.Path(res[0].Artifact.Digest), "alone")) {
		t.Error("what is of one root is not one artifact, or of several")
	}
	c := exec.CommandContext(t.Context(), "python3", "-c", "import importlib; print(importlib.import_module('fn.lambda_function').lambda_handler({}, None))")
	c.Dir = b.artifacts.Path(res[0].Artifact.Digest)
	if out, err := c.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "from a wheel" {
		t.Errorf("it says %s, %v", out, err)
	}
}

func TestFunction_foldersOfRoutesAreBuiltTogether(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	const code = "package main\n\nimport (\n\t_ \"embed\"\n\t\"os\"\n\n\t\"example.com/shop/api/drivers/get/internal/word\"\n)\n\n//go:embed page/*.txt\nvar page string\n\nfunc main() { os.Stdout.WriteString(word.Word + page) }\n"
	source := files(t, "go.mod", goMod, "api/pickups/[id]/get/main.go", mainGo("pickup"), "api/pickups/get/main.go", mainGo("pickups"), "api/pickups/get/main_test.go", "package main\n",
		"api/drivers/get/main.go", strings.Replace(code, "page/*.txt", "page/a.txt", 1), "api/drivers/get/page/a.txt", " page", "api/drivers/get/internal/word/w.go", "package word\n\nconst Word = \"driver\"\n")
	ws := []Workload{function("one", "api/pickups/[id]/get"), function("all", "api/pickups/get"), function("drivers", "api/drivers/get")}
	first := mustBuild(t, b, source, ws...)
	for i, want := range []string{"pickup", "pickups", "driver page"} {
		if got := bootstraps(t, b, first[i].Artifact); got != want {
			t.Errorf("%s says %q", first[i].Workload, got)
		}
	}
	text, err := os.ReadFile(b.path("logs", "builds", "shop", "r1", "one.compile.log"))
	if err != nil || strings.Count(string(text), "$ go build") != 1 || strings.Count(string(text), " ./api/") != 3 {
		t.Errorf("not built together: %s, %v", text, err)
	}
	write(t, source, "api/drivers/get/page/a.txt", " changed")
	for i, again := range mustBuild(t, b, source, ws...) {
		if again.Reused == (i == 2) {
			t.Errorf("after a change of drivers: %+v", again)
		}
	}
	// Alone it is the same program.
	if alone := mustBuild(t, builder(t, nil), source, ws[0])[0]; alone.Artifact.Digest != first[0].Artifact.Digest {
		t.Error("a function changes with what is built beside it")
	}
	write(t, source, "api/pickups/[id]/get/main.go", "package main\n\nfunc main() { nope() }\n")
	if _, err := build(t, b, source, ws...); err == nil || !strings.Contains(err.Error(), "api/pickups/[id]/get/main.go:3:15: undefined: nope") {
		t.Errorf("it does not compile: %v", err)
	}
}
