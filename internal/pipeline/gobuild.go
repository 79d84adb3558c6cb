package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// goGroup builds the Go programs of one module, in as few calls of the go
// command as their names allow: packages that they share are compiled once.
func (r *run) goGroup(ctx context.Context, root string, ws []Workload) {
	fail := func(err error) {
		for _, w := range ws {
			r.done(ctx, w.Name, Result{Err: nameFault(err, w)})
		}
	}
	release, err := r.slot(ctx)
	if err != nil {
		fail(err)
		return
	}
	defer release()
	t, missing := r.findGo(ctx)
	if missing != nil {
		missing.Help += waysOut(ws[0])
		fail(missing)
		return
	}
	if ws[0].Function != nil {
		t = t.forFunctions()
	}
	log, err := r.openLog(ws[0].Name, StepFetch)
	if err != nil {
		fail(err)
		return
	}
	l, problem, err := r.list(ctx, t, root, ws, log)
	if cerr := log.close(r.logNames(log, ws)...); err == nil {
		err = cerr
	}
	if problem != nil {
		err = problem
	}
	if err != nil {
		fail(err)
		return
	}
	var rest []target
	for _, w := range ws {
		tg, reused, err := r.target(l, t, root, w)
		switch {
		case err != nil:
			r.done(ctx, w.Name, Result{Err: err})
		case reused != nil:
			r.done(ctx, w.Name, Result{Artifact: *reused, Reused: true})
		default:
			rest = append(rest, tg)
		}
	}
	for _, batch := range batches(rest) {
		r.compile(ctx, l, t, root, batch)
	}
}

// target is a Go program that must be built.
type target struct {
	w       Workload
	pkg     string   // its import path
	inputs  string   // digest of all that it is made of
	carried []string // files of the repository that go with it
}

// target finds what a program is made of, and what was made of that before.
func (r *run) target(l listing, t toolchain, root string, w Workload) (target, *Artifact, error) {
	// A package with a mistake is still compiled: the compiler says it best. Without
	// its files there is nothing to hash.
	if _, ok := l.packages[l.mains[w.Name]]; !ok || l.packages[l.mains[w.Name]].Name != "main" {
		return target{}, nil, fault(w, CodeNothing, StepDetect, l.problem(w), "build: the folder of a package main, such as cmd/"+w.Name)
	}
	carried, err := r.carried(w)
	if err != nil {
		return target{}, nil, err
	}
	tg := target{w: w, pkg: l.mains[w.Name], carried: carried}
	if tg.inputs, err = r.inputs(l, t, root, w, carried); err != nil {
		if problem := l.problem(w); problem != "" {
			e := fault(w, CodeFailed, StepFetch, problem, "")
			return target{}, nil, e
		}
		return target{}, nil, err
	}
	if art, ok := r.recall(tg.inputs); ok {
		return tg, &art, nil
	}
	return tg, nil, nil
}

// batches splits targets so that no two of a batch leave a program of one name.
func batches(ts []target) [][]target {
	var out [][]target
next:
	for _, t := range ts {
		for i, batch := range out {
			if !slices.ContainsFunc(batch, func(o target) bool { return execName(o.pkg) == execName(t.pkg) }) {
				out[i] = append(batch, t)
				continue next
			}
		}
		out = append(out, []target{t})
	}
	return out
}

// execName returns the name that `go build -o dir/` gives to the program of a
// package: the last element of its path that is no major version.
func execName(pkg string) string {
	dir, last := path.Split(pkg)
	if len(last) > 1 && last[0] == 'v' && strings.Trim(last[1:], "0123456789") == "" && last != "v0" && last != "v1" && dir != "" {
		return path.Base(dir)
	}
	return last
}

// buildFlags is how programs are compiled. Symbols for stack traces stay; tables
// for debuggers would double the time to link.
const buildFlags = "-buildvcs=false -ldflags=-w"

// compile builds a batch and keeps what came of it.
func (r *run) compile(ctx context.Context, l listing, t toolchain, root string, batch []target) {
	out, log, err := r.goBuild(ctx, l, t, root, batch)
	for _, tg := range batch {
		made := filepath.Join(out, execName(tg.pkg))
		if err == nil || !isLimit(err) && exists(made) {
			if !exists(made) {
				r.done(ctx, tg.w.Name, Result{Err: fault(tg.w, CodeOutput, StepCompile, "go build left no program", "")})
				continue
			}
			var art Artifact
			err := r.goTest(ctx, l, t, root, tg.w)
			if err == nil {
				art, err = r.keepGo(t, tg, made)
			}
			r.done(ctx, tg.w.Name, Result{Artifact: art, Err: err})
			continue
		}
		err := nameFault(err, tg.w)
		var e *BuildError
		if errors.As(err, &e) && log != nil && !isLimit(err) {
			e.Tail = l.place.plainly(complaints(log, append(l.packages[tg.pkg].Deps, tg.pkg)), root)
			if tg.w.Function != nil && strings.Contains(strings.Join(e.Tail, "\n"), "build constraints exclude all Go files") {
				e.Help = "functions are built without C (CGO_ENABLED=0): use a package that needs none; or build: { command: \"CGO_ENABLED=1 go build -tags lambda.norpc -o bootstrap .\", output: bootstrap }"
			}
		}
		r.done(ctx, tg.w.Name, Result{Err: err})
	}
}

