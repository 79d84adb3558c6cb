package pipeline

import (
	"archive/zip"
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
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
		language: "java", root: dir, dir: ".", seed: true, tools: []tool{java}, needs: []tool{java}, wrap: map[string]string{"java": java.path},
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
	if w.Build.Output != "" {
		outputs = []string{w.Build.Output}
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
	mvn := "mvn"
	if isFile(tree, path.Join(p.root, "mvnw")) {
		mvn = "sh ./mvnw"
	} else {
		t, err := r.find(ctx, w, "mvn")
		if err != nil {
			return err
		}
		p.tools = append(p.tools, t)
	}
	skip := " -DskipTests"
	if w.Build.Test != "" { // so that what runs the tests is fetched too
		skip = " -Dtest=NoneOfThese -DfailIfNoTests=false -Dsurefire.failIfNoSpecifiedTests=false"
	}
	p.fetch, p.by = away(mvn+" -B -ntp"+skip+" package"), path.Join(p.root, "pom.xml")
	p.alone = away(mvn + " -o -B -ntp" + skip + " package")
	p.build = mvn + " -o -B -ntp -DskipTests package"
	p.locks = below(tree, p.root, "pom.xml", ".mvn", "mvnw")
	return nil
}

func (r *run) gradle(ctx context.Context, tree fs.FS, w Workload, p *plan) error {
	gradle := "gradle"
	if isFile(tree, path.Join(p.root, "gradlew")) {
		gradle = "sh ./gradlew"
	} else {
		t, err := r.find(ctx, w, "gradle")
		if err != nil {
			return err
		}
		p.tools = append(p.tools, t)
	}
	tasks := " assemble"
	if w.Build.Test != "" {
		tasks = " assemble testClasses"
	}
	p.fetch, p.by = away(gradle+" --no-daemon -q"+tasks), path.Join(p.root, "build.gradle")
	p.alone = away(gradle + " --no-daemon -q --offline" + tasks)
	p.build = gradle + " --no-daemon -q --offline assemble"
	p.locks = below(tree, p.root, "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "gradle.properties", "gradle.lockfile", "libs.versions.toml", "gradle-wrapper.properties")
	return nil
}

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

// takeJar finds the jar that runs by itself, and puts it alone into a folder as
// app.jar; Quarkus leaves a folder.
func takeJar(src string, outputs []string, started bool) (string, error) {
	var jars, why []string
	for _, pattern := range outputs {
		found, err := filepath.Glob(filepath.Join(src, filepath.FromSlash(pattern)))
		if err != nil {
			return "", err
		}
		for _, jar := range found {
			base := filepath.Base(jar)
			if strings.HasSuffix(base, "-sources.jar") || strings.HasSuffix(base, "-javadoc.jar") || strings.HasSuffix(base, "-plain.jar") || strings.HasPrefix(base, "original-") || strings.HasSuffix(base, "-tests.jar") {
				continue
			}
			runs, err := hasMain(jar)
			if err != nil {
				return "", fmt.Errorf("%s cannot be read: %w", base, err)
			}
			if !runs && !started {
				why = append(why, base+" has no Main-Class")
				continue
			}
			jars = append(jars, jar)
		}
		if len(jars) > 0 {
			break
		}
	}
	switch {
	case len(jars) == 0 && len(why) > 0:
		return "", &BuildError{Code: CodeOutput, Step: StepKeep, Saw: strings.Join(why, ", "), Help: "let the build make a jar that runs by itself: the Spring Boot plugin, maven-shade-plugin, or a mainClass in the manifest of maven-jar-plugin; or run: java -cp app.jar MAIN, beside build"}
	case len(jars) == 0:
		return "", fmt.Errorf("the build left no jar in %s", strings.Join(outputs, ", "))
	case len(jars) > 1:
		return "", fmt.Errorf("the build left several jars that run: %s", strings.Join(baseNames(jars), ", "))
	}
	if filepath.Base(jars[0]) == "quarkus-run.jar" {
		dir := filepath.Dir(jars[0])
		return dir, os.Rename(jars[0], filepath.Join(dir, "app.jar"))
	}
	dir := filepath.Join(src, ".jar")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.Rename(jars[0], filepath.Join(dir, "app.jar"))
}

func baseNames(paths []string) (out []string) {
	for _, p := range paths {
		out = append(out, filepath.Base(p))
	}
	return out
}

// hasMain reports whether a jar says which class is to be run.
func hasMain(jar string) (bool, error) {
	z, err := zip.OpenReader(jar)
	if err != nil {
		return false, err
	}
	defer z.Close() //nolint:errcheck // only read
	f, err := z.Open("META-INF/MANIFEST.MF")
	if err != nil {
		return false, nil // a jar without a manifest has no main class
	}
	defer f.Close() //nolint:errcheck // only read
	for lines := bufio.NewScanner(io.LimitReader(f, maxRead)); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "Main-Class:") {
			return true, nil
		}
	}
	return false, nil
}
