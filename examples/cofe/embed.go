// Package cofe is the coffee marketplace that the demo releases, as sources: it
// writes them as a repository of their own, in several variants, each of which
// is one believable commit away from the one before it.
package cofe

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"titrate/examples/worktree"
)

//go:embed services internal
var sources embed.FS

//go:embed variants/*.edit repository/titrate.yaml repository/gomod.txt repository/gosum.txt
var extras embed.FS

// module is this folder's import path in Titrate's own module; the repository
// that is written is the module "cofe".
const module = "titrate/examples/cofe"

// Services lists the services, in the order of titrate.yaml.
func Services() []string {
	return []string{"store", "orders", "payments", "credits", "giftcards", "rewards", "notifications"}
}

// Write writes the repository of a variant into dir: sources, go.mod, go.sum and
// titrate.yaml. Files that are there already are overwritten, and nothing is
// removed but Go files of the services that this variant does not have; dir may
// be a git work tree, in which what changed is the variant's commit.
func Write(dir string, v Variant) error {
	files, err := Files(v)
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
func Files(v Variant) (map[string]string, error) {
	files, err := base()
	if err != nil {
		return nil, err
	}
	edits, err := v.edits()
	if err != nil {
		return nil, err
	}
	for _, e := range edits {
		if err := e.apply(files); err != nil {
			return nil, fmt.Errorf("variant %s: %w", v, err)
		}
	}
	for name, content := range files {
		if strings.HasSuffix(name, ".go") {
			files[name] = strings.ReplaceAll(content, `"`+module+`/`, `"cofe/`)
		}
	}
	for _, service := range Services() {
		program(files, service)
	}
	return files, nil
}

// program makes a service's package, which is one of a library here, a program.
func program(files map[string]string, service string) {
	for name, content := range files {
		if strings.HasPrefix(name, "services/"+service+"/") && strings.HasSuffix(name, ".go") {
			head, body, _ := strings.Cut("\n"+content, "\npackage "+service+"\n")
			files[name] = strings.TrimPrefix(head+"\npackage main\n"+body, "\n")
		}
	}
	files["services/"+service+"/main.go"] = `package main

import (
	"os"

	"cofe/internal/service"
)

func main() { os.Exit(service.Main(Name, Setup)) }
`
}

// base returns the sources as they are here, without tests.
func base() (map[string]string, error) {
	files := map[string]string{".gitignore": "/data/\n"}
	err := fs.WalkDir(sources, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/dbtest/") {
			return nil
		}
		content, err := sources.ReadFile(path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the sources: %w", err)
	}
	for path, from := range map[string]string{"titrate.yaml": "titrate.yaml", "go.mod": "gomod.txt", "go.sum": "gosum.txt"} {
		content, err := extras.ReadFile("repository/" + from)
		if err != nil {
			return nil, fmt.Errorf("read the sources: %w", err)
		}
		files[path] = string(content)
	}
	return files, nil
}

// clean removes Go files below services that files does not have: what an
// earlier variant added there would still be compiled.
func clean(dir string, files map[string]string) error {
	root := filepath.Join(dir, "services")
	if _, err := os.Stat(root); err != nil {
		return nil //nolint:nilerr // nothing is there yet
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
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
}
