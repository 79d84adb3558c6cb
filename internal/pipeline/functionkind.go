package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// functionHelp says what a function may be made of.
const functionHelp = "one of: a package main of Go\na file handler.js, index.js (exports handler), lambda_function.py or handler.py\nan executable file named bootstrap\n" +
	"build: { command: …, output: FOLDER-OR-ZIP } for another language, which leaves a bootstrap"

// scripts are the endings of what Node.js loads; those of TypeScript it does not.
var (
	scripts    = []string{".js", ".mjs", ".cjs"}
	typescript = []string{".ts", ".mts", ".cts", ".tsx"}
)

// pythonMarks are the files that say what a Python folder depends on.
var pythonMarks = []string{"requirements.txt", "pyproject.toml", "uv.lock", "poetry.lock", "Pipfile"}

// unit finds out how a function is made, by its manifest and its files.
func (r *run) unit(tree fs.FS, w Workload) (*unit, error) {
	w.Build.Dir = path.Clean(w.Build.Dir)
	dir := w.Build.Dir
	if !fs.ValidPath(dir) || !isDir(tree, dir) {
		return nil, fault(w, CodeNothing, StepDetect, "the repository has no folder "+dir, "the key of a function, or its build, names a folder of the repository, relative to its root")
	}
	f, _, ok := familyOf(w.Function.Runtime)
	if !ok {
		return nil, fault(w, CodeHandler, StepDetect, fmt.Sprintf("the runtime %q is not known", w.Function.Runtime), "runtime: nodejs22, python3.12, provided.al2023 or go")
	}
	u := &unit{w: w, base: dir}
	var err error
	if u.by, err = makingOf(tree, w, f); err != nil {
		return nil, err
	}
	switch u.by {
	case byGo:
		module, built, err := r.goModule(w)
		if err != nil {
			return nil, notAFunction(err)
		}
		u.module, u.w, u.base = module, built, built.Build.Dir
		if isFile(tree, path.Join(built.Build.Dir, "bootstrap")) {
			fmt.Fprintf(r.job.Progress, "note    %s: %s is not used: the Go program beside it is built\n", w.Name, path.Join(built.Build.Dir, "bootstrap"))
		}
	case byNode:
		u.w.Build.Dir = above(tree, dir, "package.json")
		u.base, _, _ = workspaceOf(tree, u.w.Build.Dir)
	case byPython:
		u.w.Build.Dir = above(tree, dir, pythonMarks...)
		u.base = u.w.Build.Dir
	case byCommand, byNothing:
	}
	return u, nil
}

// notAFunction says of a folder without a program what a function may be.
func notAFunction(err error) error {
	var e *BuildError
	if errors.As(err, &e) && e.Code == CodeNothing && strings.HasPrefix(e.Saw, "no program") {
		e.Saw, e.Help = "there is no function in it: no package main, no bootstrap, and no file of Node.js or Python", functionHelp
	}
	return err
}

// makingOf says how a function of a folder is made. What nothing tells is Go's, whose
// errors say what there is.
func makingOf(tree fs.FS, w Workload, f family) (making, error) {
	b := w.Build
	switch b.With {
	case "":
	case "go", "node", "python":
		return making(b.With), nil
	default:
		return "", fault(w, CodeHandler, StepDetect, "functions are not built with: "+b.With, "build: { command: …, output: … } in its place, which leaves a bootstrap")
	}
	if b.Command != "" {
		return byCommand, nil
	}
	if at := path.Join(b.Dir, b.Output); b.Output != "" && fs.ValidPath(at) && exist(tree, at) {
		return byNothing, nil
	}
	program := slices.ContainsFunc(goFiles(tree, b.Dir), func(name string) bool { return isMain(tree, name) })
	ready := exist(tree, path.Join(b.Dir, "bootstrap"))
	switch f {
	case nodeFamily:
		return byNode, nil
	case pythonFamily:
		return byPython, nil
	case providedFamily:
		if ready && !program {
			return byNothing, nil
		}
		return byGo, nil
	}
	switch {
	case program:
		return byGo, nil
	case ready:
		return byNothing, nil
	}
	if by := makingOfHandler(tree, b.Dir, w.Function.Handler); by != "" {
		return by, nil
	}
	ends := func(endings []string) bool { return hasEnding(tree, b.Dir, endings) }
	switch {
	case ends(scripts), ends(typescript):
		return byNode, nil
	case ends([]string{".py"}):
		return byPython, nil
	case isFile(tree, path.Join(b.Dir, "package.json")):
		return byNode, nil
	case firstFile(tree, b.Dir, pythonMarks...) != "":
		return byPython, nil
	}
	return byGo, nil
}

// makingOfHandler goes by the file that a handler names, from the function's folder or
// from one above.
func makingOfHandler(tree fs.FS, dir, handler string) making {
	if handler == "" {
		return ""
	}
	for ; ; dir = path.Dir(dir) {
		if nodeModule(tree, dir, handler, slices.Concat(scripts, typescript)) != "" {
			return byNode
		}
		if pythonModule(tree, dir, handler) {
			return byPython
		}
		if dir == "." {
			return ""
		}
	}
}

// familyIn goes by the files of an artifact.
func familyIn(tree fs.FS) family {
	switch {
	case exist(tree, "bootstrap"):
		return providedFamily
	case hasEnding(tree, ".", scripts), isFile(tree, "package.json"):
		return nodeFamily
	case hasEnding(tree, ".", []string{".py"}):
		return pythonFamily
	}
	// A package of AWS may hold its code in folders only: "src/orders.create".
	var found family
	//nolint:errcheck // what cannot be read tells nothing
	fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // see above
		case slices.Contains(scripts, path.Ext(name)):
			found = nodeFamily
		case path.Ext(name) == ".py":
			found = pythonFamily
		}
		if found != "" {
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// above returns the nearest folder from dir upwards with one of the files; dir where there
// is none.
func above(tree fs.FS, dir string, names ...string) string {
	for up := dir; ; up = path.Dir(up) {
		if firstFile(tree, up, names...) != "" {
			return up
		}
		if up == "." {
			return dir
		}
	}
}

// hasEnding reports whether a folder has a file with one of the endings, configurations
// of tools left out.
func hasEnding(tree fs.FS, dir string, endings []string) bool {
	entries, err := fs.ReadDir(tree, dir)
	return err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		n := e.Name()
		return slices.Contains(endings, path.Ext(n)) && n[0] != '.' && !e.IsDir() && !strings.Contains(n, ".config.") && !strings.Contains(n, ".test.") && !strings.HasSuffix(n, ".d.ts")
	})
}

func exist(tree fs.FS, name string) bool {
	_, err := fs.Stat(tree, name)
	return err == nil
}
