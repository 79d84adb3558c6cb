package pipeline

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Service is a guess about one service of a repository, and where each part of
// the guess comes from.
type Service struct {
	Name       string
	Dir        string // build: slash-separated, "." for the root
	Kind       string // "docker", or the language: "go", "node", …
	Port       int    // 0: it reads $PORT, or nothing was found
	PortFrom   string // "main.go reads $PORT"; empty: nothing was found
	Health     string // path; empty: nothing was found
	HealthFrom string
	Worker     bool   // it does not seem to listen
	Network    string // why its build needs the network; empty: it does not
	From       string // "go.mod, package main in cmd/api"
}

// Secret is a name that the repository says it needs. Values are not read.
type Secret struct {
	Name, From string
}

// Detection is what a repository looks like.
type Detection struct {
	Looked   []string // the files that said something
	Manifest bool     // there is a titrate.yaml already
	Services []Service
	Secrets  []Secret
	Notes    []string // what was found and is not built without being told how
}

// Detect looks at the files of a repository for what `titrate init` writes down.
// It returns a *BuildError when there is nothing that could be built.
func Detect(tree fs.FS) (Detection, error) {
	var d Detection
	d.Manifest = isFile(tree, "titrate.yaml")
	if d.Manifest {
		d.Looked = append(d.Looked, "titrate.yaml")
	}
	for _, dir := range favoured(findMains(tree, ".")) {
		root := moduleRoot(tree, dir)
		if root == "" {
			d.Notes = append(d.Notes, fmt.Sprintf("package main in %s has no go.mod above it", dir))
			continue
		}
		d.Looked = append(d.Looked, path.Join(root, "go.mod"))
		d.Services = append(d.Services, guess(tree, root, dir))
	}
	d.languages(tree)
	d.dockerfiles(tree)
	uniqueNames(d.Services)
	d.others(tree)
	d.secrets(tree)
	slices.Sort(d.Looked)
	d.Looked = slices.Compact(d.Looked)
	if len(d.Services) == 0 && !d.Manifest {
		return d, d.nothing()
	}
	return d, nil
}

// generators are what makes a site and is not planned here, by the files that mark them.
var generators = []struct {
	name, command, bring string
	files                []string
}{
	{"Hugo", "build: { command: hugo --minify, output: public }", "apt-get install hugo", []string{"hugo.toml", "hugo.yaml", "hugo.json"}},
	{"Jekyll", "build: { command: jekyll build, output: _site }", "apt-get install jekyll", []string{"_config.yml"}},
	{"MkDocs", "build: { command: mkdocs build, output: site }", "apt-get install mkdocs", []string{"mkdocs.yml"}},
}

// foreign are the files that mark what must be built by a command.
var foreign = []struct{ file, what, command string }{
	{"Gemfile", "Ruby", "build: {command: \"true\", output: ., run: ruby main.rb}"},
	{"CMakeLists.txt", "C or C++", "build: {command: cmake -B b && cmake --build b, output: b/NAME}"},
	{"Makefile", "make", "build: {command: make, output: NAME}"},
}

// unstarted are the files of languages whose tools build, where nothing says how the
// result is started.
var unstarted = []struct{ file, missing string }{
	{"package.json", "neither scripts.start, scripts.build nor main: npm pkg set scripts.start=\"node server.js\""},
	{"pyproject.toml", "nothing says what to start: write run: python -m … beside build"},
	{"requirements.txt", "nothing says what to start: write run: python -m … beside build"},
	{"Cargo.toml", "no program (src/main.rs or [[bin]])"},
	{"pom.xml", "a parent of modules: build: {dir: …} names one of them"},
}

func (d *Detection) others(tree fs.FS) {
	for _, f := range unstarted {
		if isFile(tree, f.file) && len(d.Services) == 0 {
			d.Looked = append(d.Looked, f.file)
			d.Notes = append(d.Notes, f.file+": "+f.missing)
		}
	}
	for _, g := range generators {
		if f := firstFile(tree, ".", g.files...); f != "" && len(d.Services) == 0 {
			d.Looked = append(d.Looked, f)
			d.Notes = append(d.Notes, fmt.Sprintf("%s: %s makes a site by a command (%s): services: { web: { %s, health: / } } in titrate.yaml", f, g.name, g.bring, g.command))
			return
		}
	}
	for _, f := range foreign {
		if isFile(tree, f.file) && (f.what != "make" || len(d.Services) == 0) {
			d.Looked = append(d.Looked, f.file)
			d.Notes = append(d.Notes, fmt.Sprintf("%s: %s is built by a command: %s", f.file, f.what, f.command))
		}
	}
}

