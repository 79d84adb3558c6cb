package pipeline

import (
	"slices"
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
		"vite with main.js":      {repo("package.json", `{"scripts":{"dev":"vite","build":"vite build"},"devDependencies":{"vite":"5"}}`, "index.html", "", "main.js", ""), site, false},
		"vite to develop":        {repo("package.json", `{"scripts":{"start":"vite","build":"vite build"}}`), site, false},
		"create-react-app":       {repo("package.json", `{"scripts":{"start":"react-scripts start","build":"react-scripts build"}}`), site, false},
		"angular":                {repo("package.json", `{"scripts":{"start":"ng serve","build":"ng build"}}`), site, false},
		"nothing":                {repo("package.json", `{}`), "", false},
		"next, standalone":       {repo("package.json", `{"scripts":{"start":"next start","build":"next build"},"dependencies":{"next":"15"}}`, "next.config.ts", "const c = {\n  // output: 'export',\n  output: \"standalone\",\n}"), "HOSTNAME=127.0.0.1 node .next/standalone/server.js", false},
		"next, exported":         {repo("package.json", `{"scripts":{"start":"next start","build":"next build"},"dependencies":{"next":"15"}}`, "next.config.mjs", "export default { output: 'export' }"), site, false},
		"react router":           {repo("package.json", `{"scripts":{"start":"react-router-serve ./build/server/index.js","build":"react-router build"},"devDependencies":{"@react-router/dev":"7"}}`, "react-router.config.ts", "export default {\n  ssr: true,\n}"), "react-router-serve ./build/server/index.js", false},
		"react router, no ssr":   {repo("package.json", `{"scripts":{"start":"react-router-serve ./build/server/index.js","build":"react-router build"},"devDependencies":{"@react-router/dev":"7"}}`, "react-router.config.ts", "export default {\n  ssr: false,\n}"), site, false},
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
		"fastapi alone":    {repo("requirements.txt", "fastapi\n", "main.py", fast), "python -m uvicorn main:app --host 127.0.0.1 --port $PORT"},
		"an included file": {repo("requirements.txt", "-r requirements/base.txt\n", "requirements/base.txt", "flask\ngunicorn\n", "app.py", flask), "python -m gunicorn --bind 127.0.0.1:$PORT 'app:app'"},
		"a Pipfile.lock":   {repo("Pipfile.lock", `{"default":{"flask":{},"gunicorn":{}}}`, "app.py", flask), "python -m gunicorn --bind 127.0.0.1:$PORT 'app:app'"},
		"wsgi.py":          {repo("requirements.txt", "flask\ngunicorn\n", "wsgi.py", "from shop import create_app\napplication = create_app()\n", "shop/__init__.py", "def create_app():\n"), "python -m gunicorn --bind 127.0.0.1:$PORT 'wsgi:application'"},
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
		"built":  {"", "gradlew --no-daemon -q assemble", "fetch: gradlew --no-daemon -q assemble, by build.gradle.kts"},
		"tested": {"./gradlew --offline test", "gradlew --no-daemon -q assemble testClasses", "test: ./gradlew --offline test"},
	} {
		tree := repo("build.gradle.kts", "plugins { java }", "gradlew", "", "gradle/wrapper/gradle-wrapper.properties", "", "settings.gradle.kts", "", "gradle/libs.versions.toml", "")
		w := Workload{Name: "shop", Build: manifest.Build{Dir: ".", Test: c.test}}
		p := plan{root: ".", dir: ".", wrap: map[string]string{}}
		if err := r.gradle(t.Context(), tree, w, &p); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(p.fetch, c.fetch) || p.build != "gradlew --no-daemon -q --offline assemble" || strings.Join(p.locks, " ") != "build.gradle.kts settings.gradle.kts gradle/libs.versions.toml gradle/wrapper/gradle-wrapper.properties" {
			t.Errorf("%s: %+v", name, p)
		}
		if got := strings.Join(p.text(w), "\n"); !strings.Contains(got, c.told) {
			t.Errorf("%s: no %q in\n%s", name, c.told, got)
		}
	}
}

