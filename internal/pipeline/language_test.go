package pipeline

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"titrate/internal/manifest"
)

// needTools skips a test on a machine that lacks what it builds with.
func needTools(t *testing.T, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			t.Skipf("no %s on this machine", n)
		}
	}
}

// slow skips a test that builds for long, where only the fast ones are wanted.
func slow(t *testing.T) {
	t.Helper()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("builds for long, and may ask a registry: set TITRATE_TEST_SLOW=1")
	}
}

// answer starts an artifact as a node would and returns what it answers at /.
func answer(t *testing.T, b *Builder, a Artifact) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	c := exec.CommandContext(t.Context(), a.Command[0], a.Command[1:]...)
	c.Dir = b.artifacts.Path(a.Digest)
	c.Path = filepath.Join(c.Dir, a.Command[0])
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "PORT=" + strconv.Itoa(port), "HOME=" + t.TempDir()}
	var said strings.Builder
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	defer func() { _ = c.Process.Kill() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+strconv.Itoa(port)+"/", nil)
		if res, err := http.DefaultClient.Do(req); err == nil {
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			return strings.TrimSpace(string(body))
		}
		select {
		case err := <-ended:
			t.Fatalf("%v ended: %v\n%s", a.Command, err, said.String())
		case <-ctx.Done():
			t.Fatalf("%v does not answer\n", a.Command)
		case <-tick.C:
		}
	}
}

const nodeServer = "require('http').createServer((q, r) => r.end(require('ms')('2 days') + '')).listen(process.env.PORT)\n"

func online(c *Config) { c.Network = true }

// nodeApp is an app with one dependency of the npm registry and its lock file.
func nodeApp(t *testing.T) string {
	t.Helper()
	needTools(t, "node", "npm")
	slow(t)
	source := files(t, "server.js", nodeServer, "package.json", `{"name":"shop","version":"1.0.0","scripts":{"start":"node server.js","build":"echo built > built.txt","test":"node -e 'require(\"ms\")'"},"dependencies":{"ms":"2.1.3"},"devDependencies":{"isarray":"2.0.5"}}`)
	c := exec.CommandContext(t.Context(), "npm", "install", "--package-lock-only", "--ignore-scripts")
	c.Dir = source
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("the npm registry cannot be had: %v\n%s", err, out)
	}
	return source
}

func TestNode_isBuiltFromItsLockFileAndWarmWithoutNetwork(t *testing.T) {
	t.Parallel()
	source := nodeApp(t)
	b := builder(t, online)
	w := goService("shop", ".")
	w.Build.Test = "npm test"
	a := mustBuild(t, b, source, w)[0]
	if got := answer(t, b, a.Artifact); got != "172800000" {
		t.Errorf("it says %q", got)
	}
	dir := b.artifacts.Path(a.Artifact.Digest)
	if !exists(filepath.Join(dir, "built.txt")) || exists(filepath.Join(dir, "node_modules/isarray")) || !exists(filepath.Join(dir, "node_modules/ms")) {
		t.Error("not what the build makes, or not pruned")
	}
	if again := mustBuild(t, b, source, w)[0]; !again.Reused {
		t.Error("it was built again (R1)")
	}
	write(t, source, "server.js", nodeServer+"// changed\n")
	b.cfg.Network = false
	if again, err := build(t, b, source, w); err != nil || again[0].Reused {
		t.Errorf("warm, without network: %+v, %v", again, err)
	}
	b.cfg.Network = true
	write(t, source, "package.json", `{"name":"shop","version":"1.0.0","scripts":{"start":"node server.js"},"dependencies":{"ms":"2.1.2"}}`)
	if _, err := build(t, b, source, w); err == nil || !strings.Contains(err.Error(), CodeLock) {
		t.Errorf("a lock file that does not fit: %v", err)
	}
}