var envLine = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=`)

// secrets takes names from .env.example, and leaves the values where they are.
func (d *Detection) secrets(tree fs.FS) {
	for _, f := range []string{".env.example", ".env.sample", ".env.template"} {
		text, err := readStart(tree, f)
		if err != nil {
			continue
		}
		d.Looked = append(d.Looked, f)
		for line := range strings.Lines(string(text)) {
			m := envLine.FindStringSubmatch(line)
			if m != nil && m[1] != "PORT" && !slices.ContainsFunc(d.Secrets, func(s Secret) bool { return s.Name == m[1] }) {
				d.Secrets = append(d.Secrets, Secret{Name: m[1], From: f})
			}
		}
	}
}

func (d *Detection) nothing() *BuildError {
	e := &BuildError{Code: CodeNothing, Workload: "the repository", Step: StepDetect, Saw: "no program of Go, Node.js, Python, Java or Rust, and no site (index.html)"}
	e.Help = "tell how it is built: build: {command: make, output: bin/server}; or see one that works: titrate demo"
	if len(d.Notes) > 0 {
		e.Saw += "\n" + strings.Join(d.Notes, "\n")
	}
	if slices.ContainsFunc(d.Looked, func(f string) bool { return path.Base(f) == "Dockerfile" }) {
		e.Code, e.Help = CodeDocker, dockerWaysOut
		e.Saw = "a Dockerfile, and no container engine answers on this machine; " + e.Saw
	}
	return e
}

// favoured returns the root and cmd/* where there are any, else all.
func favoured(mains []string) []string {
	var out []string
	for _, m := range mains {
		if m == "." || path.Base(path.Dir(m)) == "cmd" || path.Base(m) == "cmd" {
			out = append(out, m)
		}
	}
	if len(out) == 0 {
		return mains
	}
	return out
}

// guess looks into the code of a program for its port and health check.
func guess(tree fs.FS, root, dir string) Service {
	s := Service{Name: workloadName(tree, root, dir), Dir: dir, Kind: "go", From: "package main in " + dir}
	listens := false
	look := []string{dir}
	for _, sub := range []string{path.Join(root, "internal"), path.Join(root, "pkg")} {
		look = append(look, goDirs(tree, sub)...)
	}
	look = append(look, goDirs(tree, dir)...)
	if dir != root {
		look = append(look, root)
	}
	for _, d := range look {
		for _, f := range goFiles(tree, d) {
			text, err := readStart(tree, f)
			if err != nil {
				continue
			}
			listens = listens || regexp.MustCompile(`"net(/http)?"`).Match(text)
			s.read(f, string(text))
		}
	}
	s.Worker = !listens
	return s
}

var (
	readsPort  = regexp.MustCompile(`(?:Getenv|LookupEnv)\("PORT"\)`)
	listensOn  = regexp.MustCompile(`(?:ListenAndServe\w*|Listen|Addr:?|addr)\W[^\n"]*"(?:localhost|127\.0\.0\.1|0\.0\.0\.0)?:(\d{2,5})"`)
	healthPath = regexp.MustCompile(`"(?:GET )?(/(?:healthz|health|readyz|ready|livez|up|_health|status))"`)
)

func (s *Service) read(file, text string) {
	if m := listensOn.FindStringSubmatch(text); m != nil && s.PortFrom == "" {
		fmt.Sscan(m[1], &s.Port) //nolint:errcheck // digits, by the expression
		s.PortFrom = file + " listens on it"
	}
	if readsPort.MatchString(text) && !strings.HasSuffix(s.PortFrom, "reads $PORT") {
		s.Port, s.PortFrom = 0, file+" reads $PORT"
	}
	if m := healthPath.FindStringSubmatch(text); m != nil && s.Health == "" {
		s.Health, s.HealthFrom = m[1], file
	}
}

var notInNames = regexp.MustCompile(`[^a-z0-9-]+`)

// workloadName names a service for its folder, or its module at the root.
func workloadName(tree fs.FS, root, dir string) string {
	name := path.Base(dir)
	if dir == root || name == "cmd" {
		name = "app"
		if text, err := readStart(tree, path.Join(root, "go.mod")); err == nil {
			if m := regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)`).FindStringSubmatch(string(text)); m != nil {
				name = execName(m[1])
			}
		}
	}
	name = strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-0123456789")
	if name == "" {
		name = "app"
	}
	return name
}

// uniqueNames puts the folder above in front of names that occur twice.
func uniqueNames(ss []Service) {
	count := map[string]int{}
	for _, s := range ss {
		count[s.Name]++
	}
	taken := map[string]bool{}
	for i := range ss {
		s := &ss[i]
		if count[s.Name] > 1 {
			above := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(path.Base(strings.TrimSuffix(path.Dir(s.Dir), "/cmd"))), "-"), "-0123456789")
			if above != "" {
				s.Name = above + "-" + s.Name
			}
		}
		for base, n := s.Name, 2; taken[s.Name]; n++ {
			s.Name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[s.Name] = true
	}
}

// maxLooked bounds the folders that are looked at.
const maxLooked = 20_000

// maxRead bounds what is read of a file to guess from: a few bytes of a push can be
// a file of gigabytes.
const maxRead = 1 << 20

// readStart returns the first maxRead bytes of a file.
func readStart(tree fs.FS, name string) ([]byte, error) {
	f, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return io.ReadAll(io.LimitReader(f, maxRead))
}

func isFile(tree fs.FS, name string) bool {
	info, err := fs.Stat(tree, name)
	return err == nil && info.Mode().IsRegular()
}

func isDir(tree fs.FS, name string) bool {
	info, err := fs.Stat(tree, name)
	return !errors.Is(err, fs.ErrNotExist) && err == nil && info.IsDir()
}
