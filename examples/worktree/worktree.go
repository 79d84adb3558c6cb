// Package worktree writes the repository of an example into a folder.
package worktree

import (
	"fmt"
	"os"
	"path/filepath"
)

// Write writes files, whose names are slash-separated and relative to dir. One that has
// its content already is left alone, so that only what changed looks changed.
func Write(dir string, files map[string]string) error {
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if old, err := os.ReadFile(path); err == nil && string(old) == content {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil { //nolint:gosec // a repository, for everybody to read
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
