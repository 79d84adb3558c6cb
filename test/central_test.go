package test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// debianRepo is the repository of Debian's packages of Maven plugins. It stands in for
// Maven Central, which the tests do not ask.
const debianRepo = "/usr/share/maven-repo"

// commandCentral has a pom.xml take its plugins from Debian's repository, in the
// versions that it has.
func commandCentral(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: central POM")
	}
	pom, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	versions := map[string]string{}
	for _, artifact := range []string{"maven-compiler-plugin", "maven-resources-plugin", "maven-surefire-plugin", "maven-jar-plugin"} {
		jars, err := filepath.Glob(filepath.Join(debianRepo, "org/apache/maven/plugins", artifact, "*", artifact+"-*.jar"))
		ts.Check(err)
		if len(jars) == 0 {
			ts.Fatalf("there is no %s in %s: test/languages.sh installs it", artifact, debianRepo)
		}
		versions[artifact] = filepath.Base(filepath.Dir(slices.Max(jars)))
	}
	repo := "<id>central</id><url>file://" + debianRepo + "</url>"
	managed := ""
	for artifact, version := range versions {
		managed += "<plugin><artifactId>" + artifact + "</artifactId><version>" + version + "</version></plugin>"
	}
	text := strings.Replace(string(pom), "<build>", "<repositories><repository>"+repo+"</repository></repositories>"+
		"<pluginRepositories><pluginRepository>"+repo+"</pluginRepository></pluginRepositories>"+
		"<build><pluginManagement><plugins>"+managed+"</plugins></pluginManagement>", 1)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}
