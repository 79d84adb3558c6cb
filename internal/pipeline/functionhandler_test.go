package pipeline

import (
	"slices"
	"strings"
	"testing"

	"titrate/internal/manifest"
)

func TestFindHandler(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		f            family
		below, asked string
		output       string
		files        []string
		want         string // or a part of the error
	}{
		"node, handler before index":   {nodeFamily, ".", "", "", []string{"index.js", "exports.handler = 1", "handler.mjs", "export function handler() {}"}, "handler.handler"},
		"node, one that exports it":    {nodeFamily, ".", "", "", []string{"handler.js", "exports.other = 1", "index.cjs", "exports.handler = 1"}, "index.handler"},
		"node, main":                   {nodeFamily, ".", "", "", []string{"package.json", `{"main":"./lib/main.js"}`, "lib/main.js", "exports.handler = 1"}, "lib/main.handler"},
		"node, main without an ending": {nodeFamily, ".", "", "", []string{"package.json", `{"main":"lib/main"}`, "lib/main.js", "exports.handler = 1"}, "lib/main.handler"},
		"node, main leads out":         {nodeFamily, ".", "", "", []string{"package.json", `{"main":"../main.js"}`, "x.js", "exports.handler = 1"}, "x.handler"},
		"node, compiled":               {nodeFamily, "src/a", "", "", []string{"src/a/handler.ts", "", "dist/a/handler.js", "exports.handler = 1"}, "dist/a/handler.handler"},
		"node, a bundle":               {nodeFamily, ".", "", "", []string{"orders.js", "exports.handler = 1"}, "orders.handler"},
		"node, own folder":             {nodeFamily, "a", "index.run", "", []string{"a/index.js", ""}, "handler: a/index.run }"},
		"node, the root first":         {nodeFamily, "a", "index.run", "", []string{"a/index.js", "", "index.js", ""}, "index.run"},
		"node, from the root":          {nodeFamily, "a", "src/x.y.z", "", []string{"src/x.js", ""}, "src/x.y.z"},
		"node, of a library":           {nodeFamily, "a", "node_modules/@x/y/dist/handler.handler", "", []string{"node_modules/@x/y/dist/handler.js", ""}, "node_modules/@x/y/dist/handler.handler"},
		"node, of a layer":             {nodeFamily, "a", "/opt/nodejs/x.handler", "", nil, "/opt/nodejs/x.handler"},
		"node, not another's default":  {nodeFamily, "a", "", "", []string{"index.js", "exports.handler = 1", "a/x.js", "exports.run = 1"}, "no handler in a: looked for handler.js"},
		"node, of an output":           {nodeFamily, "a", "", "dist", []string{"index.js", "exports.handler = 1"}, "index.handler"},
		"node, no such file":           {nodeFamily, ".", "src/a.b", "", []string{"b.js", ""}, "looked for src/a.js, src/a.mjs or src/a.cjs"},
		"node, says what there is":     {nodeFamily, ".", "src/a.b", "", []string{"b.js", "", "c.js", ""}, "handler: b.NAME } } says what is called; there is b.js, c.js"},
		"node, no form":                {nodeFamily, ".", "index", "", []string{"index.js", ""}, "index has not that form"},
		"node, upwards":                {nodeFamily, ".", "../a.b", "", nil, "the handler ../a.b is not in"},
		"node, typescript":             {nodeFamily, ".", "src/a.b", "", []string{"src/a.ts", ""}, "src/a.ts is TypeScript"},
		"python, AWS's":                {pythonFamily, ".", "", "", []string{"app.py", "def handler(e, c): pass", "lambda_function.py", "def lambda_handler(e, c): pass"}, "lambda_function.lambda_handler"},
		"python, defined elsewhere":    {pythonFamily, ".", "", "", []string{"handler.py", "x = 1", "main.py", "handler = Mangum(app)"}, "main.handler"},
		"python, imported":             {pythonFamily, ".", "", "", []string{"app.py", "from orders import (run, handler)"}, "app.handler"},
		"python, a comparison":         {pythonFamily, ".", "", "", []string{"app.py", "handler == 1"}, "no handler"},
		"python, within a class":       {pythonFamily, ".", "", "", []string{"app.py", "class A:\n  def handler(self): pass"}, "no handler"},
		"python, own folder":           {pythonFamily, "a", "x.go", "", []string{"a/x.py", ""}, "handler: a/x.go }"},
		"python, dotted":               {pythonFamily, "a", "src.x.go", "", []string{"src/x.py", ""}, "src.x.go"},
		"python, a package":            {pythonFamily, "a", "src/x.go", "", []string{"src/x/__init__.py", ""}, "src/x.go"},
		"python, no such file":         {pythonFamily, ".", "src.x.go", "", []string{"y.py", ""}, "looked for src/x.py"},
		"python, a dot":                {pythonFamily, "v1.2/a", "", "", []string{"v1.2/a/app.py", "def handler(e, c): pass"}, "dots divide its name"},
		"python, no form":              {pythonFamily, ".", "x", "", nil, "x has not that form"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := Workload{Name: "fn", Build: manifest.Build{Dir: c.below, Output: c.output}, Function: &FunctionBuild{Handler: c.asked}}
			got, err := findHandler(repo(c.files...), c.f, c.below, w)
			if err != nil {
				if !strings.Contains(err.Error(), CodeHandler) || !strings.Contains(err.Error(), "help ") {
					t.Errorf("no code, or no help: %v", err)
				}
				got = err.Error()
			}
			if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestMakingOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		runtime, handler string
		files            []string
		want             making
	}{
		"go":                     {"", "", []string{"main.go", mainGo("x"), "bootstrap", ""}, byGo},
		"go below":               {"", "", []string{"cmd/x/main.go", mainGo("x")}, byGo},
		"go by its runtime":      {"go1.x", "", []string{"main.go", mainGo("x"), "index.js", ""}, byGo},
		"bootstrap":              {"provided.al2", "", []string{"bootstrap", "", "index.js", ""}, byNothing},
		"bootstrap by itself":    {"", "", []string{"bootstrap", ""}, byNothing},
		"node":                   {"", "", []string{"index.mjs", "", "requirements.txt", ""}, byNode},
		"typescript":             {"", "", []string{"handler.ts", ""}, byNode},
		"only a package":         {"", "", []string{"package.json", "{}"}, byNode},
		"python":                 {"", "", []string{"app.py", "", "package.json", "{}", "eslint.config.js", ""}, byPython},
		"by its handler":         {"", "src/a.go", []string{"src/a.py", "", "index.js", ""}, byPython},
		"a runtime over files":   {"python3.12", "", []string{"index.js", ""}, byPython},
		"node over a program":    {"nodejs22", "", []string{"main.go", mainGo("x")}, byNode},
		"nothing":                {"", "", []string{"x", ""}, byGo},
		"tests are no functions": {"", "", []string{"a.test.js", "", "b.py", ""}, byPython},
	} {
		f, _, ok := familyOf(c.runtime)
		got, err := makingOf(repo(c.files...), Workload{Build: manifest.Build{Dir: "."}, Function: &FunctionBuild{Runtime: c.runtime, Handler: c.handler}}, f)
		if err != nil || !ok || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestFamilyOf_readsTheNamesOfRuntimes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]string{
		"": {"", ""}, "go": {"provided", ""}, "go1.x": {"provided", ""}, "provided": {"provided", ""}, "provided.al2023": {"provided", ""},
		"nodejs": {"nodejs", ""}, "nodejs22": {"nodejs", "22"}, "nodejs22.x": {"nodejs", "22"}, "node20": {"nodejs", "20"}, "python3.12": {"python", "3.12"}, "python": {"python", ""},
	} {
		if f, v, ok := familyOf(name); !ok || string(f) != want[0] || v != want[1] {
			t.Errorf("%q: %q %q %t", name, f, v, ok)
		}
	}
	if _, _, ok := familyOf("ruby3.3"); ok {
		t.Error("ruby")
	}
	if !slices.Contains(manifest.Builders, string(byGo)) || !slices.Contains(manifest.Builders, string(byNode)) || !slices.Contains(manifest.Builders, string(byPython)) {
		t.Error("what functions are built with is not what manifests say")
	}
}
