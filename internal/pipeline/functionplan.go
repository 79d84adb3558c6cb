package pipeline

import (
	"context"
	"io/fs"
	"os/exec"
	"path"
)

// interpreter is the name of the program that builds for the runtime of a function: the one
// that carries the version which the manifest asks for, where the machine has it. It
// is the one that will run it.
func interpreter(w Workload, plain string) string {
	if w.Function == nil {
		return plain
	}
	_, version, _ := familyOf(w.Function.Runtime)
	if name := plain + version; version != "" {
		if _, err := exec.LookPath(name); err == nil {
			return name
		}
	}
	return plain
}

// nodeFunction ends the plan of a function of Node.js: the whole package is the artifact,
// with its dependencies and what its build script makes; with an output, that alone.
func (r *run) nodeFunction(tree fs.FS, w Workload, m manager, p *plan) {
	p.needs = nil // a runtime's client is started, by the node
	p.apart = r.apart(tree, w, *p)
	if w.Build.Output != "" || p.fetch == "" || m.finish == "" || m.name == "pnpm" && p.root != w.Build.Dir {
		return
	}
	p.finish = `cd "$SRC" && ` + m.finish + "\nrm -rf \"$SRC/" + path.Join(managed, m.name) + `"`
}

// pythonFunction ends the plan of a function of Python: the packages stand beside its
// own files, as in a deployment package of AWS ("Working with .zip file archives for Python
// Lambda functions"), since its runtime looks nowhere else. What both have is the function's own.
func (r *run) pythonFunction(tree fs.FS, w Workload, p *plan) {
	p.needs, p.enter = nil, nil
	p.apart = r.apart(tree, w, *p)
	p.finish = besideOwn + `python -m compileall -q --invalidation-mode unchecked-hash "$SRC" || true`
}

const besideOwn = `python - "$DEPS/site" "$SRC" <<'END'
import os, shutil, sys
site, own = sys.argv[1:]
for at, folders, names in os.walk(site):
    to = os.path.join(own, os.path.relpath(at, site))
    if at == site and "bin" in folders:
        folders.remove("bin")
    for name in [n for n in folders if os.path.islink(os.path.join(at, n))]:
        folders.remove(name)
        names.append(name)
    os.makedirs(to, exist_ok=True)
    for name in names:
        if not os.path.lexists(os.path.join(to, name)):
            shutil.copy2(os.path.join(at, name), os.path.join(to, name), follow_symlinks=False)
END
`

// keepFunction makes the artifact of what the steps have left: all of it, or the output.
func (st *stage) keepFunction(ctx context.Context, art Artifact) (Artifact, error) {
	name := "."
	if out := st.w.Build.Output; out != "" {
		name = path.Join(st.p.dir, out)
	}
	if !fs.ValidPath(name) {
		return art, fault(st.w, CodeOutput, StepKeep, "the output "+st.w.Build.Output+" lies outside of the package", "build: { output: … } names what the build leaves, below "+st.w.Build.Dir)
	}
	if err := dropBrokenLinks(st.src); err != nil {
		return art, notKept(ctx, st.w, err)
	}
	return st.keepFunctionFolder(ctx, st.w, st.src, name, art)
}

// apart lists the folders below a plan's root that other workloads are made of, and the code
// of Go there: with them every change of one would be a change of the function. A workspace's
// members stay, which its package manager wants to see.
func (r *run) apart(tree fs.FS, w Workload, p plan) []string {
	own := r.units[w.Name]
	all := members(tree, p.root)
	var out []string
	for _, o := range r.job.Workloads {
		dir := path.Clean(o.Build.Dir)
		u := r.units[o.Name]
		_, member := all[dir]
		if o.Image != "" || dir == p.root || !fs.ValidPath(dir) || !within(dir, p.root) || member || u != nil && (u == own || u.base == p.root) {
			continue
		}
		if !own.uses(dir) {
			out = append(out, relative(p.root, dir))
		}
	}
	if own.by == byNothing {
		return out
	}
	for _, dir := range goDirs(tree, p.root) {
		for _, name := range []string{"go.mod", "go.sum", "go.work", "go.work.sum"} {
			if isFile(tree, path.Join(dir, name)) {
				out = append(out, relative(p.root, path.Join(dir, name)))
			}
		}
		if found, err := fs.Glob(subtree(tree, dir), "*.go"); err == nil {
			for _, name := range found {
				out = append(out, relative(p.root, path.Join(dir, name)))
			}
		}
	}
	return out
}

// uses reports whether a function of the unit lies in a folder, or the folder that is built.
func (u *unit) uses(dir string) bool {
	if within(u.w.Build.Dir, dir) {
		return true
	}
	for _, w := range u.all {
		if within(path.Clean(w.Build.Dir), dir) {
			return true
		}
	}
	return false
}
