package pipeline

import (
	"strings"
	"testing"
	"testing/fstest"

	"titrate/internal/manifest"
)

func TestNodeStart(t *testing.T) {
	t.Parallel()
	const site = "(a site)"
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want string
		dev  bool
	}{
		"a start script":         {repo("package.json", `{"scripts":{"start":"node server.js"}}`), "node server.js", false},
		"one for production":     {repo("package.json", `{"scripts":{"start":"nest start","start:prod":"node dist/main"}}`), "node dist/main", false},
		"what comes before":      {repo("package.json", `{"scripts":{"prestart":"node migrate.js","start":"node server.js"}}`), "node migrate.js && node server.js", false},
		"by a devDependency":     {repo("package.json", `{"scripts":{"start":"cross-env X=1 tsx src/main.ts"},"devDependencies":{"tsx":"4"}}`), "cross-env X=1 tsx src/main.ts", true},
		"a Procfile":             {repo("package.json", `{"scripts":{"start":"node a.js"}}`, "Procfile", "web: node b.js\nwork: node w.js\n"), "node b.js", false},
		"main":                   {repo("package.json", `{"main":"lib/a.js"}`, "lib/a.js", ""), "node lib/a.js", false},
		"main that is built":     {repo("package.json", `{"main":"dist/a.js","scripts":{"build":"tsc"}}`), "node dist/a.js", false},
		"the usual file":         {repo("package.json", `{}`, "app.js", ""), "node app.js", false},
		"next":                   {repo("package.json", `{"scripts":{"dev":"next dev","build":"next build"},"dependencies":{"next":"14"}}`), "next start", false},
		"next for developing":    {repo("package.json", `{"scripts":{"start":"next dev","build":"next build"},"dependencies":{"next":"14"}}`), "next start", false},
		"next with a port":       {repo("package.json", `{"scripts":{"start":"next start -p 4000","build":"next build"},"dependencies":{"next":"14"}}`), `next start -p "$PORT"`, false},
		"nuxt":                   {repo("package.json", `{"scripts":{"build":"nuxt build"},"devDependencies":{"nuxt":"3"}}`), "node .output/server/index.mjs", false},
		"SvelteKit":              {repo("package.json", `{"scripts":{"build":"vite build","dev":"vite"},"devDependencies":{"vite":"5","@sveltejs/adapter-node":"5"}}`), "node build", false},
		"a preview ignores PORT": {repo("package.json", `{"scripts":{"start":"vite preview","build":"vite build"},"devDependencies":{"vite":"5"}}`), `vite preview --host 127.0.0.1 --port "$PORT" --strictPort`, true},
		"vite":                   {repo("package.json", `{"scripts":{"dev":"vite","build":"vite build"},"devDependencies":{"vite":"5"}}`), site, false},
		"vite to develop":        {repo("package.json", `{"scripts":{"start":"vite","build":"vite build"}}`), site, false},
		"create-react-app":       {repo("package.json", `{"scripts":{"start":"react-scripts start","build":"react-scripts build"}}`), site, false},
		"angular":                {repo("package.json", `{"scripts":{"start":"ng serve","build":"ng build"}}`), site, false},
		"nothing":                {repo("package.json", `{}`), "", false},
	} {
		pkg, err := readPackage(c.tree, ".")
		if err != nil {
			t.Fatal(err)
		}
		got := nodeStart(c.tree, ".", pkg, Workload{Name: "shop", Build: manifest.Build{Dir: "."}})
		if got.site {
			got.line = site
		}
		if got.line != c.want || got.dev != c.dev || got.line != "" && !got.site && got.from == "" {
			t.Errorf("%s: %+v, want %q, dev %v", name, got, c.want, c.dev)
		}
	}
}

