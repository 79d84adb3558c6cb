package pipeline

import (
	"archive/zip"
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

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
		if jars = whole(jars); len(jars) != 1 {
			return "", fmt.Errorf("the build left several jars that run: %s", strings.Join(baseNames(jars), ", "))
		}
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

// wholeJars end the names of jars that have all they need in them, beside one without.
var wholeJars = regexp.MustCompile(`-(all|exec|boot|fat|uber|runner|shaded|standalone|jar-with-dependencies)\.jar$`)

// whole picks the jars that are made to be run, where there are some.
func whole(jars []string) []string {
	picked := slices.DeleteFunc(slices.Clone(jars), func(jar string) bool { return !wholeJars.MatchString(jar) })
	if len(picked) == 0 {
		return jars
	}
	return picked
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