// goBuild runs `go build` for a batch and returns the folder of the programs.
func (r *run) goBuild(ctx context.Context, l listing, t toolchain, root string, batch []target) (out string, log *stepLog, err error) {
	var ws []Workload
	args := append([]string{filepath.Join(t.Root, "bin", "go"), "build", "-o", l.place.out + "/"}, strings.Fields(buildFlags+t.flags)...)
	args = append(args, l.place.args()...)
	for _, tg := range batch {
		ws = append(ws, tg.w)
		args = append(args, "./"+relative(root, l.place.sees(tg.w.Build.Dir)))
	}
	for _, b := range l.place.binds {
		if b.At == "/out" {
			out = b.Path
		}
	}
	if log, err = r.openLog(ws[0].Name, StepCompile); err != nil {
		return out, nil, err
	}
	defer func() {
		if cerr := log.close(r.logNames(log, ws)...); err == nil {
			err = cerr
		}
	}()
	log.say("$ go %s", strings.Join(args[1:], " "))
	work, err := r.folder("compile")
	if err != nil {
		return out, log, err
	}
	end, err := r.sandbox.run(ctx, step{
		binds: l.place.binds, dir: filepath.Join(l.place.src, filepath.FromSlash(root)), args: args, env: l.place.env, work: work, log: log,
	})
	if err != nil || end.Stopped != "" {
		if limit := limitError(ws[0], StepCompile, log, end, err); limit != nil {
			return out, log, limit
		}
		return out, log, err
	}
	if end.Exit != 0 {
		e := fault(ws[0], CodeFailed, StepCompile, fmt.Sprintf("go build ended with exit code %d", end.Exit), "")
		e.Exit, e.Log, e.Tail = end.Exit, log.path, log.tail()
		return out, log, e
	}
	if t.asks() {
		err = r.mergeCache(l.place.added)
	}
	return out, log, err
}

// complaints returns the lines that the compiler printed about packages.
func complaints(log *stepLog, packages []string) []string {
	about := map[string]bool{}
	for _, p := range packages {
		about[p] = true
	}
	var out []string
	on := false
	for _, line := range log.lines {
		if name, ok := strings.CutPrefix(line, "# "); ok {
			on = about[strings.Fields(name + " ")[0]]
		}
		if on {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return log.tail()
	}
	return out[:min(len(out), tailLines)] // the first complaint is the cause
}

// keepGo makes an artifact of a program and the files that go with it.
func (r *run) keepGo(t toolchain, tg target, made string) (Artifact, error) {
	dir, err := os.MkdirTemp(r.artifacts.dir, ".tmp-")
	if err != nil {
		return Artifact{}, fmt.Errorf("keep artifact: %w", err)
	}
	defer removeAll(dir) //nolint:errcheck // removed at the next start otherwise
	if err := os.Chmod(dir, 0o755); err != nil {
		return Artifact{}, fmt.Errorf("keep artifact: %w", err)
	}
	for _, f := range tg.carried {
		below := relative(tg.w.Build.Dir, f)
		if err := copyEntry(filepath.Join(r.job.Source, filepath.FromSlash(f)), filepath.Join(dir, filepath.FromSlash(below))); err != nil {
			return Artifact{}, fmt.Errorf("keep %s: %w", f, err)
		}
	}
	if err := os.Rename(made, filepath.Join(dir, program(tg.w))); err != nil {
		return Artifact{}, fmt.Errorf("keep artifact: %w", err)
	}
	command := []string{"./" + program(tg.w)}
	if tg.w.Function != nil {
		command = nil // it is called, not started
	}
	art, err := r.artifacts.keep(dir, Artifact{Command: command, Inputs: tg.inputs, BuiltAt: r.began.UTC(), Toolchain: t.String()})
	if err != nil {
		return Artifact{}, err
	}
	return art, r.remember(art)
}

// program names the executable of a workload in its artifact.
func program(w Workload) string {
	if w.Function != nil {
		return "bootstrap"
	}
	return w.Name
}

// carried lists what goes with a program beside its code: the other files of
// its folder, so that templates, migrations and hook scripts are found in the
// working folder as at home. Code, documentation, hidden files and the folders
// of other workloads stay behind.
func (r *run) carried(w Workload) ([]string, error) {
	var out []string
	root := os.DirFS(r.job.Source)
	err := fs.WalkDir(root, w.Build.Dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == w.Build.Dir {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if base[0] == '.' || base[0] == '_' || slices.Contains([]string{"vendor", "testdata", "node_modules", "docs"}, base) || r.othersDir(w, name) {
				return fs.SkipDir
			}
			return nil
		}
		switch {
		case base[0] == '.', path.Ext(base) == ".go", path.Ext(base) == ".md",
			slices.Contains([]string{"go.mod", "go.sum", "go.work", "go.work.sum", "titrate.yaml", "Dockerfile", "Makefile", "LICENSE"}, base),
			name == path.Join(w.Build.Dir, program(w)):
		case d.Type() == fs.ModeSymlink:
			if info, err := fs.Stat(root, name); err == nil && info.Mode().IsRegular() {
				out = append(out, name)
			}
		default:
			out = append(out, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for the files of %s: %w", w.Name, err)
	}
	return out, nil
}

// othersDir reports whether dir belongs to another workload, or leads to one.
func (r *run) othersDir(w Workload, dir string) bool {
	return slices.ContainsFunc(r.job.Workloads, func(o Workload) bool {
		return o.Name != w.Name && o.Build.Dir != w.Build.Dir && within(path.Clean(o.Build.Dir), dir)
	})
}

// logNames gives each workload a name for a log that they share.
func (r *run) logNames(log *stepLog, ws []Workload) []string {
	var out []string
	_, ext, _ := strings.Cut(filepath.Base(log.path), ".")
	for _, w := range ws {
		out = append(out, filepath.Join(filepath.Dir(log.path), w.Name+"."+ext))
	}
	return out
}
