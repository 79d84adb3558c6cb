package pipeline

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
)

var (
	mavenModule  = regexp.MustCompile(`<module>\s*([^<\s]+?)/?\s*</module>`)
	gradleModule = regexp.MustCompile(`["']:?([\w.:/-]+)["']`)
	gradleLine   = regexp.MustCompile(`(?m)^\s*include[ (].*$`)
	pomRelease   = regexp.MustCompile(`<(maven\.compiler\.release|java\.version|maven\.compiler\.source|release)>\s*(?:1\.)?(\d+)\s*</`)
	gradleAsks   = regexp.MustCompile(`(?:JavaLanguageVersion\.of\(\s*|jvmToolchain\(\s*|sourceCompatibility\s*=\s*(?:JavaVersion\.VERSION_)?['"]?)(?:1[._])?(\d+)`)
	javaFile     = regexp.MustCompile(`^(?:java=)?(?:[a-z-]+)?(?:1\.)?(\d+)`)
	mainMethod   = regexp.MustCompile(`static\s+(?:final\s+)?void\s+main\s*\(|(?m)^\s*(?:suspend\s+)?fun\s+main\s*\(`)
)

// javaRoot returns the folder whose build a module belongs to, which may be its own.
func javaRoot(tree fs.FS, dir string) string {
	root := dir
	for up := dir; up != "."; {
		up = path.Dir(up)
		if partOf(tree, up, dir) || root != dir && partOf(tree, up, root) {
			root = up
		}
	}
	return root
}

// partOf reports whether the build in root names dir as a module of its own.
func partOf(tree fs.FS, root, dir string) bool {
	want := relative(root, dir)
	if text, err := readStart(tree, path.Join(root, "pom.xml")); err == nil && isFile(tree, path.Join(dir, "pom.xml")) {
		for _, m := range mavenModule.FindAllSubmatch(text, -1) {
			if name := path.Clean(string(m[1])); name == want || within(want, name) && isFile(tree, path.Join(root, name, "pom.xml")) {
				return true
			}
		}
	}
	for _, f := range []string{"settings.gradle", "settings.gradle.kts"} {
		text, err := readStart(tree, path.Join(root, f))
		if err != nil {
			continue
		}
		for _, line := range gradleLine.FindAll(text, -1) {
			for _, m := range gradleModule.FindAllSubmatch(line, -1) {
				if strings.ReplaceAll(string(m[1]), ":", "/") == want {
					return true
				}
			}
		}
	}
	return false
}

// hasModules reports whether a folder is the root of a build of several modules.
func hasModules(tree fs.FS, dir string) bool {
	for _, f := range []string{"pom.xml", "settings.gradle", "settings.gradle.kts"} {
		if text, err := readStart(tree, path.Join(dir, f)); err == nil && (mavenModule.Match(text) || gradleLine.Match(text)) {
			return true
		}
	}
	return false
}

// javaVersion says which Java a build asks for at least, and where.
func javaVersion(tree fs.FS, root, dir string) (asked, where string) {
	for _, folder := range []string{dir, root} {
		if text, err := readStart(tree, path.Join(folder, "pom.xml")); err == nil {
			if m := pomRelease.FindSubmatch(text); m != nil {
				return ">=" + string(m[2]), string(m[1]) + " of " + path.Join(folder, "pom.xml")
			}
		}
		for _, f := range []string{"build.gradle", "build.gradle.kts"} {
			if text, err := readStart(tree, path.Join(folder, f)); err == nil {
				if m := gradleAsks.FindSubmatch(text); m != nil {
					return ">=" + string(m[1]), path.Join(folder, f)
				}
			}
		}
	}
	for _, f := range []string{".java-version", ".sdkmanrc"} {
		text, err := readStart(tree, path.Join(root, f))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if m := javaFile.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				return ">=" + m[1], path.Join(root, f)
			}
		}
	}
	return "", ""
}

// maxSources bounds how many files are looked into for a main method.
const maxSources = 2000

// hasMainMethod reports whether a module has a program, and is no library.
func hasMainMethod(tree fs.FS, dir string) (found bool) {
	left := maxSources
	err := fs.WalkDir(tree, path.Join(dir, "src/main"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if left--; left < 0 {
			return fs.SkipAll
		}
		if e := path.Ext(name); e != ".java" && e != ".kt" {
			return nil
		}
		if text, err := readStart(tree, name); err == nil && mainMethod.Match(text) {
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found && err == nil
}
