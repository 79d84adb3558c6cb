package pipeline

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A route can be the path of its function's folder, as api/pickups/[id]/get. The go command takes
// no brackets in the path of a package, and leaves one program under one name: all that end
// in get would be built one after the other. Such a folder is shown to it under another
// name, by an overlay (`go help build`, -overlay). The name follows from the folder alone, so
// that a program does not change with what is built beside it.

// methods are the last folders of routes by path.
var methods = []string{"any", "delete", "get", "head", "options", "patch", "post", "put"}

// plainElement is an element of an import path; golang.org/ref/mod#go-mod-file-ident.
var plainElement = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._~+-]*[A-Za-z0-9_~+-])?$`)

// otherFolder returns the folder under which the go command sees the program of a function,
// where that is another than its own; "" otherwise.
func otherFolder(tree fs.FS, w Workload) string {
	dir := w.Build.Dir
	module := moduleRoot(tree, dir)
	if w.Function == nil || module == "" || dir == module {
		return ""
	}
	rel := relative(module, dir)
	elements := strings.Split(rel, "/")
	odd := slices.IndexFunc(elements, func(e string) bool { return !plainElement.MatchString(e) })
	if odd < 0 && !slices.Contains(methods, path.Base(dir)) {
		return ""
	}
	// Below its own folder it may import what is internal there.
	under := dir
	if odd >= 0 {
		under = path.Join(append([]string{module}, elements[:odd]...)...)
	}
	sum := sha256.Sum256([]byte(rel))
	name := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(rel), "-"), "-")
	return path.Join(under, fmt.Sprintf("%s-%x", name, sum[:3]))
}

// overlay writes which folders the go command sees under other names to a file in the folder to,
// and returns those names by the folders; none: there is no file.
func (r *run) overlay(src, to string, ws []Workload) (map[string]string, error) {
	tree := os.DirFS(r.job.Source)
	replace := map[string]string{}
	others := map[string]string{}
	for _, w := range ws {
		other := otherFolder(tree, w)
		if other == "" {
			continue
		}
		files, err := ownFiles(tree, w.Build.Dir)
		if err != nil {
			return nil, fmt.Errorf("look for the files of %s: %w", w.Name, err)
		}
		for _, f := range files {
			replace[filepath.Join(src, other, relative(w.Build.Dir, f))] = filepath.Join(src, f)
		}
		others[w.Build.Dir] = other
	}
	if len(others) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, fmt.Errorf("name folders for the go command: %w", err)
	}
	if err := os.WriteFile(filepath.Join(to, overlayFile), text, 0o600); err != nil {
		return nil, fmt.Errorf("name folders for the go command: %w", err)
	}
	return others, nil
}

// overlayFile has a name that no program has: they are elements of import paths.
const overlayFile = "overlay.json,"

// ownFiles lists the files of a package, and those below its folder that it may embed.
func ownFiles(tree fs.FS, dir string) (out []string, err error) {
	err = fs.WalkDir(tree, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		if d.IsDir() {
			if b := d.Name(); b == ".git" || b == "node_modules" || b == "vendor" || isFile(tree, path.Join(name, "go.mod")) {
				return fs.SkipDir
			}
			return nil
		}
		if isFile(tree, name) && (path.Dir(name) == dir || path.Ext(name) != ".go") {
			out = append(out, name)
		}
		return nil
	})
	return out, err
}

// sees returns the folder under which the go command sees that of a workload.
func (p goPlace) sees(dir string) string {
	if other := p.others[dir]; other != "" {
		return other
	}
	return dir
}

// own is the way back from [goPlace.sees].
func (p goPlace) own(dir string) string {
	for own, other := range p.others {
		if other == dir {
			return own
		}
	}
	return dir
}

// plainly puts the folders of the repository in place of those that the go command sees, in what
// it says.
func (p goPlace) plainly(lines []string, root string) []string {
	out := slices.Clone(lines)
	for own, other := range p.others {
		for i := range out {
			out[i] = strings.ReplaceAll(strings.ReplaceAll(out[i], other, own), relative(root, other), relative(root, own))
		}
	}
	return out
}
