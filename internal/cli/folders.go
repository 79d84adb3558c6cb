package cli

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"titrate/internal/manifest"
)

// codeFolders are the folders with code of the working copy at root, for a manifest
// that may have patterns; nil where it has no functions. Hidden folders and
// node_modules are left aside, and so is what this user may not read.
func codeFolders(root string, src []byte) ([]string, error) {
	if !bytes.Contains(src, []byte("functions")) {
		return nil, nil
	}
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == root:
			return err
		case err != nil:
			return fs.SkipDir
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.Type().IsRegular():
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			files = append(files, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for folders with code: %w", err)
	}
	return manifest.Folders(files), nil
}