func TestNode_managersAreOfTheReleaseThatIsMeant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tree        fstest.MapFS
		asked, gets string
	}{
		"packageManager":       {repo("package.json", `{"packageManager":"pnpm@9.1.2+sha512.abc"}`, "pnpm-lock.yaml", "lockfileVersion: '9.0'\n"), "^9", "9.1.2"},
		"another's":            {repo("package.json", `{"packageManager":"npm@10.0.0"}`, "pnpm-lock.yaml", "lockfileVersion: '6.0'\n"), "^8", "8"},
		"pnpm of today":        {repo("package.json", `{}`, "pnpm-lock.yaml", "lockfileVersion: '9.0'\n"), ">=9", "10"},
		"pnpm of long ago":     {repo("package.json", `{}`, "pnpm-lock.yaml", "lockfileVersion: 5.4\n"), "^7", "7"},
		"yarn classic":         {repo("package.json", `{}`, "yarn.lock", "# yarn lockfile v1\n"), "^1", "1"},
		"yarn berry":           {repo("package.json", `{}`, "yarn.lock", "# generated\n\n__metadata:\n  version: 8\n  cacheKey: 10c0\n"), "^4", "4"},
		"yarn berry, an older": {repo("package.json", `{}`, "yarn.lock", "# generated\n\n__metadata:\n  version: 6\n"), "^3", "3"},
	} {
		_, m, ok := workspaceOf(c.tree, ".")
		asked, gets := m.release(c.tree, ".")
		if !ok || asked != c.asked || gets != c.gets {
			t.Errorf("%s: %s %q, fetched %q", name, m.name, asked, gets)
		}
	}
}

func TestNode_yarnPathIsTheRepositorysOwn(t *testing.T) {
	t.Parallel()
	own := ".yarn/releases/yarn-4.9.1.cjs"
	tree := repo("package.json", `{"scripts":{"start":"node a.js"},"dependencies":{"ms":"2"}}`, "yarn.lock", "\n__metadata:\n  version: 8\n", ".yarnrc.yml", "nodeLinker: node-modules\nyarnPath: "+own+"\n", own, "")
	if got := yarnPath(tree, "."); got != own {
		t.Errorf("%q", got)
	}
	for name, line := range map[string]string{"outside": "yarnPath: ../../yarn.js\n", "not there": "yarnPath: .yarn/none.cjs\n", "none": ""} {
		if got := yarnPath(repo(".yarnrc.yml", line), "."); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestNode_membersAreBuiltAfterWhatTheyNeed(t *testing.T) {
	t.Parallel()
	tree := repo("package.json", `{"workspaces":["apps/*","libs/*"]}`,
		"apps/web/package.json", `{"name":"web","scripts":{"build":"tsc","start":"node ."},"dependencies":{"@all/view":"*"}}`,
		"apps/other/package.json", `{"name":"other","main":"x.js"}`,
		"libs/view/package.json", `{"name":"@all/view","main":"dist/index.js","scripts":{"build":"tsc"},"dependencies":{"@all/words":"*"}}`,
		"libs/words/package.json", `{"name":"@all/words","main":"dist/index.js","scripts":{"build":"tsc"},"devDependencies":{"@all/view":"*"}}`)
	all := members(tree, ".")
	if got := strings.Join(needed(all, "apps/web"), " "); got != "libs/words libs/view" {
		t.Errorf("needed: %s", got)
	}
	if got := strings.Join(strangers(all, "apps/web"), " "); got != "apps/other" {
		t.Errorf("strangers: %s", got)
	}
	d, err := Detect(tree)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, s := range d.Services {
		found = append(found, s.Name)
	}
	if slices.Sort(found); strings.Join(found, " ") != "web" && strings.Join(found, " ") != "other web" {
		t.Errorf("a library is no service: %s", found)
	}
}

func TestNode_membersOfPnpmAreRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"packages:\n  - 'apps/*' # ours\n  - \"!**/test\"\n", "packages: [\"apps/*\"]\ncatalog:\n  react: ^19\n"} {
		all := members(repo("package.json", `{}`, "pnpm-workspace.yaml", text, "apps/web/package.json", `{"name":"web"}`), ".")
		if len(all) != 1 || all["apps/web"].Name != "web" {
			t.Errorf("%q: %v", text, all)
		}
	}
}

