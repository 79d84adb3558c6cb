package pipeline

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"titrate/internal/manifest"
	"titrate/internal/world"
)

// A layer is what AWS unpacks to /opt beside a function ("Packaging your layer content"): a
// folder or a zip of the repository. A version holds the files of its layers, so that it is
// one artifact like every other; they are linked, and lie on the disk once.

// layerKey tells layers apart: what is installed in one may depend on the interpreter.
type layerKey struct{ name, runtime string }

// layerBuild is a layer that is made once, for all functions that have it.
type layerBuild struct {
	once sync.Once
	art  Artifact
	err  error
}

// workload is a layer as the tools of a language build it.
func (k layerKey) workload() Workload {
	name := "layer-" + strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, k.name+"-"+k.runtime), "-")
	return Workload{Name: name, Build: manifest.Build{Dir: path.Clean(k.name)}, Function: &FunctionBuild{Runtime: k.runtime}}
}

// layersOf are the layers of a function.
func layersOf(w Workload) (keys []layerKey) {
	for _, name := range w.Function.Layers {
		keys = append(keys, layerKey{name, w.Function.Runtime})
	}
	return keys
}

// knowLayers gives each layer of a function its place, before builds begin.
func (r *run) knowLayers(w Workload) {
	for _, k := range layersOf(w) {
		own := k.workload()
		r.layers[k] = &layerBuild{}
		r.units[own.Name] = &unit{by: byCommand, w: own, base: own.Build.Dir, all: []Workload{own}}
	}
}

// layered returns the artifact of a function with its layers in it.
func (r *run) layered(ctx context.Context, w Workload, f family, art Artifact) (Artifact, error) {
	if len(w.Function.Layers) == 0 {
		return art, nil
	}
	rec := newRecipe("function with layers")
	rec.add(art.Digest)
	var from []string
	for _, k := range layersOf(w) {
		l := r.layers[k]
		l.once.Do(func() { l.art, l.err = r.layer(ctx, w, k, f) })
		if l.err != nil {
			return art, nameFault(l.err, w)
		}
		rec.add(l.art.Digest)
		from = append(from, l.art.Digest)
	}
	whole := art
	whole.Inputs = rec.digest()
	if kept, ok := r.recall(whole.Inputs); ok {
		return kept, nil
	}
	dir, err := os.MkdirTemp(r.artifacts.dir, ".tmp-")
	if err != nil {
		return art, fmt.Errorf("keep artifact: %w", err)
	}
	defer removeAll(dir) //nolint:errcheck // removed at the next start otherwise
	opt := filepath.Join(dir, filepath.FromSlash(world.Layers))
	if err := overlay(r.artifacts.Path(art.Digest), dir); err != nil {
		return art, notKept(ctx, w, err)
	}
	if err := os.MkdirAll(opt, 0o755); err != nil {
		return art, notKept(ctx, w, err)
	}
	for _, digest := range from {
		if err := overlay(r.artifacts.Path(digest), opt); err != nil {
			return art, notKept(ctx, w, err)
		}
	}
	kept, err := r.artifacts.keep(dir, whole)
	if err != nil {
		return art, notKept(ctx, w, err)
	}
	return kept, r.remember(kept)
}

// layer makes the artifact of a layer, for the first function that has it.
func (r *run) layer(ctx context.Context, w Workload, k layerKey, f family) (Artifact, error) {
	bad := func(saw, help string) error { return fault(w, CodeLayer, StepDetect, saw, help) }
	tree, name := os.DirFS(r.job.Source), path.Clean(k.name)
	info, err := fs.Stat(tree, name)
	if !fs.ValidPath(name) || err != nil {
		return Artifact{}, bad("the repository has no layer "+name, "layers: names folders and zips of the repository, relative to its root")
	}
	dir, err := os.MkdirTemp(r.artifacts.dir, ".tmp-")
	if err != nil {
		return Artifact{}, fmt.Errorf("keep layer: %w", err)
	}
	defer removeAll(dir) //nolint:errcheck // removed at the next start otherwise
	source, err := os.OpenRoot(r.job.Source)
	if err != nil {
		return Artifact{}, fmt.Errorf("keep layer: %w", err)
	}
	defer source.Close() //nolint:errcheck // only read
	made := Artifact{BuiltAt: r.began.UTC(), Toolchain: name + " as it is"}
	switch {
	case info.IsDir():
		if made.Toolchain, err = r.layerFolder(ctx, k, f, dir); err != nil {
			return Artifact{}, err
		}
	case strings.EqualFold(path.Ext(name), ".zip"):
		if err := r.unpack(ctx, w, source, name, dir, r.allowance(ctx)); err != nil {
			return Artifact{}, err
		}
	default:
		return Artifact{}, bad("the layer "+name+" is neither a folder nor a zip", "pack it as AWS wants it: cd FOLDER && zip -r ../layer.zip .")
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) == 0 {
		return Artifact{}, bad("the layer "+name+" is empty", "it holds what would lie in /opt: nodejs/node_modules, python, bin, lib, extensions")
	}
	kept, err := r.artifacts.keep(dir, made)
	if err != nil {
		return Artifact{}, notKept(ctx, w, err)
	}
	fmt.Fprintf(r.job.Progress, "layer   %s\n", name)
	return kept, nil
}

