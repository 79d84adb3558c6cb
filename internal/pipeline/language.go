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

	"titrate/internal/world"
)

// A language is built by its own tools, in steps: fetch gets what the lock file
// names and may use the network; compile and test have what was fetched and no
// network, unless the manifest asks for it; what they leave is the artifact, which
// runs by itself.

// plan is how one workload is built. Lines are for /bin/sh, and run in the
// workload's folder with $DEPS, a folder that lives as long as the lock file, and,
// in fetch alone, $DOWNLOADS, the app's folder for what tools have downloaded.
type plan struct {
	language string
	root     string   // of the repository: what the build sees; the workload's folder lies in it
	dir      string   // the workload's folder, relative to root
	apart    []string // folders and files in root that are other workloads', which are not seen
	strange  []string // folders in root of which only package.json is seen: others' members of a workspace
	tools    []tool
	wrap     map[string]string // names under which tools are found first, with what each is; $SRC is root
	binds    []bind
	env      []string

	warns  []string // what the person who pushes should know
	doubts []string // those of them that may be why a step fails
	by     string   // the file that says what is fetched, of the repository
	from   string   // what says how it is started

	locks  []string // files in root that say what is fetched
	fetch  string
	alone  string   // what fetch is instead where builds have no network, and nothing was kept
	told   string   // fetch, as the log says it; empty: by its line
	kept   []string // folders, relative to root, that fetch makes beside $DEPS
	seed   bool     // $DEPS begins as what an older lock file led to
	build  string
	finish string // after the test: leaves out what runs without

	take   func(src, deps string) (from string, err error) // the file or folder that is the artifact; nil: root
	run    string
	needs  []tool   // must be there when the artifact runs
	enter  []string // shell lines that set up its environment; $root is the artifact
	site   bool     // it is served as files
	serves string   // of a site: the file that answers for what is not there
}

// planner makes the plan of a workload whose folder is w.Build.Dir.
type planner func(r *run, ctx context.Context, tree fs.FS, w Workload) (plan, error)

var planners = map[string]planner{
	"node": (*run).planNode, "python": (*run).planPython, "java": (*run).planJava, "rust": (*run).planRust, "static": (*run).planSite,
}

// languageOf says which language's tools build a folder; "go" also where nothing
// is found, since its errors say what there is.
func languageOf(tree fs.FS, dir, with string) string {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return isFile(tree, path.Join(dir, n)) })
	}
	switch {
	case with != "":
		return with
	case has("go.mod", "main.go"):
		return "go"
	case has("pom.xml", "build.gradle", "build.gradle.kts"):
		return "java"
	case has("Cargo.toml"):
		return "rust"
	case has("requirements.txt", "pyproject.toml", "uv.lock", "poetry.lock", "Pipfile", "manage.py"):
		return "python"
	case has("package.json"):
		return "node"
	case len(findMains(tree, dir)) > 0:
		return "go"
	case has("main.py", "app.py"):
		return "python"
	case siteFolder(tree, dir) != "":
		return "static"
	}
	return "go"
}

// language builds a workload by the tools of its language.
func (r *run) language(ctx context.Context, w Workload, by planner) {
	art, reused, err := r.planned(ctx, w, by)
	r.done(ctx, w.Name, Result{Artifact: art, Reused: reused, Err: err})
}

