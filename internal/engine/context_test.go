package engine_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"
	"testing/fstest"

	"titrate/internal/engine"
)

// names lists what a context packs.
func names(t *testing.T, c *engine.Context) []string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Pack(&b); err != nil {
		t.Fatal(err)
	}
	var out []string
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, h.Name)
	}
}

// TestContext_isReadableForTheImagesUser whatever the umask was of who wrote it: 0077 under
// systemd, where `COPY app /app` and `USER app` gave "execute /app: permission denied".
func TestContext_isReadableForTheImagesUser(t *testing.T) {
	t.Parallel()
	c, err := engine.OpenContext(fstest.MapFS{
		"Dockerfile": {Mode: 0o600}, "app": {Mode: 0o700}, "lib": {Mode: fs.ModeDir | 0o700}, "lib/data": {Mode: 0o660}, "plain": {Mode: 0o644},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.Pack(&b); err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"Dockerfile": 0o644, "app": 0o755, "lib/": 0o755, "lib/data": 0o644, "plain": 0o644}
	r := tar.NewReader(&b)
	for range want {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode != want[h.Name] {
			t.Errorf("%s: %o, not %o", h.Name, h.Mode, want[h.Name])
		}
	}
}
