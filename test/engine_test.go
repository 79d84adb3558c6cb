package test

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"titrate/internal/engine/enginetest"
)

// TestScripts_engine runs testdata/engine/*.txtar with a container engine of their own,
// which the command `engine kill` ends as a crash does and `engine start` starts again.
func TestScripts_engine(t *testing.T) {
	enginetest.Run(t, func(t *testing.T, d *enginetest.Daemon) {
		t.Helper()
		t.Run("scripts", func(t *testing.T) {
			scripts(t, "testdata/engine", func(e *testscript.Env) {
				e.Setenv("TITRATE_ENGINE", d.Host())
				e.Values[engineKey{}] = func(word string) {
					if d.Kill(); word == "start" {
						d.Start(t)
					}
				}
			})
		})
	})
}

// TestScripts_smallEngine runs testdata/smallengine/*.txtar with a container engine on a
// small disk of its own.
func TestScripts_smallEngine(t *testing.T) {
	t.Parallel()
	enginetest.RunSmall(t, 100, func(t *testing.T, d *enginetest.Daemon) {
		t.Helper()
		t.Run("scripts", func(t *testing.T) {
			scripts(t, "testdata/smallengine", func(e *testscript.Env) {
				e.Setenv("TITRATE_ENGINE", d.Host())
				e.Values[diskKey{}] = d.Data()
			})
		})
	})
}

type engineKey struct{}

// commandEngine ends the engine of the script, or starts it again.
func commandEngine(ts *testscript.TestScript, neg bool, args []string) {
	do, ok := ts.Value(engineKey{}).(func(string))
	if neg || !ok || len(args) != 1 || args[0] != "kill" && args[0] != "start" {
		ts.Fatalf("usage, in testdata/engine: engine kill|start")
	}
	do(args[0])
}
