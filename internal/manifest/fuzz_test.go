package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"titrate/internal/explain"
	"titrate/internal/rollout"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/problems/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Files[0].Data, strings.Join(foldersIn(a), "\n"))
	}
	f.Add([]byte("titrate: 1\napp: checkout\n"), "")
	f.Add([]byte("\ufefftitrate: 1\r\napp: x\r\n? [a]\r\n: b\r\n"), "a")
	if b, err := os.ReadFile("testdata/functions.yaml"); err == nil {
		f.Add(b, strings.Join(Folders(sixty()), "\n"))
	}
	f.Add([]byte("titrate: 1\napp: x\nfunctions: { '**': { probe: { a: [1e3, -0, .5, \"\\u2028\\U0001F642\"] }, timeout: 5s } }\n"), "a\na/[b]\nç d/\"e\"")
	if b, err := os.ReadFile("../../docs/reference/titrate.yaml.md"); err == nil {
		for _, block := range strings.Split(string(b), "```") {
			f.Add([]byte("titrate: 1\napp: x\nservices:\n  x:\n"+indent(strings.TrimPrefix(block, "yaml\n"), 4)), "")
			f.Add([]byte("titrate: 1\napp: x\nfunctions:\n  x:\n"+indent(strings.TrimPrefix(block, "yaml\n"), 4)), "x\nx/y")
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, folders string) {
		var known []string
		if folders != "" {
			known = strings.Split(folders, "\n")
		}
		app, problems := Parse(src, File, known...)
		if (app == nil) != (problems.Err() != nil) {
			t.Fatalf("app %v with %s", app, problems)
		}
		lines := linesOf(string(src))
		for i, p := range problems {
			if i > 0 && (problems[i-1].Line > p.Line || problems[i-1].Line == p.Line && problems[i-1].Column > p.Column) {
				t.Fatalf("not in the order of the file:\n%s", problems)
			}
			if p.Line < 1 || p.Line > len(lines) {
				t.Fatalf("line %d of %d: %s", p.Line, len(lines), p)
			}
			width := len([]rune(lines[p.Line-1]))
			if p.Column < 1 || p.Column > width+1 || p.Length < 1 || p.Column+p.Length > width+2 {
				t.Fatalf("columns %d+%d of %d: %s", p.Column, p.Length, width, p)
			}
			if _, ok := explain.Page(p.Code); !ok || p.Message == "" || p.Help == "" {
				t.Fatalf("%+v", p)
			}
		}
		_ = problems.String() + problems.Annotations()
		if app == nil {
			return
		}
		long := Expand(app)
		again, problems := Parse([]byte(long), File)
		if again == nil {
			t.Fatalf("the long form is refused:\n%s\n%s", long, problems)
		}
		if diff := equal(app, again); diff != "" {
			t.Fatal(diff)
		}
		names := map[string]bool{}
		for _, s := range app.Environments[0].Services {
			if names[s.Name] || s.Function != nil && (s.Limits.Memory == 0 || s.Scale != 1 || s.Function.Scale.Max < max(1, s.Function.Scale.Min) || s.Drain < s.Function.Run.Timeout) {
				t.Fatalf("%+v %+v", s, s.Function)
			}
			names[s.Name] = true
		}
		for _, e := range app.Environments {
			for _, g := range e.Groups() {
				checkPlan(t, e.Plan(g...))
			}
		}
	})
}

// checkPlan fails unless a plan keeps what the core counts on.
func checkPlan(t *testing.T, p rollout.Plan) {
	t.Helper()
	if len(p.Members) == 0 || len(p.Steps) == 0 || p.Steps[len(p.Steps)-1].Weight != rollout.Full {
		t.Fatalf("%+v", p)
	}
	for i, s := range p.Steps {
		if s.Weight < 0 || s.Weight > rollout.Full || s.Hold < 0 || i > 0 && s.Weight < p.Steps[i-1].Weight || s.Weight == 0 && !p.FullCapacity {
			t.Fatalf("step %d of %+v", i, p.Steps)
		}
	}
	for _, m := range p.Members {
		if m.Instances < 1 || m.Workload == "" {
			t.Fatalf("%+v", m)
		}
	}
	if p.Bake < 0 || p.Drain < 0 || p.StartTimeout <= 0 || p.NoDataTimeout <= 0 || p.HookTimeout <= 0 || p.MaxRestarts <= 0 {
		t.Fatalf("%+v", p)
	}
}

func FuzzStrategy(f *testing.F) {
	for _, n := range StrategyNames() {
		f.Add(n)
	}
	f.Add("Linear33.33PercentEvery7Seconds")
	f.Fuzz(func(t *testing.T, name string) {
		s, err := ParseStrategy(name)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without words")
			}
			return
		}
		if last := s.Steps[len(s.Steps)-1]; last.Weight != rollout.Full || len(s.Steps) > maxSteps {
			t.Fatalf("%s: %d steps to %s", name, len(s.Steps), last.Weight)
		}
		for i, step := range s.Steps[:len(s.Steps)-1] {
			if step.Weight > s.Steps[i+1].Weight || step.Hold <= 0 || step.Weight <= 0 || step.Weight >= rollout.Full {
				t.Fatalf("%s: %+v", name, step)
			}
		}
	})
}

func FuzzStep(f *testing.F) {
	for _, s := range []string{"1% for 5m", "50% until approved", "12.5 % for 1d12h until approved", "100%", "5 for"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseStep(text)
		if err != nil {
			bad := err.(*StepError) //nolint:errorlint,forcetypeassert // the promise is this very type
			if bad.Offset < 0 || bad.Length < 0 || bad.Offset+bad.Length > len(text) {
				t.Fatalf("%q: %+v", text, bad)
			}
			return
		}
		src := "titrate: 1\napp: x\ndefaults:\n  rollout:\n    steps:\n      - " + FormatStep(s) + "\n      - 100%\n"
		app, problems := Parse([]byte(src), File)
		if app == nil {
			t.Fatal(problems)
		}
		if diff := cmp.Diff(s, app.Environments[0].Services[0].Steps[0]); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"30s", "1d12h", "2 weeks", "1.5h", "0", "99999999999d", "5min"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			if _, better, ok := strings.Cut(err.Error(), "write "); ok {
				if _, err := ParseDuration(better); err != nil {
					t.Fatalf("%q: told to write %q: %v", text, better, err)
				}
			}
			return
		}
		if d < 0 || d > 365*24*time.Hour {
			t.Fatalf("%q: %v", text, d)
		}
		again, err := ParseDuration(FormatDuration(d))
		if err != nil || again != d {
			t.Fatalf("%q: %v, %v from %q: %v", text, d, again, FormatDuration(d), err)
		}
	})
}
