package pipeline

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	includes    = regexp.MustCompile(`(?m)^\s*(?:-r|--requirement)[ =]*(\S+)`)
	packageName = regexp.MustCompile(`(?m)^\s*(?:name\s*=\s*)?["']?([A-Za-z0-9][A-Za-z0-9._-]*)`)
)

// pythonNames returns the packages that are asked for, in lower case.
func pythonNames(tree fs.FS, dir string, project pyproject) map[string]bool {
	out := map[string]bool{}
	add := func(text string) {
		for _, m := range packageName.FindAllStringSubmatch(text, -1) {
			out[strings.ToLower(m[1])] = true
		}
	}
	files := []string{"requirements.txt", "uv.lock", "poetry.lock"}
	for i := 0; i < len(files) && i < 20; i++ { // one file may include another
		text, err := readStart(tree, path.Join(dir, files[i]))
		if err != nil {
			continue
		}
		add(string(text))
		for _, m := range includes.FindAllSubmatch(text, -1) {
			if f := path.Join(path.Dir(files[i]), string(m[1])); fs.ValidPath(f) && !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	if text, err := readStart(tree, path.Join(dir, "Pipfile.lock")); err == nil {
		var lock struct{ Default map[string]json.RawMessage }
		if json.Unmarshal(text, &lock) == nil {
			for name := range lock.Default {
				add(name)
			}
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
	entry     = regexp.MustCompile(`(?m)^(application|app)\s*(?::[^=\n]+)?=`)
	asgi      = []string{"FastAPI", "Starlette", "Litestar", "Quart", "fastapi.FastAPI", "asgi"}

	startsServer = regexp.MustCompile(`^python -m (gunicorn|waitress|uvicorn|hypercorn|daphne|flask) `)
	developing   = []string{"flask"}
)

// serverOf returns the module that a start line of ours runs an app on, or "".
func serverOf(line string) string {
	if m := startsServer.FindStringSubmatch(line); m != nil {
		return m[1]
	}
	return ""
}

// served refuses an artifact whose dependencies lack the server that it is started on.
func served(src, deps, server string) error {
	for _, dir := range []string{filepath.Join(deps, "site"), src} {
		if exists(filepath.Join(dir, server)) || exists(filepath.Join(dir, server+".py")) {
			return nil
		}
	}
	return &BuildError{
		Code: CodeNothing, Step: StepKeep, Saw: "the app is there, and no server for it (" + server + ") is among the dependencies",
		Help: "one of: echo " + server + " >> requirements.txt, or uv add " + server + ", or poetry add " + server + ", commit, push again\na server of your own: run: …, beside build in titrate.yaml, or a Procfile with a line web: …",
	}
}

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
		} else if m := entry.FindStringSubmatch(string(text)); m != nil && (path.Base(f) == "wsgi.py" || path.Base(f) == "asgi.py") {
			object, kind = m[1], strings.TrimSuffix(path.Base(f), ".py")
		}
		if object == "" {
			continue
		}
		switch {
		case slices.Contains(asgi, kind) && names["hypercorn"]:
			return "python -m hypercorn --bind 127.0.0.1:$PORT " + module + ":" + object, relative(dir, f)
		case slices.Contains(asgi, kind) && names["daphne"] && !names["uvicorn"]:
			return "python -m daphne --bind 127.0.0.1 --port $PORT " + module + ":" + object, relative(dir, f)
		case slices.Contains(asgi, kind): // the usual one; served refuses it where it is not there
			return "python -m uvicorn " + module + ":" + object + " --host 127.0.0.1 --port $PORT", relative(dir, f)
		case names["gunicorn"]:
			return "python -m gunicorn --bind 127.0.0.1:$PORT '" + module + ":" + object + "'", relative(dir, f)
		case names["waitress"]:
			return "python -m waitress --listen=127.0.0.1:$PORT " + waitressApp(module, object), relative(dir, f)
		case kind == "wsgi" && !names["flask"]:
			return "python -m gunicorn --bind 127.0.0.1:$PORT '" + module + ":" + object + "'", relative(dir, f)
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
		case kind == "asgi" && names["hypercorn"]:
			return "python -m hypercorn --bind 127.0.0.1:$PORT " + module
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

// collects reports whether a Django project gathers its files for serving them.
func collects(tree fs.FS, dir string) bool {
	if !isFile(tree, path.Join(dir, "manage.py")) {
		return false
	}
	for _, pattern := range []string{"*/settings.py", "*/settings/*.py", "*/*/settings.py"} {
		found, err := fs.Glob(tree, path.Join(dir, pattern))
		for _, f := range found {
			if text, missing := readStart(tree, f); err == nil && missing == nil && staticRoot.Match(text) {
				return true
			}
		}
	}
	return false
}

var staticRoot = regexp.MustCompile(`(?m)^\s*STATIC_ROOT\s*=\s*[^\sN]`)

// collectStatic does not fail a build: settings may need secrets, which builds have none of.
const collectStatic = `python manage.py collectstatic --noinput || echo "titrate: collectstatic failed, and the build goes on: settings that need a secret may be why"`
