package pipeline

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
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
	if err := r.pythonPackages(ctx, tree, w, project, &p); err != nil {
		return plan{}, err
	}
	names := pythonNames(tree, dir, project)
	if p.run, p.from = procfile(tree, dir, w.Name); p.run == "" {
		p.run, p.from = pythonStart(tree, dir, project, names)
	}
	if p.run == "" && w.Run.Silent() {
		return plan{}, fault(w, CodeNothing, StepDetect, "nothing says what to start: no Procfile, no manage.py, no app = Flask(…) or FastAPI(…), no main.py, app.py or server.py",
			"one of: run: python -m …, beside build in titrate.yaml\na Procfile with a line web: gunicorn app:app")
	}
	p.run = execLine(p.run)
	// By content, not by time: the artifact's times are not those of the build.
	p.finish = `mkdir -p "$DEPS/site" && cp -R "$DEPS/site" "$SRC/.python"
python -m compileall -q --invalidation-mode unchecked-hash "$SRC" || true`
	return p, nil
}

// findPython asks python3 which interpreter it is: pyenv and others put scripts before it.
func (r *run) findPython(ctx context.Context, w Workload) (tool, error) {
	t, err := r.find(ctx, w, "python3")
	if err != nil {
		return tool{}, err
	}
	said, err := ask(ctx, t.path, "-c", "import os, sys, platform; print(os.path.realpath(sys.executable)); print(platform.python_version()); print(sys.base_prefix)")
	lines := strings.Split(said, "\n")
	if err != nil || len(lines) != 3 {
		return tool{}, fault(w, CodeTool, StepDetect, fmt.Sprintf("%s does not run: %v", t.path, err), "one of: "+packages["python3"]+"\n"+waysOut)
	}
	return tool{name: "python", path: lines[0], version: lines[1], home: lines[2]}, nil
}

const pipInstall = `python -m pip install --no-compile --no-input --no-warn-script-location --prefer-binary --cache-dir "$DOWNLOADS/pip" --target `

// pythonPackages plans the fetch step, by the lock file that is there.
func (r *run) pythonPackages(ctx context.Context, tree fs.FS, w Workload, project pyproject, p *plan) error {
	dir := w.Build.Dir
	has := func(name string) bool { return isFile(tree, path.Join(dir, name)) }
	for _, pattern := range []string{"requirements*.txt", "*requirements.txt", "requirements/*.txt", "constraints*.txt", "pyproject.toml", "poetry.lock", "uv.lock", "setup.cfg", "setup.py"} {
		found, err := fs.Glob(tree, path.Join(dir, pattern))
		if err != nil {
			return fmt.Errorf("look for lock files: %w", err)
		}
		for _, f := range found {
			p.locks = append(p.locks, relative(dir, f))
		}
	}
	slices.Sort(p.locks)
	p.locks = slices.Compact(p.locks)
	also := func(name string) error {
		t, err := r.find(ctx, w, name)
		if err == nil {
			t.path = real(t.path)
			t.home = filepath.Dir(filepath.Dir(t.path))
			p.tools = append(p.tools, t)
			p.wrap[name] = t.path
		}
		return err
	}
	switch {
	case has("uv.lock"):
		if err := also("uv"); err != nil {
			return err
		}
		p.told, p.by = "uv export --frozen, uv pip install", path.Join(dir, "uv.lock")
		p.fetch = `export UV_CACHE_DIR="$DOWNLOADS/uv" UV_PYTHON_DOWNLOADS=never
uv export --frozen --no-dev --no-emit-project -o "$TMPDIR/locked.txt" > /dev/null
uv pip install --python "$(command -v python)" --target "$DEPS/site" -r "$TMPDIR/locked.txt"`
		if w.Build.Test != "" {
			p.fetch += "\n" + `uv export --frozen --only-dev --no-emit-project -o "$TMPDIR/dev.txt" > /dev/null
uv pip install --python "$(command -v python)" --target "$DEPS/test" -r "$TMPDIR/dev.txt"`
		}
	case has("poetry.lock"):
		if err := also("poetry"); err != nil {
			return err
		}
		only := "--only main "
		if w.Build.Test != "" {
			only = ""
		}
		p.told, p.by = "poetry install", path.Join(dir, "poetry.lock")
		p.fetch = `export POETRY_VIRTUALENVS_PATH="$TMPDIR/venvs" POETRY_VIRTUALENVS_IN_PROJECT=false POETRY_CACHE_DIR="$DOWNLOADS/poetry"
poetry install --no-interaction --no-root ` + only + `
mv "$TMPDIR"/venvs/*/lib/python*/site-packages "$DEPS/site"`
	case has("requirements.txt"):
		p.by = path.Join(dir, "requirements.txt")
		p.fetch = pipInstall + `"$DEPS/site" -r requirements.txt`
		p.fetch += pythonTests(w, has)
	case len(project.Project.Dependencies) > 0:
		p.by = path.Join(dir, "pyproject.toml")
		p.warns = append(p.warns, "no lock file (requirements.txt, uv.lock, poetry.lock) says which versions pyproject.toml means, so that two builds of one commit may differ: pip freeze > requirements.txt, commit it")
		var quoted []string
		for _, d := range project.Project.Dependencies {
			quoted = append(quoted, "'"+strings.ReplaceAll(d, "'", `'\''`)+"'")
		}
		p.fetch = pipInstall + `"$DEPS/site" ` + strings.Join(quoted, " ") + pythonTests(w, has)
	}
	if strings.HasPrefix(p.fetch, "python -m pip") {
		if _, err := ask(ctx, p.tools[0].path, "-m", "pip", "--version"); err != nil {
			return fault(w, CodeTool, StepDetect, p.tools[0].path+" has no pip", "one of: "+packages["python3"]+"\n"+waysOut)
		}
	}
	return nil
}

