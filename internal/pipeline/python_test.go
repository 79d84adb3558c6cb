package pipeline

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// makeWheels writes wheels: of "word", which holds a word, and of what Debian's
// packages have installed for the system's Python, named NAME or NAME>NEEDS,NEEDS.
const makeWheels = `import base64, hashlib, os, sys, zipfile
def wheel(name, needs, files):
    info, record = name + "-1.0.dist-info", []
    files = dict(files)
    files[info + "/METADATA"] = ("Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n" % name + "".join("Requires-Dist: %s\n" % n for n in needs)).encode()
    if name == "gunicorn": files[info + "/entry_points.txt"] = b"[console_scripts]\ngunicorn = gunicorn.app.wsgiapp:run\n"
    files[info + "/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    for at, text in files.items():
        record.append("%s,sha256=%s,%d\n" % (at, base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode(), len(text)))
    files[info + "/RECORD"] = ("".join(record) + info + "/RECORD,,\n").encode()
    with zipfile.ZipFile("%s/%s-1.0-py3-none-any.whl" % (sys.argv[1], name), "w") as z:
        for at, text in files.items(): z.writestr(at, text)
wheel("word", [], {"word.py": b"WORD = b'from a wheel'\n"})
for spec in sys.argv[2:]:
    name, _, needs = spec.partition(">")
    here, files = "/usr/lib/python3/dist-packages", {}
    for root, dirs, names in os.walk(here + "/" + name):
        for n in names:
            if n.endswith((".py", ".pyi", "py.typed")):
                files[os.path.relpath(os.path.join(root, n), here)] = open(os.path.join(root, n), "rb").read()
    if not files: sys.exit("Debian's Python has no " + name)
    wheel(name, [n for n in needs.split(",") if n], files)
`

