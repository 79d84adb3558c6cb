// Package test holds what is tested across packages: the floors, the scripts
// against the built program, and the demo.
package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// pure packages take values and return values. What they may not reach, and why.
var pure = []string{"rollout", "analysis", "world", "manifest", "explain", "importer", "schedule", "http1"}

var impure = map[string]string{
	"os":           "files and environment belong to the edges",
	"net":          "a decision waits for nobody",
	"net/http":     "a decision waits for nobody",
	"os/exec":      "a decision starts nothing",
	"context":      "nothing pure waits, so nothing needs to be cancelled",
	"log/slog":     "the controller logs what was decided, with its reason",
	"database/sql": "the store stores",
}

// hands do one thing each for the controller, and know neither it nor each other.
var hands = []string{"node", "source", "pipeline", "gateway", "certificate", "target/local", "events", "store", "secrets", "auth", "sim"}

// above a floor may be known only by what is higher still.
var above = map[string][]string{
	"hand":  {"controller", "api", "cli", "daemon", "keeper", "sim/harness"},
	"mover": {"api", "cli", "daemon", "keeper", "node", "source", "pipeline", "gateway", "certificate", "target/local", "store", "secrets", "auth"},
	"noun":  {"controller", "api", "cli", "daemon", "keeper", "node", "source", "pipeline", "gateway", "target/local", "store", "secrets", "auth"},
}

// mayWire are the packages that start processes, or look at them: they alone know the
// wiring.
var mayWire = map[string]bool{"titrate/internal/cli": true, "titrate/internal/demo": true, "titrate/internal/doctor": true}

func TestImports_goDownOnly(t *testing.T) {
	t.Parallel()
	imports := directImports(t)
	check := func(from, to, why string) {
		for _, imp := range imports["titrate/internal/"+from] {
			if imp == to || strings.HasPrefix(imp, to+"/") && strings.HasPrefix(to, "titrate/") {
				t.Errorf("internal/%s imports %s: %s", from, imp, why)
			}
		}
	}
	for _, p := range pure {
		for imp, why := range impure {
			for _, got := range imports["titrate/internal/"+p] {
				if got == imp {
					t.Errorf("internal/%s imports %s: %s", p, imp, why)
				}
			}
		}
		for _, up := range above["noun"] {
			check(p, "titrate/internal/"+up, "nouns know nobody")
		}
	}
	for _, up := range above["mover"] {
		check("controller", "titrate/internal/"+up, "the controller knows hands by its seams only")
	}
	for _, h := range hands {
		for _, up := range above["hand"] {
			check(h, "titrate/internal/"+up, "a hand implements the controller's seams without knowing it")
		}
		for _, other := range hands {
			if other != h {
				check(h, "titrate/internal/"+other, "hands never know each other: the wiring joins them")
			}
		}
	}
	for pkg, imps := range imports {
		for _, imp := range imps {
			if imp == "titrate/internal/daemon" && !mayWire[pkg] {
				t.Errorf("%s imports the wiring", pkg)
			}
		}
	}
}

func directImports(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "titrate/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err, stderr.String())
	}
	imports := map[string][]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		imports[p.ImportPath] = p.Imports
	}
	for _, must := range append(append([]string{"controller"}, pure...), hands...) {
		if _, ok := imports["titrate/internal/"+must]; !ok {
			t.Errorf("internal/%s is not there: this test guards nothing", must)
		}
	}
	return imports
}
