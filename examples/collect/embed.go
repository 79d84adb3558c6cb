// Package collect is the bulky-item collection service that the demo of functions
// releases, as sources: 64 functions and a ledger. It writes them as a repository of
// their own, in several variants, each of which is one believable commit away from the
// one before it.
//
// The functions need no module but Go's own, so that the repository builds without a
// network. A few of them can be in JavaScript and Python instead.
package collect

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"titrate/examples/worktree"
)

//go:embed api one on notify timers functions internal services program
var sources embed.FS

//go:embed repository polyglot
var extras embed.FS

// module is this folder's import path in Titrate's own module; the repository
// that is written is the module "collect".
const module = "titrate/examples/collect"

// Options say how a repository is written.
type Options struct {
	Node   bool // some functions are in JavaScript
	Python bool // some functions are in Python
	Quick  bool // steps of seconds instead of minutes: for a demo
}

// Write writes the repository of a variant into dir. Files that are there already are
// overwritten, and Go files that this variant does not have are removed; dir may be a git
// work tree, in which what changed is the variant's commit.
func Write(dir string, v Variant, o Options) error {
	files, err := Files(v, o)
	if err != nil {
		return err
	}
	if err := clean(dir, files); err != nil {
		return fmt.Errorf("write %s: %w", v, err)
	}
	if err := worktree.Write(dir, files); err != nil {
		return fmt.Errorf("write %s: %w", v, err)
	}
	return nil
}

// Files returns the repository of a variant: contents by slash-separated path.
func Files(v Variant, o Options) (map[string]string, error) {
	files, err := base()
	if err != nil {
		return nil, err
	}
	if err := other(files, o); err != nil {
		return nil, err
	}
	edits, err := v.edits(o)
	if err != nil {
		return nil, err
	}
	if o.Quick {
		edits = append(edits, quick...)
	}
	for _, e := range edits {
		if err := e.apply(files); err != nil {
			return nil, fmt.Errorf("variant %s: %w", v, err)
		}
	}
	for name, content := range files {
		if strings.HasSuffix(name, ".go") {
			files[name] = strings.ReplaceAll(content, `"`+module+`/`, `"collect/`)
		}
	}
	return files, nil
}

// base returns the sources as they are here, without tests.
func base() (map[string]string, error) {
	files := map[string]string{".gitignore": "/data/\n"}
	err := fs.WalkDir(sources, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/stagetest/") {
			return err
		}
		content, err := sources.ReadFile(path)
		// The program is what the repository's root builds.
		files[strings.TrimPrefix(path, "program/")] = string(content)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the sources: %w", err)
	}
	for path, from := range map[string]string{"titrate.yaml": "titrate.yaml", "go.mod": "gomod.txt"} {
		content, err := extras.ReadFile("repository/" + from)
		if err != nil {
			return nil, fmt.Errorf("read the sources: %w", err)
		}
		files[path] = string(content)
	}
	return files, nil
}

// clean removes files below the functions' folders that files does not have: what an
// earlier variant, or one with other languages, had there would still be built.
func clean(dir string, files map[string]string) error {
	for _, below := range []string{"api", "one", "on", "notify", "timers"} {
		root := filepath.Join(dir, below)
		if _, err := os.Stat(root); err != nil {
			continue // nothing is there yet
		}
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			if _, ok := files[filepath.ToSlash(name)]; ok {
				return nil
			}
			return os.Remove(path)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
