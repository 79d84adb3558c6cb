package pipeline

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func repo(nameContent ...string) fstest.MapFS {
	tree := fstest.MapFS{}
	for i := 0; i < len(nameContent); i += 2 {
		tree[nameContent[i]] = &fstest.MapFile{Data: []byte(nameContent[i+1])}
	}
	return tree
}

const servesOn8081 = "package main\n\nimport \"net/http\"\n\nfunc main() {\n\thttp.HandleFunc(\"/healthz\", nil)\n\thttp.ListenAndServe(\":8081\", nil)\n}\n"

func TestDetect_findsGoPrograms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want string
	}{
		"at the root":       {repo("go.mod", "module example.com/checkout/v2\n", "main.go", servesOn8081), "checkout . 8081 /healthz"},
		"under cmd":         {repo("go.mod", "module x.com/y\n", "cmd/api/main.go", servesOn8081, "cmd/worker/main.go", mainGo("x"), "tools/gen/main.go", mainGo("x")), "api cmd/api 8081 /healthz, worker cmd/worker 0  worker"},
		"in other folders":  {repo("go.mod", "module x.com/y\n", "services/store/main.go", servesOn8081, "services/orders/main.go", servesOn8081), "orders services/orders 8081 /healthz, store services/store 8081 /healthz"},
		"names that repeat": {repo("go.mod", "module x.com/y\n", "a/server/main.go", servesOn8081, "b/server/main.go", servesOn8081), "a-server a/server 8081 /healthz, b-server b/server 8081 /healthz"},
		"reads PORT":        {repo("go.mod", "module x.com/y\n", "main.go", "package main\n\nimport (\"net/http\"; \"os\")\n\nfunc main() { http.ListenAndServe(\":\"+os.Getenv(\"PORT\"), nil) }\n"), "y . 0 "},
		"not built here":    {repo("go.mod", "module x.com/y\n", "main.go", servesOn8081, "gen/main.go", "//go:build ignore\n\npackage main\n", "testdata/x/main.go", mainGo("x"), "vendor/v/main.go", mainGo("x")), "y . 8081 /healthz"},
		"health elsewhere":  {repo("go.mod", "module x.com/y\n", "cmd/api/main.go", mainGo("x"), "internal/web/web.go", "package web\n\nimport \"net/http\"\n\nfunc f(m *http.ServeMux) { m.HandleFunc(\"GET /health\", nil) }\n"), "api cmd/api 0 /health"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := Detect(c.tree)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range d.Services {
				line := fmt.Sprint(s.Name, " ", s.Dir, " ", s.Port, " ", s.Health)
				if s.Worker {
					line += " worker"
				}
				got = append(got, line)
				if s.From == "" || s.Port != 0 && s.PortFrom == "" || s.Health != "" && s.HealthFrom == "" {
					t.Errorf("no source of the guess: %+v", s)
				}
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), c.want)
			}
		})
	}
}

func TestDetect_findsServicesOfOtherLanguages(t *testing.T) {
	t.Parallel()
	const express = "const app = require('express')()\napp.get('/healthz', f)\napp.listen(process.env.PORT || 3000)\n"
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want string
	}{
		"node":            {repo("package.json", `{"name":"@acme/web-shop","scripts":{"start":"node server.js"}}`, "server.js", express), "web-shop . node 0 /healthz"},
		"node's own port": {repo("package.json", `{"main":"index.js"}`, "index.js", "require('http').createServer(f).listen(3000)\n"), "app . node 3000 "},
		"a site by vite":  {repo("package.json", `{"name":"ui","scripts":{"dev":"vite","build":"vite build"},"devDependencies":{"vite":"5"}}`, "index.html", "x"), "ui . static 0 /"},
		"a plain site":    {repo("public/index.html", "x"), "app . static 0 /"},
		"workspaces":      {repo("package.json", `{"workspaces":["apps/*","lib"],"scripts":{"start":"turbo dev"}}`, "apps/web/package.json", `{"scripts":{"start":"node ."},"name":"web"}`, "apps/api/package.json", `{"main":"main.js"}`, "apps/api/main.js", express, "lib/package.json", "{}"), "api apps/api node 0 /healthz, web apps/web node 0 "},
		"several":         {repo("go.mod", "module x.com/y\n", "store/main.go", servesOn8081, "mail/requirements.txt", "flask\n", "mail/app.py", "app = Flask(__name__)\n", "calc/pom.xml", "<project/>", "fast/Cargo.toml", "[package]\nname = 'fast'\n", "fast/src/main.rs", "fn main() {}", "docs/x.md", "x"), "calc calc java 0 , fast fast rust 0 , mail mail python 0 , store store go 8081 /healthz"},
		"django":          {repo("manage.py", "x", "shop/wsgi.py", "x", "requirements.txt", "gunicorn\ndjango\n"), "app . python 0 "},
		"a site of Go":    {repo("go.mod", "module x.com/y\n", "main.go", servesOn8081, "public/index.html", "x"), "y . go 8081 /healthz"},
	} {
		d, err := Detect(c.tree)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, s := range d.Services {
			got = append(got, fmt.Sprint(s.Name, " ", s.Dir, " ", s.Kind, " ", s.Port, " ", s.Health))
		}
		slices.Sort(got)
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, strings.Join(got, ", "), c.want)
		}
	}
}

