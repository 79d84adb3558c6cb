package pipeline

import (
	"os/exec"
	"strings"
	"testing"
)

func TestJava_isBuiltByGradle(t *testing.T) {
	t.Parallel()
	source := files(t, "settings.gradle", "rootProject.name = 'shop'\n", "build.gradle", "apply plugin: 'java'\njar { manifest { attributes 'Main-Class': 'shop.Main' } }\n", "src/main/java/shop/Main.java", javaServer)
	slow(t)
	needTools(t, "java", "javac", "gradle")
	if out, err := exec.CommandContext(t.Context(), "gradle", "--version").CombinedOutput(); err != nil {
		t.Skipf("gradle does not run here: %s", out)
	}
	b := builder(t, online)
	w := goService("shop", ".")
	if got := answer(t, b, mustBuild(t, b, source, w)[0].Artifact); got != "from java" {
		t.Errorf("it says %q", got)
	}
	b.cfg.Network = false
	write(t, source, "src/main/java/shop/Main.java", strings.Replace(javaServer, "from java", "from java again", 1))
	if got := answer(t, b, mustBuild(t, b, source, w)[0].Artifact); got != "from java again" {
		t.Errorf("warm, without network, it says %q", got)
	}
}