func TestNode_saysWhoAsksForAnotherVersion(t *testing.T) {
	t.Parallel()
	node := tool{name: "node", path: "/usr/bin/node", version: "20.20.2"}
	lock := `{"packages":{"":{},"node_modules/astro":{"version":"7.3.5","engines":{"node":">=22.12.0"}},"node_modules/ms":{"version":"2.1.3","engines":["node"]},"node_modules/deep":{"version":"1.0.0","engines":{"node":">=99"}}}}`
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want string
	}{
		"nobody":         {repo("package.json", `{"engines":{"node":">=18"}}`, ".nvmrc", "20.1.0\n"), ""},
		"engines":        {repo("package.json", `{"engines":{"node":"^22"}}`), "engines.node of package.json asks for node ^22"},
		".nvmrc":         {repo("package.json", `{}`, ".nvmrc", "v22.1\n"), ".nvmrc asks for node 22.x"},
		"a codename":     {repo("package.json", `{}`, ".node-version", "lts/jod\n"), ".node-version asks for node 22.x"},
		"any lts":        {repo("package.json", `{}`, ".nvmrc", "lts/*\n"), ""},
		"a dependency's": {repo("package.json", `{"dependencies":{"astro":"7","ms":"2"}}`, "package-lock.json", lock), "astro 7.3.5 asks for node >=22.12.0"},
	} {
		pkg, err := readPackage(c.tree, ".")
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(nodeDoubts(c.tree, ".", ".", pkg, node), "\n")
		if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" || strings.Contains(got, "\n") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestNode_saysWhatDownloadsWhileItIsBuilt(t *testing.T) {
	t.Parallel()
	next := `{"scripts":{"build":"next build","start":"next start"},"dependencies":{"next":"15"}}`
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want string
	}{
		"fonts":    {repo("package.json", next, "src/app/layout.tsx", `import { Geist } from "next/font/google"`), "src/app/layout.tsx imports next/font/google, which downloads fonts"},
		"no fonts": {repo("package.json", next, "src/app/layout.tsx", `import f from "next/font/local"`), ""},
		"prisma":   {repo("package.json", `{"scripts":{"build":"tsc","start":"node ."},"devDependencies":{"prisma":"6"}}`), "prisma downloads its engine"},
	} {
		d, err := Detect(c.tree)
		if err != nil || len(d.Services) != 1 || d.Services[0].Network != c.want {
			t.Errorf("%s: %+v, %v", name, d.Services, err)
		}
	}
}

func TestNode_anAdapterForNowhereIsRefused(t *testing.T) {
	t.Parallel()
	auto := packageJSON{DevDependencies: map[string]string{"@sveltejs/adapter-auto": "6"}}
	if err := adapterMissing(auto); err == nil || !strings.Contains(err.Help, "npm install -D @sveltejs/adapter-node") {
		t.Error(err)
	}
	auto.DevDependencies["@sveltejs/adapter-node"] = "5"
	if err := adapterMissing(auto); err != nil {
		t.Error(err)
	}
}

func TestPython_versionIsRead(t *testing.T) {
	t.Parallel()
	for text, c := range map[string]struct{ file, want string }{
		"3.12.4\n":        {".python-version", "3.12"},
		"python-3.11.2\n": {"runtime.txt", "3.11"},
		"[requires]\npython_version = \"3.10\"\n": {"Pipfile", "3.10"},
		"pypy3.10\n": {".python-version", ""},
	} {
		if got := pythonVersion(repo(c.file, text), "."); got.asked != c.want {
			t.Errorf("%s %q: %q", c.file, text, got.asked)
		}
	}
}

func TestJava_modulesAreBuiltFromTheRootOfTheirBuild(t *testing.T) {
	t.Parallel()
	const runs = "package a;\nclass A { public static void main(String[] args) {} }\n"
	maven := repo("pom.xml", "<project><packaging>pom</packaging><modules><module>lib</module><module>api</module></modules></project>", "mvnw", "",
		"lib/pom.xml", "<project/>", "lib/src/main/java/a/L.java", "class L {}", "api/pom.xml", "<project/>", "api/src/main/java/a/A.java", runs)
	gradle := repo("settings.gradle.kts", "rootProject.name = \"x\"\ninclude(\"lib\", \":apps:api\")\n", "build.gradle.kts", "", "gradlew", "",
		"lib/build.gradle.kts", "", "lib/src/main/java/a/L.java", "class L {}", "apps/api/build.gradle.kts", "", "apps/api/src/main/kotlin/A.kt", "fun main() {}\n")
	for name, c := range map[string]struct {
		tree       fstest.MapFS
		dir, build string
	}{
		"maven":  {maven, "api", "mvnw -o -B -ntp -pl api -am -DskipTests package"},
		"gradle": {gradle, "apps/api", "gradlew --no-daemon -q --offline :apps:api:assemble"},
	} {
		d, err := Detect(c.tree)
		if err != nil || len(d.Services) != 1 || d.Services[0].Dir != c.dir {
			t.Errorf("%s: %+v, %v", name, d.Services, err)
		}
		r, w := &run{Builder: &Builder{}}, Workload{Name: "shop", Build: manifest.Build{Dir: c.dir}}
		p := plan{root: javaRoot(c.tree, c.dir), dir: ".", wrap: map[string]string{}}
		if name == "maven" {
			err = r.maven(t.Context(), c.tree, w, &p)
		} else {
			err = r.gradle(t.Context(), c.tree, w, &p)
		}
		if err != nil || p.root != "." || p.build != c.build {
			t.Errorf("%s: %q in %s, %v", name, p.build, p.root, err)
		}
	}
}