// endless is a tree whose Go files have no end, and tells of who looks for it.
type endless struct {
	fs.FS
	t *testing.T
}

func (e endless) Open(name string) (fs.File, error) {
	f, err := e.FS.Open(name)
	if err != nil || path.Ext(name) != ".go" {
		return f, err
	}
	return &endlessFile{File: f, t: e.t}, nil
}

type endlessFile struct {
	fs.File
	t    *testing.T
	read int
}

func (f *endlessFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if errors.Is(err, io.EOF) {
		n, err = len(p), nil
		clear(p)
	}
	if f.read += n; f.read > maxRead+1<<20 {
		f.t.Error("it is read without end")
		return n, io.EOF
	}
	return n, err
}

func TestDetect_readsTheStartOfAHugeFileOnly(t *testing.T) {
	t.Parallel()
	d, err := Detect(endless{repo("go.mod", "module x\n", "main.go", servesOn8081), t})
	if err != nil || len(d.Services) != 1 || d.Services[0].Port != 8081 {
		t.Errorf("%+v, %v", d.Services, err)
	}
}

func TestDetect_takesNamesOfSecretsAndNoValues(t *testing.T) {
	t.Parallel()
	d, err := Detect(repo("go.mod", "module x\n", "main.go", servesOn8081, ".env.example", "# words\nDATABASE_URL=postgres://user:hunter22@h/db\nexport PSP_KEY=\nPORT=80\nDATABASE_URL=again\n"))
	if err != nil || len(d.Secrets) != 2 || d.Secrets[0] != (Secret{"DATABASE_URL", ".env.example"}) || d.Secrets[1].Name != "PSP_KEY" {
		t.Fatalf("%+v, %v", d.Secrets, err)
	}
}

func TestDetect_saysWhatItFoundWhenThereIsNothingToBuild(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"package.json": "scripts.start", "Cargo.toml": "src/main.rs", "nothing": CodeNothing, "README.md": "titrate demo",
	} {
		_, err := Detect(repo(file, "x"))
		var e *BuildError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", file, err)
		}
	}
	d, err := Detect(repo("titrate.yaml", "titrate: 1\n", "Dockerfile", "x"))
	if err != nil || !d.Manifest || len(d.Services) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestDetect_dockerfiles(t *testing.T) {
	t.Parallel()
	d, err := Detect(repo("go.mod", "module x\n", "cmd/api/main.go", servesOn8081, "cmd/api/Dockerfile", "FROM x\n", "web/Dockerfile", "FROM x AS a\nEXPOSE 3000\n", "a/b/Dockerfile", "FROM x\nEXPOSE 1000\nEXPOSE 2000\n"))
	if err != nil || len(d.Services) != 3 || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "cmd/api/Dockerfile builds api") {
		t.Fatalf("%+v, %v", d, err)
	}
	if web := d.Services[1]; web.Name != "web" || web.Dir != "web" || web.Kind != "docker" || !strings.Contains(web.PortFrom, "EXPOSEs 3000") {
		t.Errorf("%+v", web)
	}
	if b := d.Services[2]; b.Dir != "a/b" || b.PortFrom != "" {
		t.Errorf("%+v", b)
	}
}

// TestDetect_aDockerfileAndWhatItServes: the pages and the code below a Dockerfile are
// the Dockerfile's, and its scripts say where it is asked.
func TestDetect_aDockerfileAndWhatItServes(t *testing.T) {
	t.Parallel()
	const node = "FROM node:22\nCOPY . .\nEXPOSE 80\nCMD [\"node\", \"server.js\"]\n"
	for name, c := range map[string]struct {
		tree fs.FS
		want string
	}{
		"pages":  {repo("Dockerfile", "FROM x\n", "main.go", servesOn8081, "static/index.html", "x"), ". docker "},
		"script": {repo("Dockerfile", node, "server.js", "if (req.url === '/up') return ok()"), ". docker /up"},
		"rails":  {repo("Dockerfile", "FROM ruby\n", "config/routes.rb", "get \"up\" => \"rails/health#show\", as: :rails_health_check"), ". docker /up"},
		"above":  {repo("Dockerfile", "FROM x\n", "go.mod", "module x\n", "cmd/api/main.go", servesOn8081), "cmd/api go /healthz Dockerfile stands above api and is not used: build: {dir: ., with: docker} builds it"},
	} {
		d, err := Detect(c.tree)
		if err != nil || len(d.Services) != 1 {
			t.Errorf("%s: %+v, %v", name, d, err)
			continue
		}
		s := d.Services[0]
		got := s.Dir + " " + s.Kind + " " + s.Health
		if name == "above" {
			got += " " + strings.Join(d.Notes, ", ")
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
