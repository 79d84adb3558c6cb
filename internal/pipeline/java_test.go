package pipeline

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// debianRepo is where Debian's packages of Maven plugins put them: a repository
// that stands in for Maven Central, which the tests do not ask.
const debianRepo = "/usr/share/maven-repo"

const javaServer = `package shop;
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
public class Main {
    public static void main(String[] args) throws Exception {
        HttpServer s = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("SERVER_PORT"))), 0);
        s.createContext("/", e -> { byte[] b = "from java".getBytes(); e.sendResponseHeaders(200, b.length); e.getResponseBody().write(b); e.close(); });
        s.start();
    }
}
`

// javaApp is a service of one class that Maven makes a jar of.
func javaApp(t *testing.T) string {
	t.Helper()
	slow(t)
	needTools(t, "java", "javac", "mvn")
	tree := os.DirFS(debianRepo)
	version := func(artifact string) string {
		entries, err := os.ReadDir(path.Join(debianRepo, "org/apache/maven/plugins", artifact))
		if err != nil {
			t.Skip("Debian's Maven plugins are not here: test/languages.sh installs them")
		}
		var out []string
		for _, e := range entries {
			if isFile(tree, path.Join("org/apache/maven/plugins", artifact, e.Name(), artifact+"-"+e.Name()+".jar")) {
				out = append(out, e.Name())
			}
		}
		if len(out) == 0 {
			t.Skipf("there is no %s in %s", artifact, debianRepo)
		}
		slices.Sort(out)
		return out[len(out)-1]
	}
	plugin := func(artifact, more string) string {
		return "<plugin><artifactId>" + artifact + "</artifactId><version>" + version(artifact) + "</version>" + more + "</plugin>"
	}
	repo := "<id>central</id><url>file://" + debianRepo + "</url>"
	return files(t, "pom.xml", `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>shop</groupId><artifactId>shop</artifactId><version>1</version>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
<repositories><repository>`+repo+`</repository></repositories>
<pluginRepositories><pluginRepository>`+repo+`</pluginRepository></pluginRepositories>
<build><plugins>`+plugin("maven-compiler-plugin", "")+plugin("maven-resources-plugin", "")+plugin("maven-surefire-plugin", "")+
		plugin("maven-jar-plugin", "<configuration><archive><manifest><mainClass>shop.Main</mainClass></manifest></archive></configuration>")+`</plugins></build>
</project>
`, "src/main/java/shop/Main.java", javaServer)
}

func TestJava_isBuiltByMavenAndWarmWithoutNetwork(t *testing.T) {
	t.Parallel()
	source := javaApp(t)
	b := builder(t, online)
	w := goService("shop", ".")
	a := mustBuild(t, b, source, w)[0].Artifact
	if got := answer(t, b, a); got != "from java" {
		t.Errorf("it says %q", got)
	}
	b.cfg.Network = false
	write(t, source, "src/main/java/shop/Main.java", strings.Replace(javaServer, "from java", "from java again", 1))
	if got := answer(t, b, mustBuild(t, b, source, w)[0].Artifact); got != "from java again" {
		t.Errorf("warm, without network, it says %q", got)
	}
	write(t, source, "src/main/java/shop/Main.java", "package shop;\nclass Main { int x = \"no number\"; }\n")
	if _, err := build(t, b, source, w); err == nil || !strings.Contains(err.Error(), CodeFailed) || !strings.Contains(err.Error(), "incompatible types") {
		t.Errorf("what does not compile: %v", err)
	}
}

func TestJava_theMachinesMavenBuildsWhereTheWrapperGetsNone(t *testing.T) {
	t.Parallel()
	source := javaApp(t)
	write(t, source, "mvnw", "#!/bin/sh\necho cannot fetch it >&2\nexit 1\n")
	b := builder(t, online)
	var told strings.Builder
	res, err := b.Build(t.Context(), Job{App: "shop", Label: "r1", Source: source, Workloads: []Workload{goService("shop", ".")}, Progress: &told})
	if err != nil {
		t.Fatal(err)
	}
	if got := answer(t, b, res[0].Artifact); got != "from java" {
		t.Errorf("it says %q", got)
	}
	if !strings.Contains(told.String(), "note    shop: mvnw could not get what its properties name, and ") {
		t.Errorf("nothing was said:\n%s", told.String())
	}
}

func TestJava_ofSeveralJarsTheWholeOneRuns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ jars, want string }{
		{"a/shop.jar a/shop-all.jar", "a/shop-all.jar"},
		{"a/shop-1.0.jar a/shop-1.0-jar-with-dependencies.jar", "a/shop-1.0-jar-with-dependencies.jar"},
		{"a/one.jar a/two.jar", "a/one.jar a/two.jar"},
	} {
		if got := strings.Join(whole(strings.Fields(c.jars)), " "); got != c.want {
			t.Errorf("%s: %s", c.jars, got)
		}
	}
}
