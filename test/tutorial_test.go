package test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestTutorial runs every block of shell in docs/tutorials/your-own-app.md, in order,
// in the folder of examples/polyglot. A comment after a block says what it must print
// or with which status it ends. `titrate up` takes free ports here, and Maven's
// plugins come from Debian's packages: nothing else is another than a reader has.
func TestTutorial(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/tutorials/your-own-app.md")
	if err != nil {
		t.Fatal(err)
	}
	script := tutorial(string(text))
	if !strings.Contains(script, "up\n") || strings.Count(script, ".sh\n") < 8 {
		t.Fatalf("the tutorial has lost its blocks:\n%s", script)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tutorial.txtar"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	scripts(t, dir, func(*testscript.Env) {})
}

var (
	tutorialBlock = regexp.MustCompile("(?s)```sh\n(.*?)```\n((?:<!-- .*? -->\n)*)")
	tutorialCheck = regexp.MustCompile(`<!-- (.*?) -->`)
)

// tutorial turns the blocks of shell of a page into a script.
func tutorial(page string) string {
	steps := `[!slow] skip 'set TITRATE_TEST_SLOW=1 to run it'
[!exec:/usr/lib/postgresql/15/bin/initdb] skip 'no PostgreSQL 15 here: make test installs it'
[!exec:node] skip 'no Node.js here: make test installs it'
[!exec:mvn] skip 'no Maven here: make test installs it'
exec cp -r $EXAMPLES/polyglot shop
central shop/shipping/pom.xml
cd shop
exec git init -q
`
	files := ""
	for i, m := range tutorialBlock.FindAllStringSubmatch(page, -1) {
		if m[1] == "titrate up\n" {
			steps += "up\n"
			continue
		}
		name := fmt.Sprintf("%d.sh", i)
		files += fmt.Sprintf("-- %s --\n%s", name, strings.ReplaceAll(m[1], "http://127.0.0.1:7080", "$GATEWAY"))
		run, checks := "exec", ""
		for _, c := range tutorialCheck.FindAllStringSubmatch(m[2], -1) {
			if code, ok := strings.CutPrefix(c[1], "exits "); ok {
				run = "exits " + code
				continue
			}
			checks += c[1] + "\n"
		}
		steps += run + " sh -eu ../" + name + "\n" + checks
	}
	return steps + files
}
