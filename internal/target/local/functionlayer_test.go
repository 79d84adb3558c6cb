package local

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

// TestLayers_areFound has code look into its layers as code at AWS does: by the name of a
// module, and by its place in /opt.
func TestLayers_areFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tool, runtime string
		files         []string
	}{
		"node": {"node", "nodejs18", []string{
			"handler.js", "exports.handler = async () => [require('beans').name, require('/opt/nodejs/own').name, require('child_process').execSync('brew').toString().trim()].join(' ')",
			world.Layers + "/nodejs/node_modules/beans/index.js", "exports.name = 'sidamo'",
			world.Layers + "/nodejs/own.js", "exports.name = 'own'",
			world.Layers + "/bin/brew", "#!/bin/sh\necho brewed\n",
		}},
		"python": {"python3", "python3.9", []string{
			"handler.py", "import subprocess\nfrom beans import name\nfrom own import mine\n\ndef handler(event, context):\n    return ' '.join([name, mine, subprocess.check_output(['brew'], text=True).strip()])\n",
			world.Layers + "/python/beans/__init__.py", "name = 'sidamo'\n",
			world.Layers + "/python/own.py", "mine = 'own'\n",
			world.Layers + "/bin/brew", "#!/bin/sh\necho brewed\n",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(c.tool); err != nil {
				t.Skipf("there is no %s here: install it", c.tool)
			}
			dir := newFolder(t)
			digest := strings.Repeat("cd", 32)
			for i := 0; i < len(c.files); i += 2 {
				at := filepath.Join(dir, "artifacts", digest, filepath.FromSlash(c.files[i]))
				err := os.MkdirAll(filepath.Dir(at), 0o700)
				if err == nil {
					err = os.WriteFile(at, []byte(c.files[i+1]), 0o700)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			b := newBench(t, dir)
			f := fnFleet(1, "")
			f.Artifact, f.Command = digest, nil
			f.Function = &rollout.Function{Runtime: c.runtime, Handler: "handler.handler", Timeout: f.Function.Timeout}
			b.wantFn(nil, f)
			if got := b.ask(b.callee(1), "{}"); got != `"sidamo own brewed"` {
				t.Errorf("it answers %s", got)
			}
		})
	}
}
