package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Patterns of functions are matched with the folders of the working copy.
func TestValidate_readsFoldersOfFunctions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"titrate.yaml":                                 "titrate: 1\napp: collect\nservices: { web: { build: web } }\nfunctions:\n  api/**: { http: by-path }\n  jobs/nightly: { cron: 0 2 * * *, timeout: 1m }\n",
		"api/pickups/[id]/get/main.go":                 "package main\n",
		"api/pickups/post/index.mjs":                   "",
		"api/pickups/post/node_modules/a/get/index.js": "",
		"api/.cache/get/index.js":                      "",
		"jobs/nightly/handler.py":                      "",
		"web/main.go":                                  "package main\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (stdout, stderr string, code int) {
		var out, said bytes.Buffer
		code = Main(t.Context(), args, Terminal{In: strings.NewReader(""), Out: &out, Err: &said, Dir: dir})
		return out.String(), said.String(), code
	}
	out, said, code := run("validate")
	if want := "✔ titrate.yaml: app collect, 1 service, 3 functions, production\n"; code != exitDone || out != want {
		t.Errorf("code %d, %q, %s", code, out, said)
	}
	out, said, code = run("validate", "--expand")
	for _, want := range []string{`"api/pickups/[id]/get":`, `routes: ["GET /pickups/{id}"]`, "api/pickups/post:", "build: { dir: jobs/nightly }", "drain: 1m"} {
		if code != exitDone || !strings.Contains(out, want) {
			t.Errorf("code %d, no %s in\n%s%s", code, want, out, said)
		}
	}
	out, said, code = run("config", "explain", "timeout")
	if code != exitDone || !strings.Contains(out, "functions.jobs/nightly.timeout") || strings.Contains(out[strings.Index(out, "goes by"):], " web ") {
		t.Errorf("code %d\n%s%s", code, out, said)
	}
	if err := os.RemoveAll(filepath.Join(dir, "api")); err != nil {
		t.Fatal(err)
	}
	if _, said, code = run("validate"); code != exitUsage || !strings.Contains(said, "error[T0372]: no folder with code matches") {
		t.Errorf("code %d, %s", code, said)
	}
}
