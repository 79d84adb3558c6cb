package pipeline

import (
	"fmt"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
)

// goModule finds the program of a workload and its module's root, by looking at
// files alone.
func (r *run) goModule(w Workload) (root string, built Workload, err error) {
	tree := os.DirFS(r.job.Source)
	if w.Build.Dir = path.Clean(w.Build.Dir); !fs.ValidPath(w.Build.Dir) || !isDir(tree, w.Build.Dir) {
		return "", w, fault(w, CodeNothing, StepDetect, "the repository has no folder "+w.Build.Dir, "build: names a folder of the repository, relative to its root")
	}
	mains := findMains(tree, w.Build.Dir)
	favourites := favoured(mains)
	switch {
	case w.Build.Output != "" || w.Build.Fallback != "":
		return "", w, fault(w, CodeNothing, StepDetect, "output and fallback mean nothing for a Go program", "remove them; or build: {with: static} for a site")
	case slices.Contains(mains, w.Build.Dir):
	case len(mains) == 0:
		d := Detection{}
		sub, err := fs.Sub(tree, w.Build.Dir)
		if err != nil {
			return "", w, fmt.Errorf("look for the program of %s: %w", w.Name, err)
		}
		d.others(sub)
		d.Looked = append(d.Looked, dockerfiles(sub)...)
		e := d.nothing()
		e.Workload, e.Where = w.Name, where(w)
		return "", w, e
	case slices.Contains(mains, path.Join(w.Build.Dir, "cmd", w.Name)):
		w.Build.Dir = path.Join(w.Build.Dir, "cmd", w.Name)
	case len(favourites) == 1:
		w.Build.Dir = favourites[0]
	default:
		return "", w, fault(w, CodeNothing, StepDetect, "there are several programs: "+strings.Join(mains, ", "), "build: "+mains[0])
	}
	if isFile(tree, "go.work") {
		return ".", w, nil
	}
	if root = moduleRoot(tree, w.Build.Dir); root == "" {
		return "", w, fault(w, CodeNothing, StepDetect, "there is no go.mod in "+w.Build.Dir+" or above it", "go mod init NAME, commit go.mod, push again")
	}
	return root, w, nil
}

// moduleRoot returns the nearest folder with a go.mod, from dir upwards, or "".
func moduleRoot(tree fs.FS, dir string) string {
	for {
		if isFile(tree, path.Join(dir, "go.mod")) {
			return dir
		}
		if dir == "." {
			return ""
		}
		dir = path.Dir(dir)
	}
}

// findMains returns the folders at and under dir that hold a package main for
// this system, in order.
func findMains(tree fs.FS, dir string) []string {
	var out []string
	for _, d := range goDirs(tree, dir) {
		if slices.ContainsFunc(goFiles(tree, d), func(f string) bool { return isMain(tree, f) }) {
			out = append(out, d)
		}
	}
	return out
}

// goDirs returns dir and the folders under it where code may be.
func goDirs(tree fs.FS, dir string) []string {
	var out []string
	looked := 0
	//nolint:errcheck // what cannot be read holds no program
	fs.WalkDir(tree, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil //nolint:nilerr // see above
		}
		base := path.Base(name)
		if name != dir && (base[0] == '.' || base[0] == '_' || base == "testdata" || base == "vendor" || base == "node_modules") {
			return fs.SkipDir
		}
		if looked++; looked > maxLooked {
			return fs.SkipAll
		}
		out = append(out, name)
		return nil
	})
	return out
}

// goFiles returns the Go files of a folder that are compiled, tests aside.
func goFiles(tree fs.FS, dir string) []string {
	entries, err := fs.ReadDir(tree, dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if n := e.Name(); path.Ext(n) == ".go" && n[0] != '.' && n[0] != '_' && !strings.HasSuffix(n, "_test.go") && e.Type().IsRegular() {
			out = append(out, path.Join(dir, n))
		}
	}
	return out
}

// isMain reports whether a file belongs to a package main that is built here.
func isMain(tree fs.FS, file string) bool {
	text, err := readStart(tree, file)
	if err != nil {
		return false
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, text, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil || f.Name.Name != "main" {
		return false
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			if x, err := constraint.Parse(c.Text); err == nil && constraint.IsGoBuild(c.Text) && !x.Eval(builtHere) {
				return false
			}
		}
	}
	return true
}

func builtHere(tag string) bool {
	return tag == runtime.GOOS || tag == runtime.GOARCH || tag == "unix" || tag == "cgo" || tag == "gc" || strings.HasPrefix(tag, "go1.")
}
