package importer

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// languages are images that hold a language and no program: what runs in one is a
// folder that is mounted.
var languages = []string{"node", "python", "golang", "rust", "maven", "gradle", "openjdk", "eclipse-temurin"}

// codeFiles are those by which Titrate knows a folder that it can build.
var codeFiles = []string{
	"package.json", "requirements.txt", "pyproject.toml", "manage.py", "go.mod", "Cargo.toml", "pom.xml", "build.gradle", "build.gradle.kts",
}

// mountedCode finds the folder of the repository that a service runs in the image of
// its language, as many do for development: mounted where it works. nil: there is none.
func (c *composition) mountedCode(s *node, image string) (dir string, mounted *node) {
	if !slices.Contains(languages, imageBase(image)) {
		return "", nil
	}
	work := path.Clean("/" + s.find("working_dir").str())
	for _, v := range s.find("volumes").each() {
		source, target := mount(c.shape(v))
		if v.kind == table {
			source, target = c.shape(v.find("source")), c.shape(v.find("target"))
		}
		dir, ok := repoPath(path.Dir(v.file), source)
		if !ok || !strings.HasPrefix(source, ".") || path.Clean("/"+target) != work {
			continue
		}
		if slices.ContainsFunc(codeFiles, func(name string) bool { return c.exists(path.Join(dir, name)) }) {
			return dir, v
		}
	}
	return "", nil
}

// fromCode makes a service of a folder that was mounted into the image of its language.
func (c *composition) fromCode(u *unit, s, mounted *node, dir string) {
	u.set("build", dir, mounted)
	u.built = mounted
	s.get("working_dir")
	c.note(s.get("image"), Changed, "it holds a language alone, and "+dirName(dir)+" is mounted into it: that is built here, with the tools of this machine", "a Dockerfile in it says otherwise")
}

var installs = regexp.MustCompile(`^\s*(?:npm (?:install|i|ci)|yarn(?: install)?|pnpm (?:install|i)|pip3? install [^&;|]+|go mod download)\s*&&\s*`)

// withoutInstall is the command of a service that is built here: what it installs first
// is there already.
func withoutInstall(args []string) string {
	line := shellLine(args)
	if len(args) == 3 && args[1] == "-c" && strings.HasSuffix(args[0], "sh") {
		line = args[2]
	}
	for installs.MatchString(line) {
		line = installs.ReplaceAllString(line, "")
	}
	return line
}