// index serves wheels at an address of loopback, as PEP 503 has it: PyPI's stand-in,
// which the tests do not ask.
func index(t *testing.T, specs ...string) string {
	t.Helper()
	needTools(t, "python3")
	if exec.CommandContext(t.Context(), "python3", "-m", "pip", "--version").Run() != nil {
		t.Skip("python3 has no pip here")
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "python3", append([]string{"-c", makeWheels, dir}, specs...)...).CombinedOutput(); err != nil {
		t.Skipf("no wheels: %s", out)
	}
	mux := http.NewServeMux()
	mux.Handle("/files/", http.StripPrefix("/files/", http.FileServer(http.Dir(dir))))
	mux.HandleFunc("/simple/{name}/", func(w http.ResponseWriter, r *http.Request) {
		file := r.PathValue("name") + "-1.0-py3-none-any.whl"
		if !exists(filepath.Join(dir, file)) {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<a href="/files/` + file + `">` + file + `</a>`))
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL + "/simple/"
}

const pythonServer = `import os, http.server, word
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(word.WORD)
http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()
`

func TestPython_isBuiltFromItsIndexAndWarmWithoutNetwork(t *testing.T) {
	t.Parallel()
	source := files(t, "requirements.txt", "--index-url "+index(t)+"\nword==1.0\n", "main.py", pythonServer)
	b := builder(t, online)
	w := goService("shop", ".")
	w.Build.Test = "python -c 'import word'"
	a := mustBuild(t, b, source, w)[0]
	if got := answer(t, b, a.Artifact); got != "from a wheel" {
		t.Errorf("it says %q", got)
	}
	other := mustBuild(t, builder(t, online), source, w)[0]
	if other.Artifact.Digest != a.Artifact.Digest {
		t.Error("the build is not reproducible")
	}
	b.cfg.Network = false
	write(t, source, "more.py", "more = 1\n")
	if again, err := build(t, b, source, w); err != nil || again[0].Reused {
		t.Errorf("warm, without network: %+v, %v", again, err)
	}
	b.cfg.Network = true
	write(t, source, "requirements.txt", "--index-url "+index(t)+"\nno-such-word==1.0\n")
	if _, err := build(t, b, source, w); err == nil || !strings.Contains(err.Error(), CodeUnreachable) || !strings.Contains(err.Error(), "no-such-word") {
		t.Errorf("what the index lacks: %v", err)
	}
	write(t, source, "pyproject.toml", "[project]\nname = 'shop'\nrequires-python = '>=3.99'\n")
	if _, err := build(t, b, source, w); err == nil || !strings.Contains(err.Error(), CodeVersion) {
		t.Error(err)
	}
}

func TestPython_isStartedOnTheServerOfItsDependencies(t *testing.T) {
	t.Parallel()
	slow(t)
	const wsgi = "import word\ndef app(env, start):\n    start('200 OK', [])\n    return [word.WORD + b' by wsgi']\n"
	const asgi = `from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
import word
app = Starlette(routes=[Route("/", lambda request: PlainTextResponse(word.WORD + b" by asgi"))])
`
	for name, c := range map[string]struct {
		wheels []string
		source []string
		want   string
	}{
		"gunicorn": {[]string{"gunicorn"}, []string{"Procfile", "web: gunicorn app:app\n", "app.py", wsgi, "requirements.txt", "gunicorn==1.0\nword\n"}, "from a wheel by wsgi"},
		"Pipfile":  {[]string{"gunicorn"}, []string{"Procfile", "web: gunicorn app:app\n", "app.py", wsgi, "Pipfile", "", "Pipfile.lock", `{"_meta":{"sources":[{"url":"INDEX"}]},"default":{"gunicorn":{"version":"==1.0","markers":"python_version >= '3'"},"word":{"version":"*","index":"pypi"}}}`}, "from a wheel by wsgi"},
		"uvicorn":  {[]string{"uvicorn>h11,click,asgiref", "h11", "click", "asgiref", "starlette>anyio", "anyio>sniffio,idna", "sniffio", "idna"}, []string{"src/shop/app.py", asgi, "requirements.txt", "starlette\nuvicorn\nword\n"}, "from a wheel by asgi"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := index(t, c.wheels...)
			source := files(t, c.source...)
			if text, err := os.ReadFile(filepath.Join(source, "Pipfile.lock")); err == nil {
				write(t, source, "Pipfile.lock", strings.Replace(string(text), "INDEX", at, 1))
			} else if text, err := os.ReadFile(filepath.Join(source, "requirements.txt")); err == nil {
				write(t, source, "requirements.txt", "--index-url "+at+"\n"+string(text))
			}
			b := builder(t, online)
			if got := answer(t, b, mustBuild(t, b, source, goService("shop", "."))[0].Artifact); got != c.want {
				t.Errorf("it says %q", got)
			}
		})
	}
}

func TestPython_isRefusedWithoutItsServerOrItsLock(t *testing.T) {
	t.Parallel()
	needTools(t, "python3")
	site := t.TempDir()
	err := served(t.TempDir(), site, "uvicorn")
	wantFault(t, err, CodeNothing, "no server for it (uvicorn)")
	write(t, site, "site/uvicorn/__init__.py", "")
	if err := served(t.TempDir(), site, "uvicorn"); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct{ source, text, saw string }{
		"poetry": {"pyproject.toml", "[tool.poetry.dependencies]\npython='^3.9'\nflask='*'\n", "no poetry.lock"},
		"pipenv": {"Pipfile", "[packages]\nflask='*'\n", "no Pipfile.lock"},
	} {
		_, err := build(t, builder(t, nil), files(t, c.source, c.text, "main.py", ""), goService("shop", "."))
		if err == nil || !strings.Contains(err.Error(), CodeLock) || !strings.Contains(err.Error(), c.saw) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPython_withoutUvIsInstalledByWhatStandsBesideItsLock(t *testing.T) {
	t.Parallel()
	needTools(t, "python3")
	if exists("/usr/bin/uv") || exists("/usr/local/bin/uv") {
		t.Skip("uv is on this machine")
	}
	r := &run{Builder: &Builder{}}
	w := goService("shop", ".")
	tree := repo("uv.lock", "version = 1\n", "pyproject.toml", "[project]\nname='shop'\n", "main.py", "")
	if _, err := r.planPython(t.Context(), tree, w); err == nil || !strings.Contains(err.Error(), "pipx install uv") || !strings.Contains(err.Error(), "uv export") {
		t.Error(err)
	}
	tree["requirements.txt"] = repo("x", "flask\n")["x"]
	p, err := r.planPython(t.Context(), tree, w)
	if err != nil || p.by != "requirements.txt" || len(p.warns) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestPython_isBuiltByPoetry(t *testing.T) {
	t.Parallel()
	slow(t)
	needTools(t, "poetry")
	source := files(t, "main.py", pythonServer, "pyproject.toml", `[tool.poetry]
name = "shop"
version = "1.0.0"
description = ""
authors = []
[tool.poetry.dependencies]
python = "^3.9"
word = "1.0"
[[tool.poetry.source]]
name = "here"
url = "`+index(t)+`"
default = true
`)
	lock := exec.CommandContext(t.Context(), "poetry", "lock", "--no-interaction")
	lock.Dir = source
	lock.Env = append(os.Environ(), "POETRY_CACHE_DIR="+t.TempDir(), "POETRY_VIRTUALENVS_PATH="+t.TempDir(), "PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring")
	if out, err := lock.CombinedOutput(); err != nil {
		t.Skipf("poetry lock: %v\n%s", err, out)
	}
	b := builder(t, online)
	if got := answer(t, b, mustBuild(t, b, source, goService("shop", "."))[0].Artifact); got != "from a wheel" {
		t.Errorf("it says %q", got)
	}
	text, err := os.ReadFile(filepath.Join(source, "pyproject.toml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, source, "pyproject.toml", strings.Replace(string(text), `word = "1.0"`, `word = ">=1.0"`, 1))
	if _, err := build(t, b, source, goService("shop", ".")); err == nil || !strings.Contains(err.Error(), CodeLock) {
		t.Errorf("a lock file that does not fit: %v", err)
	}
}