func TestNode_saysWhatIsWrong(t *testing.T) {
	t.Parallel()
	needTools(t, "node", "npm")
	b := builder(t, nil)
	for name, c := range map[string]struct {
		source []string
		test   string
		want   []string
	}{
		"no start":    {[]string{"package.json", `{}`}, "", []string{CodeNothing, "scripts.start"}},
		"build fails": {[]string{"package.json", `{"scripts":{"start":"node x.js","build":"echo about to fail; exit 3"}}`}, "", []string{CodeFailed, "about to fail"}},
		"test fails":  {[]string{"package.json", `{"scripts":{"start":"node x.js"}}`}, "echo three are wrong; false", []string{CodeTest, "three are wrong"}},
		"no network":  {[]string{"package.json", `{"dependencies":{"ms":"2.1.3"},"scripts":{"start":"node x.js"}}`, "package-lock.json", `{"name":"x","lockfileVersion":3,"packages":{"":{"dependencies":{"ms":"2.1.3"}},"node_modules/ms":{"version":"2.1.3","resolved":"https://registry.npmjs.org/ms/-/ms-2.1.3.tgz","integrity":"sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA=="}}}`}, "", []string{CodeUnreachable, "--network"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := goService("shop", ".")
			w.Build.Test = c.test
			_, err := build(t, b, files(t, c.source...), w)
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

// Not parallel, as it changes PATH.
func TestBuild_saysWaysOutWhereToolsAreMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	b := builder(t, nil)
	for file, want := range map[string]string{
		"package.json": "apt-get install nodejs", "requirements.txt": "apt-get install python3", "pom.xml": "apt-get install default-jdk-headless", "Cargo.toml": "rustup.rs",
	} {
		text := map[string]string{"package.json": `{"scripts":{"start":"node x.js"}}`, "Cargo.toml": "[package]\nname = \"shop\"\n"}[file]
		_, err := build(t, b, files(t, file, text, "Cargo.lock", ""), Workload{Name: "shop", Build: manifest.Build{Dir: "."}})
		if err == nil || !strings.Contains(err.Error(), CodeTool) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "build: {command") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestNode_tellsOfAnotherVersionThanEnginesAsksFor(t *testing.T) {
	t.Parallel()
	needTools(t, "node", "npm")
	b := builder(t, nil)
	var told strings.Builder
	source := files(t, "x.js", "", "package.json", `{"main":"x.js","engines":{"node":">=99"}}`)
	if _, err := b.Build(t.Context(), Job{App: "shop", Label: "r1", Source: source, Workloads: []Workload{goService("shop", ".")}, Progress: &told}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(told.String(), "note    shop: engines.node of package.json asks for node >=99") {
		t.Error(told.String())
	}
}

func TestRust_isBuiltByCargo(t *testing.T) {
	t.Parallel()
	slow(t)
	needTools(t, "cargo", "rustc", "cc")
	b := builder(t, nil)
	const crate = "[package]\nname = \"NAME\"\nversion = \"1.0.0\"\nedition = \"2021\"\n"
	source := files(t, "Cargo.toml", "[workspace]\nmembers = [\"words\", \"shop\"]\nresolver = \"2\"\n",
		"Cargo.lock", "version = 3\n\n[[package]]\nname = \"shop\"\nversion = \"1.0.0\"\ndependencies = [\n \"words\",\n]\n\n[[package]]\nname = \"words\"\nversion = \"1.0.0\"\n",
		"words/Cargo.toml", strings.Replace(crate, "NAME", "words", 1), "words/src/lib.rs", "pub const WORD: &str = \"rusty\";\n",
		"shop/Cargo.toml", strings.Replace(crate, "NAME", "shop", 1)+"[dependencies]\nwords = { path = \"../words\" }\n", "shop/src/main.rs", "fn main() { println!(\"{}\", words::WORD); }\n")
	a := mustBuild(t, b, source, goService("shop", "shop"))[0]
	if got := runs(t, b, a.Artifact); got != "rusty" {
		t.Errorf("it says %q", got)
	}
}

func TestStatic_isServedByTitrate(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "index.html", "<h1>hello</h1>", "a.css", "b {}", "titrate.yaml", "titrate: 1\n")
	w := Workload{Name: "web", Build: manifest.Build{Dir: ".", Fallback: "index.html"}}
	a := mustBuild(t, b, source, w)[0].Artifact
	if got := strings.Join(a.Command, " "); got != "@titrate __static --fallback index.html" {
		t.Errorf("command %q", got)
	}
	if dir := b.artifacts.Path(a.Digest); !exists(filepath.Join(dir, "index.html")) || exists(filepath.Join(dir, "titrate.yaml")) {
		t.Error("not the site's files")
	}
}

func TestJava_saysWhenMavenCannotBeHad(t *testing.T) {
	t.Parallel()
	slow(t)
	needTools(t, "java", "javac", "mvn")
	b := builder(t, nil)
	_, err := build(t, b, files(t, "pom.xml", "<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>shop</artifactId><version>1</version></project>"), goService("shop", "."))
	if err == nil || !strings.Contains(err.Error(), CodeUnreachable) {
		t.Error(err)
	}
}

func TestBuild_aCommandFetchesAndIsTested(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	w := Workload{Name: "web", Build: manifest.Build{Dir: ".", Fetch: "echo got > got", Command: "cp got out", Test: "grep got out", Output: "out", Run: "cat out"}}
	if got := runs(t, b, mustBuild(t, b, files(t, "x", "y"), w)[0].Artifact); got != "got" {
		t.Errorf("it says %q", got)
	}
	w.Build.Test = "grep other out"
	if _, err := build(t, b, files(t, "x", "y"), w); err == nil || !strings.Contains(err.Error(), CodeTest) {
		t.Error(err)
	}
	w.Build.Network = true
	if _, err := build(t, b, files(t, "x", "y"), w); err == nil || !strings.Contains(err.Error(), CodeUnreachable) {
		t.Error(err)
	}
}

func TestGo_isTestedBeforeItIsKept(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "go.mod", goMod, "main.go", mainGo("fine"), "main_test.go", "package main\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) {}\n")
	w := goService("shop", ".")
	w.Build.Test = "go test ./..."
	a := mustBuild(t, b, source, w)[0]
	if got := runs(t, b, a.Artifact); got != "fine" {
		t.Errorf("it says %q", got)
	}
	write(t, source, "main_test.go", "package main\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { t.Error(\"two and two\") }\n")
	if _, err := build(t, b, source, w); err == nil || !strings.Contains(err.Error(), CodeTest) || !strings.Contains(err.Error(), "two and two") {
		t.Errorf("a test that fails: %v", err)
	}
}

func TestVersionIn_seesThroughColours(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"\x1b[1mApache Maven 3.8.7\x1b[m\nMaven home: /usr/share/maven": "3.8.7", "v20.20.2\n": "20.20.2", "Python 3.11.7": "3.11.7", "go version go1.26.8 linux/amd64": "1.26.8", "openjdk 17": "17",
	} {
		if got := versionIn(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

// Not parallel, as it changes PATH.
func TestLanguages_withoutTheirToolsSayWhatIsLeft(t *testing.T) {
	b := builder(t, nil)
	t.Setenv("PATH", t.TempDir())
	for name, c := range map[string]struct {
		code, bring string
		source      []string
	}{
		"node":   {CodeTool, "apt-get install nodejs npm", []string{"package.json", `{"scripts":{"start":"node a.js"}}`}},
		"python": {CodeTool, "apt-get install python3", []string{"main.py", "", "requirements.txt", ""}},
		"java":   {CodeTool, "apt-get install default-jdk-headless", []string{"pom.xml", "<project/>"}},
		"rust":   {CodeTool, "apt-get install cargo", []string{"Cargo.toml", "[package]\nname='shop'\n", "Cargo.lock", "", "src/main.rs", ""}},
		"go":     {CodeNoGo, "apt-get install golang-go", []string{"go.mod", goMod, "main.go", mainGo("x")}},
	} {
		_, err := build(t, b, files(t, c.source...), goService("shop", "."))
		for _, want := range []string{c.code, c.bring, "start titrate again", "a Dockerfile or a prebuilt image: …", "build: {command: …"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %v", name, want, err)
			}
		}
		if name == "java" || name == "rust" {
			continue
		}
		_, err = build(t, b, files(t, append(c.source, "index.mjs", "", "handler.py", "")...), function("shop", ".", map[string]string{"node": "nodejs22", "python": "python3.12", "go": "go"}[name], ""))
		for _, want := range []string{c.code, c.bring, "start titrate again", "a program named bootstrap", "runtime: provided", "build: {command: …, output: …}"} {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Dockerfile") {
				t.Errorf("a function of %s: no %q, or a Dockerfile, in %v", name, want, err)
			}
		}
	}
}

func TestStatic_whatACommandMakesIsServed(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	w := Workload{Name: "web", Build: manifest.Build{Dir: ".", Command: "mkdir public && cp a.md public/index.html", Output: "public"}}
	if a := mustBuild(t, b, files(t, "a.md", "<h1>made</h1>"), w)[0].Artifact; strings.Join(a.Command, " ") != "@titrate __static" {
		t.Errorf("command %q", a.Command)
	}
	for file, want := range map[string]string{"hugo.toml": "command: hugo --minify, output: public", "_config.yml": "jekyll build", "mkdocs.yml": "mkdocs build"} {
		if _, err := Detect(repo(file, "", "Gemfile", "")); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "ruby main.rb") {
			t.Errorf("%s: %v", file, err)
		}
	}
}