func TestPythonStart(t *testing.T) {
	t.Parallel()
	const flask, fast = "from flask import Flask\napp = Flask(__name__)\n", "app: FastAPI = FastAPI()\n"
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want string
	}{
		"flask alone":      {repo("requirements.txt", "flask==3\n", "app.py", flask), "python -m flask --app 'app:app' run --port $PORT"},
		"on gunicorn":      {repo("requirements.txt", "Flask\ngunicorn==21.2\n", "app.py", flask), "python -m gunicorn --bind 127.0.0.1:$PORT 'app:app'"},
		"on waitress":      {repo("requirements.txt", "flask\nwaitress\n", "app.py", flask), "python -m waitress --listen=127.0.0.1:$PORT app:app"},
		"a factory":        {repo("requirements.txt", "flask\ngunicorn\n", "shop/__init__.py", "def create_app():\n"), "python -m gunicorn --bind 127.0.0.1:$PORT 'shop:create_app()'"},
		"fastapi":          {repo("requirements.txt", "fastapi\nuvicorn[standard]\n", "main.py", fast), "python -m uvicorn main:app --host 127.0.0.1 --port $PORT"},
		"below src":        {repo("pyproject.toml", "[project]\nname='x'\ndependencies=['fastapi','uvicorn']\n", "src/shop/main.py", fast), "python -m uvicorn shop.main:app --host 127.0.0.1 --port $PORT"},
		"on hypercorn":     {repo("requirements.txt", "quart\nhypercorn\n", "app.py", "app = Quart(__name__)\n"), "python -m hypercorn --bind 127.0.0.1:$PORT app:app"},
		"by poetry":        {repo("pyproject.toml", "[tool.poetry.dependencies]\npython='^3.11'\nfastapi='*'\nuvicorn='*'\n", "app/main.py", fast), "python -m uvicorn app.main:app --host 127.0.0.1 --port $PORT"},
		"django":           {repo("requirements.txt", "django\n", "manage.py", "", "shop/wsgi.py", ""), "python manage.py runserver --noreload 127.0.0.1:$PORT"},
		"django, gunicorn": {repo("requirements.txt", "django\ngunicorn\n", "manage.py", "", "shop/wsgi.py", "", "shop/asgi.py", ""), "python -m gunicorn --bind 127.0.0.1:$PORT shop.wsgi:application"},
		"django, uvicorn":  {repo("requirements.txt", "django\nuvicorn\n", "manage.py", "", "shop/wsgi.py", "", "shop/asgi.py", ""), "python -m uvicorn shop.asgi:application --host 127.0.0.1 --port $PORT"},
		"a script":         {repo("requirements.txt", "", "server.py", "print()\n"), "python server.py"},
		"its entry point":  {repo("pyproject.toml", "[project]\nname='x'\n[project.scripts]\nx='x.cli:main'\n"), "python -c 'import sys; from x.cli import main; sys.exit(main())'"},
		"tests are none":   {repo("requirements.txt", "flask\n", "test_app.py", flask), ""},
	} {
		project, err := readProject(c.tree, ".")
		if err != nil {
			t.Fatal(err)
		}
		got, from := pythonStart(c.tree, ".", project, pythonNames(c.tree, ".", project))
		if got != c.want || got != "" && from == "" {
			t.Errorf("%s: %q by %q, want %q", name, got, from, c.want)
		}
	}
}

func TestGradle_isPlannedWithItsWrapper(t *testing.T) {
	t.Parallel()
	r := &run{Builder: &Builder{}}
	for name, c := range map[string]struct {
		test        string
		fetch, told string
	}{
		"built":  {"", "sh ./gradlew --no-daemon -q assemble", "fetch: sh ./gradlew --no-daemon -q assemble, by build.gradle.kts"},
		"tested": {"./gradlew --offline test", "sh ./gradlew --no-daemon -q assemble testClasses", "test: ./gradlew --offline test"},
	} {
		tree := repo("build.gradle.kts", "plugins { java }", "gradlew", "", "gradle/wrapper/gradle-wrapper.properties", "", "settings.gradle.kts", "", "gradle/libs.versions.toml", "")
		w := Workload{Name: "shop", Build: manifest.Build{Dir: ".", Test: c.test}}
		p := plan{root: ".", dir: "."}
		if err := r.gradle(t.Context(), tree, w, &p); err != nil {
			t.Fatal(err)
		}
		if p.fetch != away(c.fetch) || p.build != "sh ./gradlew --no-daemon -q --offline assemble" || strings.Join(p.locks, " ") != "build.gradle.kts settings.gradle.kts gradle/libs.versions.toml gradle/wrapper/gradle-wrapper.properties" {
			t.Errorf("%s: %+v", name, p)
		}
		if got := strings.Join(p.text(w), "\n"); !strings.Contains(got, c.told) {
			t.Errorf("%s: no %q in\n%s", name, c.told, got)
		}
	}
}
