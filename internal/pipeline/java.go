package pipeline

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// planJava plans a Java service that Maven or Gradle builds into a jar which runs
// by itself.
func (r *run) planJava(ctx context.Context, tree fs.FS, w Workload) (plan, error) {
	dir := w.Build.Dir
	java, err := r.find(ctx, w, "java")
	if err != nil {
		return plan{}, err
	}
	compiler, err := r.find(ctx, w, "javac") // a JDK, not a JRE
	if err != nil {
		return plan{}, err
	}
	java.path = real(java.path)
	java.version = compiler.version
	java.home = filepath.Dir(filepath.Dir(java.path))
	p := plan{
		language: "java", root: javaRoot(tree, dir), dir: ".", seed: true, tools: []tool{java}, needs: []tool{java}, wrap: map[string]string{"java": java.path},
		env: []string{"JAVA_HOME=" + java.home, "MAVEN_USER_HOME=$DEPS/mvnw", "MAVEN_OPTS=-Dmaven.repo.local=$DEPS/m2", "GRADLE_USER_HOME=$DEPS/gradle"},
		enter: []string{
			`export PATH="$root/.titrate/bin:$PATH"`,
			// Frameworks that know $PORT by another name.
			`if [ -n "$PORT" ]; then export SERVER_PORT="${SERVER_PORT:-$PORT}" QUARKUS_HTTP_PORT="${QUARKUS_HTTP_PORT:-$PORT}" MICRONAUT_SERVER_PORT="${MICRONAUT_SERVER_PORT:-$PORT}"; fi`,
		},
	}
	for _, config := range []string{"/etc/java*", "/etc/maven", "/etc/gradle"} { // where Debian keeps them
		found, err := filepath.Glob(config)
		if err != nil {
			return plan{}, fmt.Errorf("look for Java: %w", err)
		}
		for _, f := range found {
			p.binds = append(p.binds, bind{Path: f})
		}
	}
	asked, where := javaVersion(tree, p.root, dir)
	if err := demand(w, tool{name: "java", path: java.path, version: java.version}, asked, where); err != nil {
		return plan{}, err
	}
	outputs := []string{"target/quarkus-app/quarkus-run.jar", "target/*.jar"}
	if isFile(tree, path.Join(dir, "pom.xml")) {
		err = r.maven(ctx, tree, w, &p)
	} else {
		outputs = []string{"build/quarkus-app/quarkus-run.jar", "build/libs/*.jar"}
		err = r.gradle(ctx, tree, w, &p)
	}
	if err != nil {
		return plan{}, err
	}
	for i, o := range outputs {
		outputs[i] = path.Join(relative(p.root, dir), o)
	}
	if w.Build.Output != "" {
		outputs = []string{path.Join(relative(p.root, dir), w.Build.Output)}
	}
	p.take = func(src, _ string) (string, error) { return takeJar(src, outputs, !w.Run.Silent()) }
	p.run, p.from = "java $JAVA_OPTS -jar app.jar", "Main-Class of the jar"
	p.run = execLine(p.run)
	return p, nil
}

const awayPrefix = `cp -R . "$TMPDIR/fetch" && cd "$TMPDIR/fetch"` + "\n"

// away runs a line in a copy of the source that is thrown away. Maven's go-offline
// and Gradle's dependencies miss what plugins ask for while they run: only a whole
// build has fetched everything that the next one needs.
func away(line string) string {
	return awayPrefix + line
}

func (r *run) maven(ctx context.Context, tree fs.FS, w Workload, p *plan) error {
	before, mvn, err := r.wrapped(ctx, tree, w, p, "mvn", "mvnw")
	if err != nil {
		return err
	}
	part := ""
	if p.root != w.Build.Dir { // with the modules that it needs
		part = " -pl " + relative(p.root, w.Build.Dir) + " -am"
	}
	skip := " -DskipTests"
	if w.Build.Test != "" { // so that what runs the tests is fetched too
		skip = " -Dtest=NoneOfThese -DfailIfNoTests=false -Dsurefire.failIfNoSpecifiedTests=false"
	}
	p.fetch, p.by = away(before+mvn+" -B -ntp"+part+skip+" package"), path.Join(p.root, "pom.xml")
	p.told = mvn + " -B -ntp" + part + skip + " package"
	p.alone = away(before + mvn + " -o -B -ntp" + part + skip + " package")
	p.build = mvn + " -o -B -ntp" + part + " -DskipTests package"
	p.locks = below(tree, p.root, "pom.xml", ".mvn", "mvnw")
	return nil
}

func (r *run) gradle(ctx context.Context, tree fs.FS, w Workload, p *plan) error {
	before, gradle, err := r.wrapped(ctx, tree, w, p, "gradle", "gradlew")
	if err != nil {
		return err
	}
	part := " "
	if p.root != w.Build.Dir {
		part = " :" + strings.ReplaceAll(relative(p.root, w.Build.Dir), "/", ":") + ":"
	}
	tasks := part + "assemble"
	if w.Build.Test != "" {
		tasks += part + "testClasses"
	}
	p.fetch, p.by = away(before+gradle+" --no-daemon -q"+tasks), path.Join(p.root, firstFile(tree, p.root, "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"))
	p.told = gradle + " --no-daemon -q" + tasks
	p.alone = away(before + gradle + " --no-daemon -q --offline" + tasks)
	p.build = gradle + " --no-daemon -q --offline" + part + "assemble"
	p.locks = below(tree, p.root, "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "gradle.properties", "gradle.lockfile", "libs.versions.toml", "gradle-wrapper.properties")
	return nil
}

// wrapped returns how a build tool is called: by its wrapper, where the repository has
// one, and by the machine's where that cannot get what it wraps. Fetch begins with before,
// which finds out; a file among what is kept says it to the steps without network.
func (r *run) wrapped(ctx context.Context, tree fs.FS, w Workload, p *plan, name, wrapper string) (before, line string, err error) {
	t, err := r.find(ctx, w, name)
	if !isFile(tree, path.Join(p.root, wrapper)) {
		p.tools = append(p.tools, t)
		return "", name, err
	}
	if err != nil { // the wrapper is all there is
		p.wrap[wrapper] = "sh ./" + wrapper
		return "", wrapper, nil //nolint:nilerr // it brings what is missing
	}
	p.tools = append(p.tools, t)
	p.wrap[wrapper] = `sh -c 'if [ -e "$DEPS/no-` + wrapper + `" ]; then exec ` + t.path + ` "$@"; else exec sh ./` + wrapper + ` "$@"; fi' ` + wrapper
	return `rm -f "$DEPS/no-` + wrapper + `" "$DEPS/` + notesFile + `"
if ! timeout 180 ` + wrapper + ` --version; then
: > "$DEPS/no-` + wrapper + `"
echo "` + wrapper + ` could not get what its properties name, and ` + t.path + ` ` + t.version + ` builds instead" > "$DEPS/` + notesFile + `"
fi
`, wrapper, nil
}

// notesFile is where a fetch step leaves, in $DEPS, what the person who pushes should
// know of it, a line each.
const notesFile = "notes"

// below returns the files of those names, and in folders of those names, under dir,
// relative to it.
func below(tree fs.FS, dir string, names ...string) []string {
	var out []string
	for _, d := range goDirs(tree, dir) {
		for _, name := range names {
			if f := path.Join(d, name); isFile(tree, f) {
				out = append(out, relative(dir, f))
			} else if isDir(tree, f) {
				found, err := fs.Glob(tree, f+"/*")
				for _, g := range found {
					if err == nil && isFile(tree, g) {
						out = append(out, relative(dir, g))
					}
				}
			}
		}
	}
	return out
}
