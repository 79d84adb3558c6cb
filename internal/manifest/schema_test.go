package manifest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"titrate/internal/explain"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	if err := c.AddResource("titrate.schema.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("titrate.schema.json")
})

type fataler interface {
	Helper()
	Fatal(args ...any)
}

// validate asks the schema, as an editor does.
func validate(t fataler, src []byte) error {
	t.Helper()
	schema, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(src, &v); err != nil {
		return err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return schema.Validate(doc)
}

// The schema is for editors: it need not see all that the parser sees, but what
// it can say of keys and plain values it says.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	for _, src := range []string{
		"app: x", "titrate: 1", "titrate: 2\napp: x", "titrate: 1\napp: Shop",
		"titrate: 1\napp: x\nfunctions: { a: { port: 80 } }", "titrate: 1\napp: x\ndefaults: { alarm: {} }", "titrate: 1\napp: x\ndefaults: { port: '8080' }",
		"titrate: 1\napp: x\ndefaults: { rollout: Linear }", "titrate: 1\napp: x\ndefaults: { rollout: { steps: [10] } }",
		"titrate: 1\napp: x\ndefaults: { bake: 300 }", "titrate: 1\napp: x\nenvironments: { uat: { deploy: pull_request } }",
		"titrate: 1\napp: x\ndefaults: { connections: keep }", "titrate: 1\napp: x\nservices: { a: { scale: { min: 1 } } }", "titrate: 1\napp: x\nfunctions: { a: { http: { cors: true } } }", "titrate: 1\napp: x\nqueues: { a: { size: 1 } }", "titrate: 1\napp: x\nfunctions: { a: { probe: 5 } }", "titrate: 1\napp: x\nservices: { a: { route: x } }",
		"titrate: 1\napp: x\nservices: { a: { image: '' } }", "titrate: 1\napp: x\nservices: { a: { run: [] } }", "titrate: 1\napp: x\nregistries: { ghcr.io: { username: x } }",
	} {
		if validate(t, []byte(src)) == nil {
			t.Errorf("accepted: %q", src)
		}
		if app, _ := Parse([]byte(src), File); app != nil {
			t.Errorf("the parser accepts: %q", src)
		}
	}
}

// The table is one: what is served is in the schema under its place, and what is
// not served is not.
func TestTableOfKeys(t *testing.T) {
	t.Parallel()
	schema := string(Schema())
	seen := map[string]Place{}
	for _, k := range Keys() {
		if seen[k.Name]&k.Places != 0 {
			t.Errorf("%s: two rows for %s", k.Name, seen[k.Name]&k.Places)
		}
		seen[k.Name] |= k.Places
		if k.Later != "" {
			continue
		}
		if k.Doc == "" || k.Example == "" || k.kind.accepts == "" || k.kind.read == nil || !strings.HasSuffix(k.Doc, ".") {
			t.Errorf("%s: the row is not whole", k.Name)
		}
		if doc, err := json.Marshal(k.Doc); err != nil || !strings.Contains(schema, strings.Trim(string(doc), `"`)) {
			t.Errorf("%s: its text is not in the schema", k.Name)
		}
	}
	// The keys that this version promises to serve.
	promised := strings.Fields("titrate app defaults services environments deploy build port health host route env secrets scale worker " +
		"rollout alarms hooks together bake drain overlap startTimeout noDataTimeout noData onSourceError damage shield image run registries limits memory cpu processes readOnly " +
		"functions waves queues runtime handler timeout probe http cron queue batch topic")
	for _, name := range promised {
		if !slices.Contains(KeyNames(), name) {
			t.Errorf("%s is not served", name)
		}
	}
	// The rest of the language.
	for _, name := range strings.Fields("budget notify sticky from soak approve window freeze target expires bucket event") {
		if !slices.ContainsFunc(Keys(), func(k Key) bool { return k.Name == name && k.Later != "" }) {
			t.Errorf("%s is not known", name)
		}
	}
}