// pythonTests fetches what the tests need beside, by the files that usually say so.
func pythonTests(w Workload, has func(string) bool) string {
	if w.Build.Test == "" {
		return ""
	}
	for _, f := range []string{"requirements-dev.txt", "requirements-test.txt", "dev-requirements.txt", "test-requirements.txt", "requirements/dev.txt", "requirements/test.txt"} {
		if has(f) {
			return "\n" + pipInstall + `"$DEPS/test" -r ` + f
		}
	}
	return ""
}

var packageName = regexp.MustCompile(`(?m)^\s*(?:name\s*=\s*)?["']?([A-Za-z0-9][A-Za-z0-9._-]*)`)

// pythonNames returns the packages that are asked for, in lower case.
func pythonNames(tree fs.FS, dir string, project pyproject) map[string]bool {
	out := map[string]bool{}
	add := func(text string) {
		for _, m := range packageName.FindAllStringSubmatch(text, -1) {
			out[strings.ToLower(m[1])] = true
		}
	}
	for _, f := range []string{"requirements.txt", "uv.lock", "poetry.lock"} {
		if text, err := readStart(tree, path.Join(dir, f)); err == nil {
			add(string(text))
		}
	}
	for _, d := range project.Project.Dependencies {
		add(d)
	}
	for name := range project.Tool.Poetry.Dependencies {
		add(name)
	}
	return out
}

var (
	pythonApp = regexp.MustCompile(`(?m)^(\w+)\s*(?::[^=\n]+)?=\s*(Flask|FastAPI|Starlette|Litestar|Quart|Sanic|fastapi\.FastAPI|flask\.Flask)\(`)
	factory   = regexp.MustCompile(`(?m)^def (create_app|make_app|build_app)\(`)
	asgi      = []string{"FastAPI", "Starlette", "Litestar", "Quart", "fastapi.FastAPI"}
)

