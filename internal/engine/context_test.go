package engine_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"testing"

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
