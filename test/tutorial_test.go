package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"titrate/internal/engine/enginetest"
)

// TestTutorial runs every block of shell in docs/tutorials/your-own-app.md, in order,
// in the folder of examples/polyglot, whose services are built by their languages'
// tools. A comment after a block says what it must print or with which status it ends.
// `titrate up` takes free ports here, and Maven's plugins come from Debian's packages:
// nothing else is another than a reader has.
func TestTutorial(t *testing.T) {
	t.Parallel()
	tutorial(t, `[!exec:/usr/lib/postgresql/15/bin/initdb] skip 'no PostgreSQL 15 here: make test installs it'
[!exec:node] skip 'no Node.js here: make test installs it'
[!exec:mvn] skip 'no Maven here: make test installs it'
exec cp -r $EXAMPLES/polyglot shop
central shop/shipping/pom.xml
`, "", func(*testscript.Env) {})
}

// TestTutorial_dockerfiles is the same with a container engine: the services are built
// by their Dockerfiles, as they are, and run as containers. Only what the Dockerfiles
// begin with is not what Docker Hub has: see bases/README.md. Then a good commit is
// promoted.
func TestTutorial_dockerfiles(t *testing.T) {
	t.Parallel()
	enginetest.RunOnline(t, func(t *testing.T, d *enginetest.Daemon) {
		t.Helper()
		bases(t, d)
		t.Run("walk", func(t *testing.T) {
			tutorial(t, `[!exec:/usr/lib/postgresql/15/bin/initdb] skip 'no PostgreSQL 15 here: make test installs it'
exec cp -r $EXAMPLES/polyglot shop
`, afterwards, func(e *testscript.Env) { e.Setenv("TITRATE_ENGINE", d.Host()) })
		})
	})
}

// afterwards is what follows the tutorial where services are containers: each of the
// seven is one, of an image that its Dockerfile made; a good commit is promoted.
const afterwards = `exec sh -c 'docker -H $TITRATE_ENGINE ps --format {{.Image}} | sort -u | wc -l'
stdout '^[78]$' # what was taken back may still drain
exec docker -H $TITRATE_ENGINE images --format {{.Repository}}
stdout '^titrate-'
exec git revert --no-edit HEAD
exec sed -i 's/<h1>Bookshop/<h1>The bookshop/' web/server.js
exec sed -i 's/^services:/defaults: { rollout: Linear50PercentEvery1Second, bake: 1s, alarms: { errors: 5xx > 5% for 2s min 5 } }\n&/' titrate.yaml
exec git commit -qam 'a better heading'
load start 10 shop.localhost
exec git push titrate HEAD
exits 0 titrate rollout watch
stdout 'promoted'
load stop
exec curl -sf -H 'Host: shop.localhost' $GATEWAY/
stdout 'The bookshop.*Emma'
`

// bases gives an engine the images that the Dockerfiles of examples/polyglot begin
// with, or stand-ins.
func bases(t *testing.T, d *enginetest.Daemon) {
	t.Helper()
	for _, program := range []string{"docker", "debootstrap", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no base images can be made: no %s here", program)
		}
	}
	cmd := exec.CommandContext(t.Context(), "./bases.sh")
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.Host())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make base images: %v\n%s", err, out)
	}
}

// From the package to a bad commit that has taken itself back, a reader types five
// commands to Titrate and git, and edits no file but their own.
func TestTutorial_isFiveCommands(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/tutorials/your-own-app.md")
	if err != nil {
		t.Fatal(err)
	}
	walk, _, ok := strings.Cut(string(page), "titrate rollout watch")
	typed := regexp.MustCompile(`(?m)apt install|^titrate (?:up|init|login|validate)|git push`)
	var commands []string
	for _, m := range tutorialBlock.FindAllStringSubmatch(walk, -1) {
		commands = append(commands, typed.FindAllString(m[1], -1)...)
	}
	if want := []string{"titrate up", "titrate init", "git push", "git push"}; !ok || !slices.Equal(commands, want) {
		t.Errorf("after the installation a reader types %q, want %q", commands, want)
	}
	if edited := regexp.MustCompile(`sed -i .* (\S+)\n`).FindAllStringSubmatch(walk, -1); len(edited) != 1 || edited[0][1] != "web/server.js" {
		t.Errorf("a reader edits %q, want their own web/server.js", edited)
	}
}

var (
	tutorialBlock = regexp.MustCompile("(?s)```sh\n(.*?)```\n((?:<!-- .*? -->\n)*)")
	tutorialCheck = regexp.MustCompile(`<!-- (.*?) -->`)
)

// tutorial runs the blocks of shell of the tutorial, as a script, in the folder shop
// that the lines of before make, and the lines of after.
func tutorial(t *testing.T, before, after string, prepare func(*testscript.Env)) {
	t.Helper()
	page, err := os.ReadFile("../docs/tutorials/your-own-app.md")
	if err != nil {
		t.Fatal(err)
	}
	steps, files := "[!slow] skip 'set TITRATE_TEST_SLOW=1 to run it'\n"+before+"cd shop\nexec git init -q\n", ""
	for i, m := range tutorialBlock.FindAllStringSubmatch(string(page), -1) {
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
	if !strings.Contains(steps, "up\n") || strings.Count(steps, ".sh\n") < 8 {
		t.Fatalf("the tutorial has lost its blocks:\n%s", steps)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tutorial.txtar"), []byte(steps+after+files), 0o600); err != nil {
		t.Fatal(err)
	}
	scripts(t, dir, prepare)
}
