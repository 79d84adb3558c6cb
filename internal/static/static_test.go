package static

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"titrate/internal/porttest"
)

func site() fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range map[string]string{
		"index.html": "home", "docs/index.html": "docs", "empty/x.txt": "x", "a b.css": "b {}", "assets/app-B7x2k9Qz.js": "1", "assets/main.3f2a9c1d.css": "2",
		"assets/release-2026-01-02.js": "3", ".env": "secret", ".git/config": "secret", ".well-known/security.txt": "mail us", "data.bin": "0123456789", "404.html": "not here",
	} {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func ask(t *testing.T, h http.Handler, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func said(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestHandler_answersPaths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path, fallback string
		status                 int
		want                   string
	}{
		{"GET", "/", "", 200, "home"},
		{"HEAD", "/", "", 200, ""},
		{"GET", "/index.html", "", 200, "home"},
		{"GET", "/docs/", "", 200, "docs"},
		{"GET", "/docs?x=1", "", 301, ""},
		{"GET", "/empty/", "", 404, "not here"},
		{"GET", "/empty", "", 404, "not here"},
		{"GET", "/a%20b.css", "", 200, "b {}"},
		{"GET", "/.env", "", 404, "not here"},
		{"GET", "/.git/config", "", 404, "not here"},
		{"GET", "/../../etc/passwd", "", 404, "not here"},
		{"GET", "/%2e%2e/%2e%2e/etc/passwd", "", 404, "not here"},
		{"GET", "/.well-known/security.txt", "", 200, "mail us"},
		{"GET", "/data.bin/", "", 404, "not here"},
		{"GET", "/orders/7", "", 404, "not here"},
		{"GET", "/orders/7", "index.html", 200, "home"},
		{"GET", "/missing.js", "index.html", 404, "not here"},
		{"POST", "/", "", 405, "405 method not allowed\n"},
	} {
		r := ask(t, Handler(site(), c.fallback), c.method, c.path)
		if got := said(t, r); r.StatusCode != c.status || got != c.want {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, r.StatusCode, got, c.status, c.want)
		}
	}
	if to := ask(t, Handler(site(), ""), "GET", "/docs?x=1").Header.Get("Location"); to != "./docs/?x=1" {
		t.Errorf("a folder without its slash leads to %q", to)
	}
}

func TestHandler_saysHowLongFilesAreKept(t *testing.T) {
	t.Parallel()
	h := Handler(site(), "")
	for path, want := range map[string]string{
		"/": "no-cache", "/assets/app-B7x2k9Qz.js": "immutable", "/assets/main.3f2a9c1d.css": "immutable", "/assets/release-2026-01-02.js": "no-cache", "/no": "no-cache",
	} {
		if got := ask(t, h, "GET", path).Header.Get("Cache-Control"); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	first := ask(t, h, "GET", "/data.bin")
	tag := first.Header.Get("ETag")
	if tag == "" || ask(t, h, "GET", "/data.bin", "If-None-Match", tag).StatusCode != http.StatusNotModified {
		t.Errorf("the ETag %q is not honoured", tag)
	}
	part := ask(t, h, "GET", "/data.bin", "Range", "bytes=2-4")
	if got := said(t, part); part.StatusCode != http.StatusPartialContent || got != "234" {
		t.Errorf("a range: %d %q", part.StatusCode, got)
	}
	if got := ask(t, h, "GET", "/assets/app-B7x2k9Qz.js").Header.Get("Content-Type"); got != "text/javascript; charset=utf-8" {
		t.Errorf("type %q", got)
	}
}

func TestServe_followsNoLinkOutAndEndsWhenTold(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{filepath.Join(dir, "index.html"): "home", filepath.Join(outside, "secret.txt"): "secret"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(outside, "secret.txt"), filepath.Join(dir, "out.txt")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if r := ask(t, Handler(root.FS(), ""), "GET", "/out.txt"); r.StatusCode != http.StatusNotFound {
		t.Errorf("a link that leads out: %d", r.StatusCode)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := Serve(ctx, dir, porttest.Addr(t), ""); err != nil {
		t.Error(err)
	}
}