func TestJava_versionIsRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tree        fstest.MapFS
		asked, from string
	}{
		"maven":         {repo("pom.xml", "<properties><maven.compiler.release>21</maven.compiler.release></properties>"), ">=21", "maven.compiler.release of pom.xml"},
		"spring boot":   {repo("pom.xml", "<properties><java.version>17</java.version></properties>"), ">=17", "java.version of pom.xml"},
		"of long ago":   {repo("pom.xml", "<properties><maven.compiler.source>1.8</maven.compiler.source></properties>"), ">=8", "maven.compiler.source of pom.xml"},
		"a toolchain":   {repo("build.gradle.kts", "java { toolchain { languageVersion = JavaLanguageVersion.of(21) } }"), ">=21", "build.gradle.kts"},
		"compatibility": {repo("build.gradle", "sourceCompatibility = JavaVersion.VERSION_1_8\n"), ">=8", "build.gradle"},
		"a file":        {repo("pom.xml", "<project/>", ".java-version", "temurin-21.0.2\n"), ">=21", ".java-version"},
		"sdkman":        {repo("pom.xml", "<project/>", ".sdkmanrc", "# sdk\njava=25.0.1-tem\n"), ">=25", ".sdkmanrc"},
		"nothing":       {repo("pom.xml", "<project><java.version>${x}</java.version></project>"), "", ""},
	} {
		if asked, from := javaVersion(c.tree, ".", "."); asked != c.asked || from != c.from {
			t.Errorf("%s: %q by %q", name, asked, from)
		}
	}
}

func TestRust_programsOfOnePackage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tree          fstest.MapFS
		all, of, runs string
	}{
		"one":        {repo("Cargo.toml", "[package]\nname='shop'\n", "src/main.rs", ""), "shop", "web", "shop"},
		"src/bin":    {repo("Cargo.toml", "[package]\nname='shop'\n", "src/bin/api.rs", "", "src/bin/mail_out/main.rs", ""), "api mail_out", "mail-out", "mail_out"},
		"none named": {repo("Cargo.toml", "[package]\nname='shop'\n", "src/bin/api.rs", "", "src/bin/mail.rs", ""), "api mail", "web", ""},
		"a default":  {repo("Cargo.toml", "[package]\nname='shop'\ndefault-run='api'\n", "src/bin/api.rs", "", "src/bin/mail.rs", ""), "api mail", "web", "api"},
		"[[bin]]":    {repo("Cargo.toml", "[package]\nname='shop'\n[[bin]]\nname='serve'\npath='src/main.rs'\n", "src/main.rs", ""), "serve", "web", "serve"},
	} {
		cargo, err := readCargo(c.tree, ".")
		if err != nil {
			t.Fatal(err)
		}
		all := cargo.programs(c.tree, ".")
		if got := cargo.chosen(all, Workload{Name: c.of}); strings.Join(all, " ") != c.all || got != c.runs {
			t.Errorf("%s: %q of %v", name, got, all)
		}
	}
	d, err := Detect(repo("Cargo.toml", "[package]\nname='shop'\n", "src/bin/api.rs", "", "src/bin/mail.rs", ""))
	if err != nil || len(d.Services) != 2 || d.Services[0].Name != "api" || d.Services[1].Name != "mail" {
		t.Errorf("%+v, %v", d.Services, err)
	}
}

func TestRust_pinnedToolchainIsRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"[toolchain]\nchannel = \"1.80.1\"\n": "1.80.1", "nightly-2026-01-01\n": "nightly-2026-01-01", "": ""} {
		if got, _ := rustChannel(repo("rust-toolchain", text), "."); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
