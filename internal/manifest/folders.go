package manifest

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Folders returns those folders of a repository that hold code which can be a
// function: a file of Go that is no test, of JavaScript, TypeScript or Python, or a
// program named bootstrap. files are paths from the repository's root, with slashes.
// The root itself, what tools keep (node_modules, hidden folders) and names that a
// pattern could not tell from its own signs are left out. The result is sorted, and
// never nil: it is what [Parse] matches patterns with.
func Folders(files []string) []string {
	seen := map[string]bool{}
	out := []string{}
	for _, f := range files {
		dir, name := path.Split(path.Clean(f))
		dir = strings.TrimSuffix(dir, "/")
		if seen[dir] || !isCode(name) {
			continue
		}
		seen[dir] = true
		if isFolder(dir) {
			out = append(out, dir)
		}
	}
	slices.Sort(out)
	return out
}

// isCode reports whether a file of that name makes its folder one of code.
func isCode(name string) bool {
	switch path.Ext(name) {
	case ".go":
		return !strings.HasSuffix(name, "_test.go")
	case ".js", ".mjs", ".cjs", ".ts", ".py":
		return true
	}
	return name == "bootstrap"
}

// isFolder reports whether a folder can be that of a function.
func isFolder(dir string) bool {
	if dir == "" || !utf8.ValidString(dir) || checkRepoPath(dir) != nil || strings.ContainsAny(dir, "*{}") {
		return false
	}
	return !slices.ContainsFunc(strings.Split(dir, "/"), func(part string) bool { return part == "node_modules" || strings.HasPrefix(part, ".") })
}

// FoldersIn are the [Folders] of a working copy, for a manifest's text that may have
// patterns; nil where it has no functions. Hidden folders and node_modules are left
// aside, and so is what may not be read.
func FoldersIn(tree fs.FS, src []byte) ([]string, error) {
	if !bytes.Contains(src, []byte("functions")) {
		return nil, nil
	}
	var files []string
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && name == ".":
			return err
		case err != nil:
			return fs.SkipDir
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.Type().IsRegular():
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for folders with code: %w", err)
	}
	return Folders(files), nil
}
