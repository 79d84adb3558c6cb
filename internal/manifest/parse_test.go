package manifest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"

	"github.com/google/go-cmp/cmp"
)

// good parses a manifest that must be without errors.
func good(t *testing.T, src string) *App {
	t.Helper()
	app, problems := Parse([]byte(src), File)
	if err := problems.Err(); err != nil {
		t.Fatalf("refused:\n%s\n%s", src, err)
	}
	return app
}

// service returns a service of an environment that must be there.
func service(t *testing.T, app *App, env, name string) Service {
	t.Helper()
	e, ok := app.Environment(env)
	if !ok {
		t.Fatalf("no environment %s", env)
	}
	s, ok := e.Service(name)
	if !ok {
		t.Fatalf("no service %s in %s", name, env)
	}
	return s
}

func TestSmallestFile(t *testing.T) {
	t.Parallel()
	app := good(t, "titrate: 1\napp: checkout\n")
	var steps []rollout.Step
	for p := 10.0; p < 100; p += 10 {
		steps = append(steps, rollout.Step{Weight: rollout.Percent(p), Hold: time.Minute})
	}
	want := &App{Name: "checkout", Environments: []Environment{{
		App: "checkout", Name: "production", Overlap: rollout.OverlapNext, Line: 1,
		Services: []Service{{
			Name: "checkout", Build: Build{Dir: "."}, Host: "checkout.localhost", Route: "/", Env: map[string]string{}, Scale: 1,
			Strategy: "Linear10PercentEvery1Minute", Steps: append(steps, rollout.Step{Weight: rollout.Full}),
			Alarms: analysis.Defaults(),
			Bake:   10 * time.Minute, Drain: 30 * time.Second, StartTimeout: 2 * time.Minute, NoDataTimeout: 30 * time.Minute,
			Line: 1,
		}},
	}}}
	if diff := cmp.Diff(want, app); diff != "" {
		t.Error(diff)
	}
}

func TestTraps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		src, code    string
		line, column int
	}{
		"crlf":       {"titrate: 1\r\napp: checkout\r\nbogus: 1\r\n", codeUnknownKey, 3, 1},
		"bom":        {"\ufefftitrate: 1\napp: checkout\nbogus: 1\n", codeUnknownKey, 3, 1},
		"latin1":     {"titrate: 1\napp: caf\xe9\n", codeEncoding, 2, 9},
		"utf16":      {"\xff\xfet\x00i\x00", codeEncoding, 1, 1},
		"nul":        {"titrate: 1\ndefaults:\n  env: { A: \"x\x00y\" }\napp: x\n", codeControl, 3, 15},
		"escape":     {"titrate: 1\napp: x\nbogus: \x1b[31mred\n", codeUnknownKey, 3, 1},
		"break":      {"titrate: 1\napp: x # a\u2028b: c\nbogus: 1\n", codeControl, 2, 11},
		"cr":         {"titrate: 1\rapp: x\rbogus: 1\r", codeUnknownKey, 3, 1},
		"latin1 cr":  {"titrate: 1\rapp: caf\xe9\r", codeEncoding, 2, 9},
		"tab":        {"titrate: 1\ndefaults:\n\tport: 1\n", codeTab, 3, 1},
		"two":        {"titrate: 1\napp: x\n---\napp: y\n", codeDocuments, 3, 1},
		"anchor":     {"titrate: 1\napp: &a x\n", codeAnchor, 2, 6},
		"duplicate":  {"titrate: 1\napp: x\napp: y\n", codeDuplicate, 3, 1},
		"empty":      {"", codeEmpty, 1, 1},
		"comment":    {"# nothing\n", codeEmpty, 1, 1},
		"list":       {"- a\n", codeType, 1, 1},
		"long line":  {"titrate: 1\napp: x\n#" + strings.Repeat("x", maxLine), codeSize, 3, 1},
		"large":      {strings.Repeat("#\n", maxSize/2) + "x", codeSize, 1, 1},
		"deep":       {"titrate: 1\napp: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), codeSize, 2, 37},
		"unclosed":   {"titrate: 1\napp: [x\n", codeSyntax, 2, 6},
		"no app":     {"titrate: 1\n", codeMissing, 1, 1},
		"no titrate": {"app: x\n", codeFormat, 1, 1},
		"tag":        {"titrate: 1\napp: !!str 5\n", codeAnchor, 2, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, problems := Parse([]byte(c.src), File)
			if app != nil || len(problems) == 0 {
				t.Fatalf("accepted: %v", problems)
			}
			if p := problems[0]; p.Code != c.code || p.Line != c.line || p.Column != c.column {
				t.Errorf("got %s at %d:%d, want %s at %d:%d\n%s", p.Code, p.Line, p.Column, c.code, c.line, c.column, p)
			}
		})
	}
}

// Whoever can push must not be able to drown the one who reads, or the server.
func TestAtMostAHundredProblems(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("titrate: 1\napp: x\n")
	for i := range 20_000 {
		fmt.Fprintf(&b, "key%d: 1\n", i)
	}
	_, problems := Parse([]byte(b.String()), File)
	if len(problems) != maxProblems+1 {
		t.Fatalf("%d problems", len(problems))
	}
	if last := problems[maxProblems]; last.Code != codeMany {
		t.Errorf("%+v", last)
	}
}
