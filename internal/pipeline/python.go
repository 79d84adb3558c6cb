package pipeline

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// pyproject is what is read of a pyproject.toml; see packaging.python.org/specifications/pyproject-toml.
type pyproject struct {
	Project struct {
		Dependencies   []string          `toml:"dependencies"`
		RequiresPython string            `toml:"requires-python"`
		Scripts        map[string]string `toml:"scripts"`
	} `toml:"project"`
	Tool struct {
		Poetry struct {
			Dependencies map[string]any `toml:"dependencies"`
		} `toml:"poetry"`
	} `toml:"tool"`
}

// readProject reads the pyproject.toml of a folder; none is as good as an empty one.
func readProject(tree fs.FS, dir string) (p pyproject, err error) {
	if text, missing := readStart(tree, path.Join(dir, "pyproject.toml")); missing == nil {
		err = toml.Unmarshal(text, &p)
	}
	return p, err
}

// planPython plans a Python service. Its packages stand in the artifact's folder
// .python, which is found by PYTHONPATH: unlike a virtual environment it names no
// place of the machine that builds.
func (r *run) planPython(ctx context.Context, tree fs.FS, w Workload) (plan, error) {
	dir := w.Build.Dir
	project, err := readProject(tree, dir)
	if err != nil {
		return plan{}, fault(w, CodeNothing, StepDetect, "pyproject.toml cannot be read: "+err.Error(), "mend it, commit, push again")
	}
	python, err := r.findPython(ctx, w)
	if err != nil {
		return plan{}, err
	}
	version := pythonVersion(tree, dir)
	if name := interpreter(w, "python"); name != "python" {
		version.asked, version.where = strings.TrimPrefix(name, "python"), "runtime of titrate.yaml"
	}
	if version.asked != "" { // a machine may have several
		if also, err := r.pythonAt(ctx, w, "python"+version.asked); err == nil {
			python = also
		}
	}
	asked, where := project.Project.RequiresPython, "requires-python of pyproject.toml"
	if v, ok := project.Tool.Poetry.Dependencies["python"].(string); ok && asked == "" {
		asked, where = v, "tool.poetry.dependencies.python of pyproject.toml"
	}
	if err := demand(w, python, asked, where); err != nil {
		return plan{}, err
	}
	p := plan{
		language: "python", root: dir, dir: ".", tools: []tool{python}, needs: []tool{python}, kept: nil,
		wrap: map[string]string{"python": python.path, "python3": python.path},
		env:  []string{"PYTHONPATH=$DEPS/site:$DEPS/test:$SRC/src:$SRC", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1", "PIP_DISABLE_PIP_VERSION_CHECK=1"},
		enter: []string{
			`export PATH="$root/.titrate/bin:$root/.python/bin:$PATH"`,
			`export PYTHONPATH="$root/.python:$root/src:$root${PYTHONPATH:+:$PYTHONPATH}"`,
			`export PYTHONUNBUFFERED="${PYTHONUNBUFFERED:-1}" PYTHONDONTWRITEBYTECODE=1`,
		},
	}
	if ok, err := fits(python, version.asked+".x"); version.asked != "" && err == nil && !ok {
		p.doubts = append(p.doubts, version.where+" asks for python "+version.asked+", and it is built and run with python "+python.version+" at "+python.path+": install python"+version.asked+" beside it, on the PATH of titrate up")
		p.warns = append(p.warns, p.doubts...)
	}
	if err := r.pythonPackages(ctx, tree, w, project, &p); err != nil {
		return plan{}, err
	}
	if w.Function != nil {
		r.pythonFunction(tree, w, &p)
		return p, nil
	}
	names := pythonNames(tree, dir, project)
	if p.run, p.from = procfile(tree, dir, w.Name); p.run == "" {
		p.run, p.from = pythonStart(tree, dir, project, names)
	}
	if p.run == "" && w.Run.Silent() {
		return plan{}, fault(w, CodeNothing, StepDetect, "nothing says what to start: no Procfile, no manage.py, no app = Flask(…) or FastAPI(…), no main.py, app.py or server.py",
			"one of: run: python -m …, beside build in titrate.yaml\na Procfile with a line web: gunicorn app:app")
	}
	if server := serverOf(p.run); server != "" && p.fetch != "" && w.Run.Silent() {
		p.take = func(src, deps string) (string, error) { return src, served(src, deps, server) }
		if slices.Contains(developing, server) || strings.Contains(p.run, "manage.py runserver") {
			p.warns = append(p.warns, "no server (gunicorn, waitress, uvicorn, hypercorn) is among the dependencies, and the framework's own is meant for developing: add gunicorn to them")
		}
	}
	if collects(tree, dir) {
		p.build = collectStatic
	}
	p.run = execLine(p.run)
	// By content, not by time: the artifact's times are not those of the build.
	p.finish = `mkdir -p "$DEPS/site" && cp -R "$DEPS/site" "$SRC/.python"
python -m compileall -q --invalidation-mode unchecked-hash "$SRC" || true`
	return p, nil
}

// pythonVersion is which Python a repository was written for: a minor version, such as 3.12.
func pythonVersion(tree fs.FS, dir string) (v struct{ asked, where string }) {
	for _, name := range []string{".python-version", "runtime.txt", "Pipfile"} {
		text, err := readStart(tree, path.Join(dir, name))
		if err != nil {
			continue
		}
		if m := pythonWanted.FindSubmatch(text); m != nil {
			v.asked, v.where = string(m[1]), path.Join(dir, name)
			return v
		}
	}
	return v
}

var pythonWanted = regexp.MustCompile(`(?m)^\s*(?:python-|python_version\s*=\s*["'])?(3\.\d+)`)

// findPython asks python3 which interpreter it is: pyenv and others put scripts before it.
func (r *run) findPython(ctx context.Context, w Workload) (tool, error) {
	return r.pythonAt(ctx, w, "python3")
}

func (r *run) pythonAt(ctx context.Context, w Workload, name string) (tool, error) {
	t, err := r.find(ctx, w, name)
	if err != nil {
		return tool{}, err
	}
	said, err := ask(ctx, t.path, "-c", "import os, sys, platform; print(os.path.realpath(sys.executable)); print(platform.python_version()); print(sys.base_prefix)")
	lines := strings.Split(said, "\n")
	if err != nil || len(lines) != 3 {
		return tool{}, fault(w, CodeTool, StepDetect, fmt.Sprintf("%s does not run: %v", t.path, err), "one of: "+packages["python3"]+"\n"+waysOut(w))
	}
	return tool{name: "python", path: lines[0], version: lines[1], home: lines[2]}, nil
}