// layerFolder puts what lies in a folder of the repository into the folder to, with the
// dependencies that it declares and does not hold.
func (r *run) layerFolder(ctx context.Context, k layerKey, f family, to string) (by string, err error) {
	w := k.workload()
	if _, err := r.copyReady(ctx, w, w.Build.Dir, to); err != nil {
		return "", err
	}
	planner, sub, whole := layerTools(os.DirFS(to), f)
	if planner == nil {
		return w.Build.Dir + " as it is", nil
	}
	if !whole {
		w.Build.Dir = path.Join(w.Build.Dir, sub)
	}
	art, _, err := r.planned(ctx, w, planner)
	if err != nil {
		return "", err
	}
	if whole { // as SAM's BuildMethod has it: all goes below the folder of the language
		if err := emptied(to); err != nil {
			return "", fmt.Errorf("keep layer: %w", err)
		}
	}
	at := filepath.Join(to, sub)
	if err := os.MkdirAll(at, 0o755); err != nil {
		return "", fmt.Errorf("keep layer: %w", err)
	}
	if err := overlay(r.artifacts.Path(art.Digest), at); err != nil {
		return "", notKept(ctx, w, err)
	}
	return art.Toolchain, nil
}

// layerTools says by whose tools the dependencies of a layer are installed, and into which
// of its folders; whole: it stands for that folder itself. Nil: it needs none.
func layerTools(tree fs.FS, f family) (by planner, sub string, whole bool) {
	marks, by, sub := []string{"package.json"}, planner((*run).planNode), "nodejs"
	has := func(dir string) bool { return isDir(tree, path.Join(dir, "node_modules")) }
	switch f {
	case nodeFamily:
	case pythonFamily:
		marks, by, sub = []string{"requirements.txt", "pyproject.toml", "Pipfile"}, (*run).planPython, "python"
		has = func(string) bool { return false }
	default:
		return nil, "", false
	}
	marked := func(dir string) bool {
		return slices.ContainsFunc(marks, func(name string) bool { return isFile(tree, path.Join(dir, name)) })
	}
	switch {
	case marked(sub) && !has(sub):
		return by, sub, false
	case !isDir(tree, sub) && marked("."):
		return by, sub, true
	}
	return nil, "", false
}

// emptied removes what lies in a folder.
func emptied(dir string) error {
	names, err := os.ReadDir(dir)
	for _, n := range names {
		if rerr := removeAll(filepath.Join(dir, n.Name())); err == nil {
			err = rerr
		}
	}
	return err
}

// overlay links the files of an artifact into a folder, over what has the same name there.
func overlay(artifact, to string) error {
	tree, err := os.OpenRoot(artifact)
	if err != nil {
		return err
	}
	defer tree.Close() //nolint:errcheck // only read
	return fs.WalkDir(tree.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		at := filepath.Join(to, filepath.FromSlash(name))
		have, statErr := os.Lstat(at)
		switch {
		case statErr == nil && d.IsDir() && have.IsDir():
			return nil
		case statErr == nil:
			if err := removeAll(at); err != nil {
				return err
			}
		}
		switch {
		case d.IsDir():
			return os.Mkdir(at, 0o755)
		case d.Type() == fs.ModeSymlink:
			target, err := tree.Readlink(name)
			if err != nil {
				return err
			}
			return os.Symlink(target, at)
		}
		if os.Link(filepath.Join(artifact, filepath.FromSlash(name)), at) == nil {
			return nil
		}
		return copyFile(at, tree, name, func(int64) error { return nil }) // a disk without links
	})
}
