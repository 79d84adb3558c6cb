package pipeline

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"titrate/internal/world"
)

// layeredBy is a function of Node.js with layers.
func layeredBy(name, dir string, layers ...string) Workload {
	w := function(name, dir, "nodejs18", "handler.handler")
	w.Function.Layers = layers
	return w
}

func zipOf(t *testing.T, namesTexts ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(namesTexts); i += 2 {
		w, err := z.Create(namesTexts[i])
		if err == nil {
			_, err = w.Write([]byte(namesTexts[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLayers_areInTheArtifactWithWhatTheyDeclare(t *testing.T) {
	t.Parallel()
	needTools(t, "node", "npm")
	b := builder(t, nil)
	source := files(t, "fn/a/handler.js", "exports.handler = () => 1", "fn/b/handler.js", "exports.handler = () => 2", "fn/c/handler.js", "exports.handler = () => 3",
		"layers/words/nodejs/package.json", `{"name":"words","dependencies":{"word":"file:word.tgz"}}`, "layers/words/nodejs/package-lock.json", wordLock, "layers/words/nodejs/word.tgz", packageFile(t, "word", "module.exports = 'word'"),
		"layers/words/bin/say", "#!/bin/sh\necho early\n",
		"layers/sam/package.json", `{"name":"words","dependencies":{"word":"file:word.tgz"}}`, "layers/sam/package-lock.json", wordLock, "layers/sam/word.tgz", packageFile(t, "word", "module.exports = 'word'"), "layers/sam/own.js", "",
		"dist/more.zip", zipOf(t, "bin/say", "#!/bin/sh\necho late\n", "lib/x.so", "x"))
	ws := []Workload{layeredBy("a", "fn/a", "layers/words", "dist/more.zip"), layeredBy("b", "fn/b", "layers/words", "dist/more.zip"), layeredBy("c", "fn/c", "layers/sam")}
	res := mustBuild(t, b, source, ws...)
	at := func(i int, name string) string {
		return filepath.Join(b.artifacts.Path(res[i].Artifact.Digest), filepath.FromSlash(world.Layers), filepath.FromSlash(name))
	}
	for i, names := range [][]string{
		{"nodejs/node_modules/word/package.json", "nodejs/package.json", "bin/say", "lib/x.so"},
		{"nodejs/node_modules/word/package.json", "lib/x.so"},
		{"nodejs/node_modules/word/package.json", "nodejs/own.js"},
	} {
		for _, name := range names {
			if !exists(at(i, name)) {
				t.Errorf("%s has no %s", ws[i].Name, name)
			}
		}
	}
	if text, err := os.ReadFile(at(0, "bin/say")); err != nil || !strings.Contains(string(text), "late") {
		t.Errorf("the later layer does not go over the earlier: %s, %v", text, err)
	}
	if exists(at(2, "package.json")) {
		t.Error("a layer as SAM builds it lies beside the folder of its language")
	}
	first, err := os.Stat(at(0, "lib/x.so"))
	second, err2 := os.Stat(at(1, "lib/x.so"))
	if err != nil || err2 != nil || !os.SameFile(first, second) {
		t.Errorf("a layer's files lie on the disk twice: %v, %v", err, err2)
	}
	if err := b.artifacts.Verify(res[0].Artifact.Digest); err != nil {
		t.Error(err)
	}
	for i, again := range mustBuild(t, b, source, ws...) {
		if !again.Reused || again.Artifact.Digest != res[i].Artifact.Digest {
			t.Errorf("%s was built again (R1)", again.Workload)
		}
	}
	write(t, source, "layers/words/bin/more", "#!/bin/sh\n")
	changed := mustBuild(t, b, source, ws...)
	for i, want := range []bool{true, true, false} {
		if got := changed[i].Artifact.Digest != res[i].Artifact.Digest; got != want {
			t.Errorf("%s is a new version: %v, after one layer has changed", ws[i].Name, got)
		}
	}
}

func TestLayers_sayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files []string
		layer string
		want  []string
	}{
		"not there":    {nil, "layers/none", []string{CodeLayer, "no layer layers/none"}},
		"outside":      {nil, "../other", []string{CodeLayer, "no layer ../other"}},
		"a file":       {[]string{"layers/x.txt", "x"}, "layers/x.txt", []string{CodeLayer, "neither a folder nor a zip"}},
		"empty":        {[]string{"layers/x/titrate.yaml", ""}, "layers/x", []string{CodeLayer, "is empty"}},
		"no zip":       {[]string{"x.zip", "x"}, "x.zip", []string{CodePackage, "it is no zip"}},
		"leads out":    {[]string{"x.zip", zipOf(t, "../../evil", "x")}, "x.zip", []string{CodePackage, "leads out of it"}},
		"bad packages": {[]string{"l/nodejs/package.json", "{"}, "l", []string{"package.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := builder(t, nil)
			source := files(t, append([]string{"fn/handler.js", "exports.handler = () => 1"}, c.files...)...)
			_, err := b.Build(t.Context(), Job{App: "shop", Label: "r1", Source: source, Workloads: []Workload{layeredBy("fn", "fn", c.layer)}})
			var e *BuildError
			if !errors.As(err, &e) {
				t.Fatalf("no BuildError: %v", err)
			}
			if e.Workload != "fn" {
				t.Errorf("it names %s", e.Workload)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in\n%v", want, err)
				}
			}
		})
	}
}
