package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const pipInstall = `python -m pip install --no-compile --no-input --no-warn-script-location --prefer-binary --cache-dir "$DOWNLOADS/pip" --target `

// pythonPackages plans the fetch step, by the lock file that is there.
func (r *run) pythonPackages(ctx context.Context, tree fs.FS, w Workload, project pyproject, p *plan) error {
	dir := w.Build.Dir
	has := func(name string) bool { return isFile(tree, path.Join(dir, name)) }
	for _, pattern := range []string{"requirements*.txt", "*requirements.txt", "requirements/*.txt", "constraints*.txt", "pyproject.toml", "poetry.lock", "uv.lock", "Pipfile.lock", "setup.cfg", "setup.py"} {
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
	// Where the tool of a lock file is not on the machine, what stands beside it will do.
	instead := func(name, lock string) bool {
		_, err := r.find(ctx, w, name)
		if err == nil || !has("requirements.txt") {
			return false
		}
		p.warns = append(p.warns, name+" is not on this machine: requirements.txt is installed, and not "+lock+", which may mean other versions")
		return true
	}
	switch {
	case has("uv.lock") && !instead("uv", "uv.lock"):
		if err := also("uv"); err != nil {
			return exported(err, "uv export --no-dev --no-emit-project -o requirements.txt, commit it, push again")
		}
		p.told, p.by = "uv export --frozen, uv pip install", path.Join(dir, "uv.lock")
		p.fetch = `export UV_CACHE_DIR="$DOWNLOADS/uv" UV_PYTHON_DOWNLOADS=never
uv export --frozen --no-dev --no-emit-project -o "$TMPDIR/locked.txt" > /dev/null
uv pip install --python "$(command -v python)" --target "$DEPS/site" -r "$TMPDIR/locked.txt"`
		if w.Build.Test != "" {
			p.fetch += "\n" + `uv export --frozen --only-dev --no-emit-project -o "$TMPDIR/dev.txt" > /dev/null
uv pip install --python "$(command -v python)" --target "$DEPS/test" -r "$TMPDIR/dev.txt"`
		}
	case has("poetry.lock") && !instead("poetry", "poetry.lock"):
		if err := also("poetry"); err != nil {
			return exported(err, "poetry export -o requirements.txt, commit it, push again")
		}
		only, check := "--only main ", ""
		if old, err := fits(p.tools[len(p.tools)-1], "<2"); err == nil && old { // later ones see for themselves
			check = "poetry lock --check --no-interaction\n"
		}
		if w.Build.Test != "" {
			only = ""
		}
		p.told, p.by = "poetry install", path.Join(dir, "poetry.lock")
		p.fetch = `export POETRY_VIRTUALENVS_PATH="$TMPDIR/venvs" POETRY_VIRTUALENVS_PREFER_ACTIVE_PYTHON=true PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring POETRY_VIRTUALENVS_IN_PROJECT=false POETRY_CACHE_DIR="$DOWNLOADS/poetry"
` + check + `poetry install --no-interaction --no-root ` + only + `
mv "$TMPDIR"/venvs/*/lib/python*/site-packages "$DEPS/site"`
	case has("Pipfile.lock"):
		p.told, p.by = "pip install what Pipfile.lock names", path.Join(dir, "Pipfile.lock")
		p.fetch = pipfileRequirements("default") + pipInstall + `"$DEPS/site" -r "$TMPDIR/default.txt"`
		if w.Build.Test != "" {
			p.fetch += "\n" + pipfileRequirements("develop") + pipInstall + `"$DEPS/test" -r "$TMPDIR/develop.txt"`
		}
	case len(project.Tool.Poetry.Dependencies) > 0 && !has("requirements.txt"):
		return fault(w, CodeLock, StepDetect, "pyproject.toml is poetry's, and there is no poetry.lock", "poetry lock, commit poetry.lock, push again")
	case has("Pipfile") && !has("requirements.txt"):
		return fault(w, CodeLock, StepDetect, "there is a Pipfile, and no Pipfile.lock", "pipenv lock, commit Pipfile.lock, push again")
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
	if strings.Contains(p.fetch, pipInstall) {
		if _, err := ask(ctx, p.tools[0].path, "-m", "pip", "--version"); err != nil {
			return fault(w, CodeTool, StepDetect, p.tools[0].path+" has no pip", "one of: "+packages["python3"]+"\n"+waysOut(w))
		}
	}
	return nil
}

// exported adds the way out of a lock file whose tool is not there.
func exported(err error, way string) error {
	var e *BuildError
	if errors.As(err, &e) {
		e.Help = strings.Replace(e.Help, "\n", "\n"+way+"\n", 1)
	}
	return err
}

// pipfileRequirements writes a part of a Pipfile.lock as pip reads it. An index other than
// the usual one is named, so that PIP_INDEX_URL holds for the usual one.
func pipfileRequirements(part string) string {
	return `python - ` + part + ` > "$TMPDIR/` + part + `.txt" <<'END'
import json, os, sys
lock = json.load(open("Pipfile.lock"))
for i, source in enumerate(lock["_meta"].get("sources", [])):
    if "//pypi.org/" not in source["url"]:
        print("--extra-index-url" if i else "--index-url", os.path.expandvars(source["url"]))
packages = lock.get(sys.argv[1], {})
hashed = all("hashes" in p for p in packages.values())
for name, p in packages.items():
    line = name + ("[%s]" % ",".join(p["extras"]) if p.get("extras") else "")
    if "git" in p:
        line += " @ git+%s@%s" % (p["git"], p.get("ref", "HEAD"))
    elif "file" in p or "path" in p:
        line = p.get("file") or p["path"]
    else:
        line += p.get("version", "").replace("*", "")
    if p.get("markers"):
        line += " ; " + p["markers"]
    print(line + ("".join(" --hash=" + h for h in p["hashes"]) if hashed else ""))
END
`
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
