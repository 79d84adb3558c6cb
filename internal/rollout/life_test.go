package rollout_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
)

const diagramFile = "../../docs/life-of-a-release.md"

// diagram reads the moves that the page shows.
func diagram(t *testing.T) map[string]bool {
	t.Helper()
	page, err := os.ReadFile(diagramFile)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```mermaid\n")
	text, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		t.Fatal("no diagram in ", diagramFile)
	}
	moves := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\s*(\w+) --> (\w+)`).FindAllStringSubmatch(text, -1) {
		moves[m[1]+" --> "+m[2]] = true
	}
	return moves
}

// TestLifeOfARelease_diagram holds the page against the moves that the scripts
// make, both ways; the property tests hold all their looks against it too.
func TestLifeOfARelease_diagram(t *testing.T) {
	t.Parallel()
	made := map[string]bool{}
	for _, file := range scriptFiles(t) {
		maps.Copy(made, runScript(t, file))
	}
	shown := diagram(t)
	for _, move := range slices.Sorted(maps.Keys(made)) {
		if !shown[move] {
			t.Errorf("the scripts make %s, which the page does not show", move)
		}
	}
	for _, move := range slices.Sorted(maps.Keys(shown)) {
		if !made[move] {
			t.Errorf("the page shows %s, which no script makes", move)
		}
	}
}

// TestPhases_complete holds that every phase has rules and stands in the diagram,
// and that every outcome and phase is named in the page.
func TestPhases_complete(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(diagramFile)
	if err != nil {
		t.Fatal(err)
	}
	phases := constants(t, "Phase")
	if len(phases) != 7 {
		t.Errorf("%d phases: %v", len(phases), phases)
	}
	rules := keysOf(t, "life")
	for name, value := range phases {
		if !slices.Contains(rules, name) {
			t.Errorf("%s has no rules in rollout.go", name)
		}
		if !strings.Contains(string(page), "`"+value+"`") {
			t.Errorf("%s does not name phase %s", diagramFile, value)
		}
	}
	if len(rules) != len(phases) {
		t.Errorf("rules for %v", rules)
	}
	for _, value := range constants(t, "Outcome") {
		if !strings.Contains(string(page), "`"+value+"`") {
			t.Errorf("%s does not name outcome %s", diagramFile, value)
		}
	}
}

// constants reads the constants of a string type from state.go.
func constants(t *testing.T, typeName string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "state.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == typeName {
			found[spec.Names[0].Name] = strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`)
		}
		return true
	})
	return found
}

// keysOf reads the keys of the map named name in rollout.go.
func keysOf(t *testing.T, name string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "rollout.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != name {
			return true
		}
		for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
			keys = append(keys, e.(*ast.KeyValueExpr).Key.(*ast.Ident).Name)
		}
		return false
	})
	return keys
}

// TestR24_hookKeys holds the keys that the node knows hooks by: they must never
// change, or a hook would run again after an upgrade.
func TestR24_hookKeys(t *testing.T) {
	t.Parallel()
	p, _, seen, now := heldStep(t)
	s := rollout.New(p, now)
	p.Members = p.Members[:1]
	p.Members[0].Hooks = rollout.Hooks{Release: "a", PreTraffic: "b", PostTraffic: "c", OnRollback: "d"}
	p.Steps[0].Hook, p.Steps[0].Hold = "e", 0
	seen.Members = seen.Members[:1]
	var keys []string
	for i := range seen.Members[0].Readings {
		seen.Members[0].Readings[i].Closed = time.Time{}
	}
	for range 12 {
		seen.Hooks = map[string]rollout.HookResult{}
		for _, h := range s.Hooks {
			seen.Hooks[h.Key] = rollout.HookResult{}
		}
		if s.Phase == rollout.Baking && len(s.Hooks) == 4 {
			seen.Hooks[s.Hooks[3].Key] = rollout.HookResult{Exit: 1}
		}
		seen.Members[0].Served = s.Weight
		s = rollout.Next(p, s, seen, now.Add(24*time.Hour))
	}
	for _, h := range s.Hooks {
		keys = append(keys, h.Key)
	}
	want := []string{
		"cofe/production/r42/orders/release", "cofe/production/rollout-7.1/orders/preTraffic", "cofe/production/rollout-7.1/orders/step-1",
		"cofe/production/rollout-7.1/orders/postTraffic", "cofe/production/rollout-7.1/orders/onRollback",
	}
	if !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
}