// pythonStart says how a Python service is started, and by which file: its framework on the server
// that it asks for, otherwise its main file.
func pythonStart(tree fs.FS, dir string, project pyproject, names map[string]bool) (line, from string) {
	if isFile(tree, path.Join(dir, "manage.py")) {
		return djangoStart(tree, dir, names), "manage.py"
	}
	for _, f := range pythonFiles(tree, dir) {
		text, err := readStart(tree, f)
		if err != nil {
			continue
		}
		module := strings.TrimSuffix(strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(relative(dir, f), "src/"), ".py"), "/", "."), ".__init__")
		object, kind := "", "Flask"
		if m := pythonApp.FindStringSubmatch(string(text)); m != nil {
			object, kind = m[1], m[2]
		} else if m := factory.FindStringSubmatch(string(text)); m != nil && names["flask"] {
			object = m[1] + "()"
		}
		if object == "" {
			continue
		}
		switch {
		case slices.Contains(asgi, kind) && names["hypercorn"]:
			return "python -m hypercorn --bind 127.0.0.1:$PORT " + module + ":" + object, relative(dir, f)
		case slices.Contains(asgi, kind):
			if names["uvicorn"] || names["fastapi"] {
				return "python -m uvicorn " + module + ":" + object + " --host 127.0.0.1 --port $PORT", relative(dir, f)
			}
		case names["gunicorn"]:
			return "python -m gunicorn --bind 127.0.0.1:$PORT '" + module + ":" + object + "'", relative(dir, f)
		case names["waitress"]:
			return "python -m waitress --listen=127.0.0.1:$PORT " + waitressApp(module, object), relative(dir, f)
		case names["flask"]:
			return "python -m flask --app '" + module + ":" + object + "' run --port $PORT", relative(dir, f)
		}
	}
	for _, f := range []string{"main.py", "app.py", "server.py", "run.py", "src/main.py"} {
		if isFile(tree, path.Join(dir, f)) {
			return "python " + f, f
		}
	}
	if len(project.Project.Scripts) == 1 {
		for _, entry := range project.Project.Scripts {
			module, function, _ := strings.Cut(entry, ":")
			return fmt.Sprintf("python -c 'import sys; from %s import %s; sys.exit(%s())'", module, function, function), "project.scripts of pyproject.toml"
		}
	}
	return "", ""
}

func waitressApp(module, object string) string {
	if name, ok := strings.CutSuffix(object, "()"); ok {
		return "--call " + module + ":" + name
	}
	return module + ":" + object
}

func djangoStart(tree fs.FS, dir string, names map[string]bool) string {
	for _, kind := range []string{"wsgi", "asgi"} {
		found, err := fs.Glob(tree, path.Join(dir, "*", kind+".py"))
		if err != nil || len(found) == 0 {
			continue
		}
		module := path.Base(path.Dir(found[0])) + "." + kind + ":application"
		switch {
		case kind == "wsgi" && names["gunicorn"]:
			return "python -m gunicorn --bind 127.0.0.1:$PORT " + module
		case kind == "wsgi" && names["waitress"]:
			return "python -m waitress --listen=127.0.0.1:$PORT " + module
		case kind == "asgi" && names["uvicorn"]:
			return "python -m uvicorn " + module + " --host 127.0.0.1 --port $PORT"
		case kind == "asgi" && names["daphne"]:
			return "python -m daphne --bind 127.0.0.1 --port $PORT " + module
		}
	}
	return "python manage.py runserver --noreload 127.0.0.1:$PORT"
}

// pythonFiles returns the files in which an app is looked for, the likeliest first.
func pythonFiles(tree fs.FS, dir string) []string {
	var out []string
	for _, name := range []string{"wsgi.py", "asgi.py", "main.py", "app.py", "application.py", "server.py", "api.py"} {
		out = append(out, path.Join(dir, name))
	}
	for _, pattern := range []string{"*.py", "*/main.py", "*/app.py", "*/wsgi.py", "*/__init__.py", "src/*/main.py", "src/*/app.py", "src/*/__init__.py"} {
		found, err := fs.Glob(tree, path.Join(dir, pattern))
		if err == nil {
			out = append(out, found...)
		}
	}
	return slices.DeleteFunc(out, func(f string) bool {
		return strings.Contains(path.Base(f), "test") || strings.HasPrefix(relative(dir, f), "tests/") || !isFile(tree, f)
	})
}