func (r *run) planned(ctx context.Context, w Workload, by planner) (art Artifact, reused bool, err error) {
	tree := os.DirFS(r.job.Source)
	if w.Build.Dir = path.Clean(w.Build.Dir); !fs.ValidPath(w.Build.Dir) || !isDir(tree, w.Build.Dir) {
		return art, false, fault(w, CodeNothing, StepDetect, "the repository has no folder "+w.Build.Dir, "build: names a folder of the repository, relative to its root")
	}
	if err := r.networkAllowed(w); err != nil {
		return art, false, err
	}
	p, err := by(r, ctx, tree, w)
	if err != nil {
		return art, false, err
	}
	release, err := r.slot(ctx)
	if err != nil {
		return art, false, err
	}
	defer release()
	src, err := r.folder(w.Name)
	if err != nil {
		return art, false, err
	}
	if err := p.copySource(r.job.Source, src); err != nil {
		return art, false, fmt.Errorf("copy the source of %s: %w", w.Name, err)
	}
	if art.Inputs, err = p.inputs(w, src); err != nil {
		return art, false, fmt.Errorf("hash %s: %w", w.Build.Dir, err)
	}
	if old, ok := r.recall(art.Inputs); ok {
		return old, true, nil
	}
	if err := r.tellPlan(ctx, w, p); err != nil {
		return art, false, err
	}
	st := &stage{run: r, w: w, p: p, src: src}
	if err := st.steps(ctx); err != nil {
		return art, false, err
	}
	art.BuiltAt, art.Toolchain = r.began.UTC(), p.toolchain()
	art, err = st.keep(ctx, art)
	return art, false, err
}

// networkAllowed refuses a build that asks for the network where it may not have it.
func (r *run) networkAllowed(w Workload) error {
	if w.Build.Network && !r.cfg.Network {
		return fault(w, CodeUnreachable, StepDetect, "the build asks for the network (network: true), and builds may not use it here",
			"titrate up without --network=false; or leave network: true out")
	}
	return nil
}