// Every example of the table is accepted at each place of its key.
func TestExamplesOfTheTable(t *testing.T) {
	t.Parallel()
	frames := map[Place]string{
		atTop: "", inDefaults: "defaults:\n", inService: "services:\n  orders:\n", inEnvironment: "environments:\n  uat:\n",
		inOverride: "environments:\n  uat:\n    services:\n      orders:\n", inBuild: "services:\n  orders:\n    build:\n", inHooks: "defaults:\n  hooks:\n",
		inRollout: "defaults:\n  rollout:\n", inBlueGreen: "defaults:\n  rollout:\n    blueGreen:\n", inStep: "defaults:\n  rollout:\n    steps:\n      - 10%\n      - 100%\n      -\n",
		inAlarm: "defaults:\n  alarms:\n    a:\n", inAddress: "services:\n  catalog: {}\n  orders:\n    env:\n      A:\n",
		inRegistry: "registries:\n  ghcr.io:\n", inLimits: "defaults:\n  limits:\n", inBackup: "accessories:\n  db:\n    use: postgres\n    backup:\n",
		inVolume: "services:\n  orders:\n    volumes:\n      data:\n", inFunction: "functions:\n  fn:\n",
		inFunctionOverride: "functions:\n  fn: { queue: orders, http: GET /fn }\nenvironments:\n  uat:\n    functions:\n      fn:\n", inScale: "functions:\n  fn:\n    scale:\n",
		inHTTP: "functions:\n  fn:\n    http:\n", inCORS: "functions:\n  fn:\n    http:\n      routes: GET /x\n      cors:\n", inJWT: "functions:\n  fn:\n    http:\n      routes: GET /x\n      jwt:\n",
		inTimer: "functions:\n  fn:\n    cron:\n", inTaken: "functions:\n  fn:\n    queue:\n", inQueue: "queues:\n  mail:\n",
	}
	besides := map[string]string{ // what the example cannot do without
		"output": "command: make", "run": "command: make\noutput: x", "command": "output: x", "titrate": "", "app": "",
		"metric": "above: 1%", "above": "metric: 5xx", "below": "metric: rps", "for": "metric: 5xx\nabove: 1%", "of": "metric: 5xx\nabove: 1%\nfor: 5m", "min": "metric: 5xx\nabove: 1%",
		"as": "service: catalog", "path": "service: catalog", "missing": "metric: 5xx\nabove: 1%", "react": "metric: 5xx\nabove: 1%",
		"shared":  "path: /data",
		"payload": "routes: GET /x", "cors": "routes: GET /x", "jwt": "routes: GET /x", "issuer": "audience: shop", "audience": "issuer: https://login.example.com",
		"scopes": "audience: shop\nissuer: https://login.example.com", "zone": "cron: rate(5 minutes)", "input": "cron: rate(5 minutes)",
		"window": "name: orders", "whole": "name: orders", "concurrency": "name: orders", "credentials": "origins: https://shop.example.com",
		"username": "password: TOKEN", "password": "username: ana",
	}
	for _, k := range Keys() {
		for place, frame := range frames {
			if k.Later != "" || k.Places&place == 0 {
				continue
			}
			depth := 0
			if frame != "" {
				lines := strings.Split(strings.TrimSuffix(frame, "\n"), "\n")
				last := lines[len(lines)-1]
				depth = len(last) - len(strings.TrimLeft(last, " ")) + 2
			}
			body := k.Example + "\n" + besides[k.Name]
			if place == inBackup && slices.Contains([]string{"command", "restore", "check"}, k.Name) { // of an image
				src := "accessories:\n  db:\n    image: mysql:8\n    backup:\n      command: x\n"
				frame, body = strings.TrimSuffix(src, "      command: x\n"), k.Example
				if k.Name != "command" {
					frame = src
				}
			}
			if place == inService || place == inVolume && k.Name == "path" {
				body = k.Example // what its name needs in a build it needs there alone
			}
			switch place {
			case inFunction, inScale: // what its name needs elsewhere it needs there alone
				body = k.Example
				if k.Name == "batch" {
					body += "\nqueue: orders"
				}
			case inTaken:
				if k.Name == "batch" {
					body += "\nname: orders"
				}
			case inFunctionOverride, inDefaults, inEnvironment:
				body = k.Example
			default:
			}
			callsOnly := k.Places&ofFunctions != 0 && k.Places&(inService|inOverride) == 0
			if place&(inDefaults|inEnvironment) != 0 && (callsOnly || k.Name == "functions") {
				frame = "functions:\n  jobs/nightly: {}\n" + frame
			}
			if place == inStep {
				body = strings.Replace(body, "weight: 10%", "weight: 100%", 1)
				if k.Name != "weight" {
					body += "\nweight: 100%"
				}
			}
			src := frame + indent(strings.TrimSpace(body)+"\n", depth)
			for _, must := range []string{"titrate: 1\n", "app: checkout\n"} {
				if !strings.Contains(src, must) {
					src = must + src
				}
			}
			if !strings.Contains("\n"+src, "\nservices:") {
				src += "services:\n  orders: {}\n  credits: {}\n  giftcards: {}\n"
			}
			if app, problems := Parse([]byte(src), File); app == nil {
				t.Errorf("%s in %s:\n%s\n%s", k.Name, place, src, problems)
			}
			if err := validate(t, []byte(src)); err != nil {
				t.Errorf("%s in %s: the schema refuses\n%s\n%v", k.Name, place, src, err)
			}
		}
	}
}

