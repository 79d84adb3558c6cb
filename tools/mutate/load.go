package main

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// source is a package with the types of its expressions.
type source struct {
	name  string
	files *token.FileSet
	trees map[string]*ast.File // by path
	texts map[string][]byte
	types map[ast.Expr]types.TypeAndValue
}

// load parses and checks the package in root/pkg, without its tests. What it
// imports is read from the build cache.
func load(ctx context.Context, root, pkg string) (*source, error) {
	exports, err := exported(ctx, root, pkg)
	if err != nil {
		return nil, err
	}
	s := &source{files: token.NewFileSet(), trees: map[string]*ast.File{}, texts: map[string][]byte{}, types: map[ast.Expr]types.TypeAndValue{}}
	paths, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
	if err != nil {
		return nil, err
	}
	var trees []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		tree, err := parser.ParseFile(s.files, path, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		s.trees[path], s.texts[path], s.name = tree, text, tree.Name.Name
		trees = append(trees, tree)
	}
	config := types.Config{Importer: importer.ForCompiler(s.files, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})}
	_, err = config.Check(pkg, s.files, trees, &types.Info{Types: s.types})
	return s, err
}

// exported returns where the compiled form of each imported package lies.
func exported(ctx context.Context, root, pkg string) (map[string]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "./"+filepath.ToSlash(pkg))
	cmd.Dir = root
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, complaint.Bytes())
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(text)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = file
	}
	return exports, nil
}