// copySource makes what the build sees: root without what says how it is released.
func (p plan) copySource(source, to string) error {
	if err := copyTree(filepath.Join(source, filepath.FromSlash(p.root)), to); err != nil {
		return err
	}
	for _, name := range []string{"titrate.yaml", ".git", ".gitignore", ".gitattributes"} {
		if err := os.RemoveAll(filepath.Join(to, name)); err != nil {
			return err
		}
	}
	for _, other := range p.apart {
		if err := os.RemoveAll(filepath.Join(to, filepath.FromSlash(other))); err != nil {
			return err
		}
	}
	for _, member := range p.strange {
		dir := filepath.Join(to, filepath.FromSlash(member))
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Name() != "package.json" {
				if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (p plan) toolchain() string {
	var out []string
	for _, t := range p.tools {
		out = append(out, t.String())
	}
	return strings.Join(out, ", ")
}

// inputs is the digest of all that the artifact is made of: the source with its lock
// file, the tools with their versions, and what they are told.
func (p plan) inputs(w Workload, src string) (string, error) {
	rec := newRecipe(p.language)
	b := w.Build
	rec.add(p.dir, p.fetch, p.build, p.finish, p.run, p.serves, b.Test, b.Output, fmt.Sprint(b.Network))
	if w.Function != nil {
		rec.add("function")
	}
	rec.add(p.enter...)
	for _, t := range p.tools {
		rec.add(t.path, t.version)
	}
	err := rec.tree(src, ".")
	return rec.digest(), err
}

// keep makes the artifact of what the steps have left.
func (st *stage) keep(ctx context.Context, art Artifact) (Artifact, error) {
	p, w := st.p, st.w
	if w.Function != nil {
		return st.keepFunction(ctx, art)
	}
	from := st.src
	if p.take != nil {
		var err error
		if from, err = p.take(st.src, st.deps); err != nil {
			return art, outputFault(w, err)
		}
	}
	dir, err := os.MkdirTemp(st.artifacts.dir, ".tmp-")
	if err != nil {
		return art, fmt.Errorf("keep artifact: %w", err)
	}
	defer removeAll(dir) //nolint:errcheck // removed at the next start otherwise
	if err := os.Chmod(dir, 0o755); err != nil {
		return art, fmt.Errorf("keep artifact: %w", err)
	}
	if err := st.moveOutput(ctx, from, dir); err != nil {
		return art, notKept(ctx, w, err)
	}
	if art.Command, err = p.command(dir); err != nil {
		return art, fmt.Errorf("keep artifact: %w", err)
	}
	kept, err := st.artifacts.keep(dir, art)
	if err != nil {
		return art, notKept(ctx, w, err)
	}
	return kept, st.remember(kept)
}

// outputFault names a workload whose build has not left what it should.
func outputFault(w Workload, err error) error {
	var e *BuildError
	if errors.As(err, &e) {
		return nameFault(err, w)
	}
	return fault(w, CodeOutput, StepKeep, err.Error(), "build: {output: …} names the file or folder that the build leaves")
}

// moveOutput copies a file or folder of the build into dir. Links that lead nowhere
// are left out of what package managers have made, which care for none.
func (st *stage) moveOutput(ctx context.Context, from, dir string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	may := st.allowance(ctx)
	if !info.IsDir() {
		tree, err := os.OpenRoot(filepath.Dir(from))
		if err != nil {
			return err
		}
		defer tree.Close() //nolint:errcheck // only read
		return copyFile(filepath.Join(dir, filepath.Base(from)), tree, filepath.Base(from), may)
	}
	if err := dropBrokenLinks(from); err != nil {
		return err
	}
	tree, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer tree.Close() //nolint:errcheck // only read
	return copyInto(dir, tree, may)
}

// dropBrokenLinks removes links in node_modules that lead to nothing inside dir: of
// packages that were pruned, and of members of a workspace that are not seen.
func dropBrokenLinks(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // only names are removed through it
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() != fs.ModeSymlink || !strings.Contains("/"+name, "/node_modules/") {
			return err
		}
		if _, err := root.Stat(name); err != nil {
			return root.Remove(name)
		}
		return nil
	})
}

// enterScript is where an artifact keeps what sets up its environment.
const enterScript = world.Enter

// command writes how the artifact is started into dir, and returns it.
func (p plan) command(dir string) ([]string, error) {
	if p.site {
		return siteCommand(p.serves), nil
	}
	if len(p.enter) == 0 && len(p.needs) == 0 {
		return []string{"/bin/sh", "-c", p.run}, nil
	}
	var b strings.Builder
	b.WriteString("#!/bin/sh\n# Made by titrate: runs a command with the tools and the environment of this version.\nroot=$(cd \"${0%/*}/..\" && pwd)\n")
	for _, t := range p.needs {
		fmt.Fprintf(&b, "[ -x %[1]s ] || { echo \"titrate: this version was built with %[2]s at %[1]s, which is gone: install it there again, or push again to build with what is there now\" >&2; exit 127; }\n", t.path, t.name+" "+t.version)
	}
	for _, line := range p.enter {
		b.WriteString(line + "\n")
	}
	fmt.Fprintf(&b, "cd \"$root/%s\" || exit 127\nexec \"$@\"\n", p.dir)
	path := filepath.Join(dir, enterScript)
	if err := os.MkdirAll(filepath.Join(filepath.Dir(path), "bin"), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o755); err != nil { //nolint:gosec // a program to run
		return nil, err
	}
	if err := writeWrappers(filepath.Join(filepath.Dir(path), "bin"), "${0%/*}/../..", p.wrap); err != nil {
		return nil, err
	}
	return []string{"./" + enterScript, "/bin/sh", "-c", p.run}, nil
}

// siteCommand serves an artifact's files; fallback answers for what is not there.
func siteCommand(fallback string) []string {
	argv := []string{world.Self, "__static"}
	if fallback != "" {
		argv = append(argv, "--fallback", fallback)
	}
	return argv
}

// writeWrappers makes programs that are other programs. Where the source is, $SRC, is
// not left to the environment of whoever runs them.
func writeWrappers(dir, src string, wrap map[string]string) error {
	for name, is := range wrap {
		is = strings.ReplaceAll(is, "$SRC", src)
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nexec "+is+" \"$@\"\n"), 0o755); err != nil { //nolint:gosec // a program to run
			return err
		}
	}
	return nil
}

// execLine makes a shell line replace its shell, where it is one simple command, so
// that signals reach the program itself.
func execLine(line string) string {
	if strings.ContainsAny(line, "&|;<>()`\n") {
		return line
	}
	first, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch {
	case first == "exec" || first == "cd" || first == "export" || first == ".":
		return line
	case strings.Contains(first, "="):
		return "exec env " + line
	}
	return "exec " + line
}