// Every code that this package gives out has a page, and every page between
// T0300 and T0399 is of a code that is given out.
func TestEveryCodeHasAPage(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("codes.go")
	if err != nil {
		t.Fatal(err)
	}
	constants := regexp.MustCompile(`(?m)^\t(\w+)\s+= "(T\d{4})"`).FindAllStringSubmatch(string(src), -1)
	if len(constants) < 30 {
		t.Fatalf("found %d codes", len(constants))
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, f := range files {
		if f != "codes.go" && !strings.HasSuffix(f, "_test.go") {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(b)
		}
	}
	given := map[string]bool{}
	for _, c := range constants {
		if given[c[2]] {
			t.Errorf("%s stands for two things", c[2])
		}
		given[c[2]] = true
		if _, ok := explain.Page(c[2]); !ok {
			t.Errorf("%s has no page", c[2])
		}
		if !regexp.MustCompile(`\b` + c[1] + `\b`).MatchString(code.String()) {
			t.Errorf("%s is given out by nothing", c[1])
		}
	}
	for _, c := range explain.Codes() {
		if strings.HasPrefix(c, "T03") && !given[c] {
			t.Errorf("the page of %s belongs to no code", c)
		}
	}
	// Each is shown by a golden file or a trap.
	var shown strings.Builder
	goldens, err := filepath.Glob("testdata/problems/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range goldens {
		a, err := txtar.ParseFile(g)
		if err != nil {
			t.Fatal(err)
		}
		shown.Write(a.Files[1].Data)
	}
	traps, err := os.ReadFile("parse_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range constants {
		if !strings.Contains(shown.String(), "["+c[2]+"]") && !strings.Contains(string(traps), c[1]) {
			t.Errorf("no test shows %s", c[2])
		}
	}
}

// Every block of YAML in the pages and the reference that is a whole manifest is
// accepted.
func TestExplainKey(t *testing.T) {
	t.Parallel()
	page, ok := ExplainKey("alarms")
	if !ok || !strings.HasPrefix(page, "# alarms\n") || !strings.Contains(page, "Its keys: metric, above, below") {
		t.Errorf("%v %s", ok, page)
	}
	page, ok = ExplainKey("approve")
	if !ok || !strings.Contains(page, "In a step.") || !strings.Contains(page, "not available yet") {
		t.Errorf("%v %s", ok, page)
	}
	if page, ok = ExplainKey("BeforeAllowTraffic"); !ok || !strings.HasPrefix(page, "# preTraffic\n") {
		t.Errorf("%v %s", ok, page)
	}
	if _, ok = ExplainKey("nonsense"); ok {
		t.Error("a page for nonsense")
	}
	for _, k := range Keys() {
		if _, ok := ExplainKey(k.Name); !ok {
			t.Errorf("%s has no page", k.Name)
		}
	}
}

func TestReference(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"../../docs/reference/titrate.yaml.md":     Reference(),
		"../../docs/reference/titrate.schema.json": string(Schema()),
	} {
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is stale: go test ./internal/manifest -run TestReference -update\n%s", file, diff)
		}
	}
}
