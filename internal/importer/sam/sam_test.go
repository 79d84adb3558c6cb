package sam

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldens are the templates of testdata.
func goldens(tb testing.TB) map[string]*txtar.Archive {
	tb.Helper()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		tb.Fatalf("no goldens: %v", err)
	}
	all := map[string]*txtar.Archive{}
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		all[name] = a
	}
	return all
}

func part(a *txtar.Archive, prefix string) (name string, data []byte) {
	for _, f := range a.Files {
		if strings.HasPrefix(f.Name, prefix) {
			return f.Name, f.Data
		}
	}
	return "", nil
}

func valuesOf(tb testing.TB, a *txtar.Archive) map[string]string {
	tb.Helper()
	var values map[string]string
	if _, data := part(a, "values"); data != nil {
		if err := json.Unmarshal(data, &values); err != nil {
			tb.Fatal(err)
		}
	}
	return values
}

func TestRead_goldens(t *testing.T) {
	t.Parallel()
	for file, a := range goldens(t) {
		name, src := part(a, "template")
		p, err := ReadFS(fstest.MapFS{name: {Data: src}}, name, Options{Values: valuesOf(t, a)})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		got, err := json.MarshalIndent(p, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		_, want := part(a, "want")
		if *update {
			for i := range a.Files {
				if a.Files[i].Name == "want.json" {
					a.Files[i].Data = got
				}
			}
			if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if string(got) != string(want) {
			t.Errorf("%s: got\n%s\nrun with -update and read the difference", file, got)
		}
	}
}

// whole checks that every leaf was read or is under a key of Lost.
func whole(t *testing.T, r *reader) {
	t.Helper()
	r.root.each(func(l *value) {
		if !l.seen {
			t.Errorf("%s:%d: %s is neither read nor listed", r.file, l.line, l.path)
		}
	})
	for _, l := range r.project.Lost {
		if l.Key == "" || l.Line == 0 || l.Why == "" {
			t.Errorf("an entry says too little: %+v", l)
		}
	}
}

func TestRead_corpus(t *testing.T) {
	t.Parallel()
	names, _ := filepath.Glob("../../../../shared/corpus/serverless/*.yaml")
	if len(names) == 0 {
		t.Skip("the corpus is not beside this repository")
	}
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := read(src, filepath.Base(name), Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		whole(t, r)
		decides(t, filepath.Base(name), src, Options{})
		if len(r.project.Functions) == 0 {
			t.Errorf("%s: no functions", name)
		}
		t.Logf("%s: %d functions, %d alarms, %d lost", filepath.Base(name), len(r.project.Functions), len(r.project.Alarms), len(r.project.Lost))
	}
}

// Every leaf that is under no key of Lost decides something: another text in its
// place makes another project.
func TestRead_dropsNothingSilently(t *testing.T) {
	t.Parallel()
	for file, a := range goldens(t) {
		_, src := part(a, "template")
		decides(t, file, src, Options{Values: valuesOf(t, a)})
	}
}

// decides puts another text in the place of each leaf in turn.
func decides(t *testing.T, name string, src []byte, o Options) {
	t.Helper()
	first, err := read(src, name, o)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, first)
	want, _ := json.Marshal(first.project)
	var leaves []string
	first.root.each(func(l *value) { leaves = append(leaves, l.path) })
	for i, path := range leaves {
		listed := !strings.HasPrefix(path, "Resources.")
		for _, l := range first.project.Lost {
			listed = listed || path == l.Key || strings.HasPrefix(path, l.Key+".") || strings.HasPrefix(path, l.Key+"[")
		}
		// These say only what is made anyway: a version, an ID of a target, which
		// version an alias has; which attribute of a resource names it; nothing.
		quiet := strings.Contains(path, "Version1.") || strings.HasSuffix(path, ".Id") || strings.Contains(path, "FunctionVersion") ||
			strings.HasSuffix(path, "Fn::GetAtt[1]")
		if listed || quiet {
			continue
		}
		root, _ := parse(src, name)
		n := 0
		root.each(func(l *value) {
			if n == i {
				l.text += "7"
			}
			n++
		})
		r := newReader(root, name, o)
		r.template()
		if got, _ := json.Marshal(r.project); r.err == nil && string(got) == string(want) {
			t.Errorf("%s: %s decides nothing and is not listed", name, path)
		}
	}
}

func TestRead_badTemplates(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for _, p := range []string{"ab", "bc", "cd", "de", "ef", "fg", "gh"} {
		bomb += p[1:] + ": &" + p[1:] + " [" + strings.Repeat("*"+p[:1]+",", 8) + "*" + p[:1] + "]\n"
	}
	for name, c := range map[string]struct{ src, want string }{
		"empty":      {"", "empty"},
		"no SAM":     {"a: 1", "t.yaml:1: there are no Resources"},
		"not YAML":   {"a: [", "t.yaml"},
		"twice":      {"Resources:\n  A: {}\n  A: {}\n", "t.yaml:3: the key \"A\" is there twice"},
		"bomb":       {bomb, "more than 100000 values"},
		"deep":       {"Resources: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "t.yaml:1: the template is nested deeper"},
		"own alias":  {"Resources: &a\n  A: *a\n", "t.yaml:"},
		"circle":     {"Conditions:\n  A: !Not [!Condition B]\n  B: !Not [!Condition A]\nResources:\n  X: {Type: T, Condition: A}\n", "t.yaml:3: the condition A asks for itself"},
		"unknown":    {"Resources:\n  X: {Type: T, Condition: A}\n", "t.yaml:2: there is no condition A"},
		"large":      {strings.Repeat("#", maxFile+1), "larger than"},
		"long texts": {"Parameters: {P: {Type: String, Default: " + strings.Repeat("x", 9000) + "}}\nResources:\n  F: {Type: AWS::Serverless::Function, Properties: {Handler: !Sub '" + strings.Repeat("${P}", 9000) + "'}}", "t.yaml:3: an intrinsic makes a text"},
	} {
		_, err := Read([]byte(c.src), "t.yaml", Options{})
		var bad *TemplateError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, a := range goldens(f) {
		_, src := part(a, "template")
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := read(src, "template.yaml", Options{})
		if err == nil {
			whole(t, r)
		}
	})
}

func TestRead_putsAFunctionOverGlobals(t *testing.T) {
	t.Parallel()
	p, err := Read([]byte(`
Globals:
  Function: {Timeout: 3, Handler: g, Layers: [a], Environment: {Variables: {A: g, B: g}}, FunctionName: not-allowed}
Resources:
  F: {Type: AWS::Serverless::Function, Properties: {Timeout: 9, Layers: [b], Environment: {Variables: {B: own}}}}
`), "t.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := p.Functions[0]
	if f.Timeout != 9 || f.Handler != "g" || strings.Join(f.Layers, " ") != "a b" || f.Name != "" {
		t.Errorf("got %+v", f)
	}
	env := map[string]string{}
	for _, v := range f.Environment {
		env[v.Name] = v.Value
	}
	if env["A"] != "g" || env["B"] != "own" {
		t.Errorf("got the environment %v", env)
	}
	var keys []string
	for _, l := range p.Lost {
		keys = append(keys, strings.TrimPrefix(l.Key, "Globals.Function."))
	}
	if got := strings.Join(keys, " "); got != "Timeout Environment.Variables.B FunctionName" {
		t.Errorf("lists %q", got)
	}
}

// Globals of many keys times many functions end, with an error that says where.
func TestRead_boundsWhatMultiplies(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("Globals:\n  Function:\n    Environment:\n      Variables:\n")
	for i := range 2000 {
		b.WriteString("        V" + strconv.Itoa(i) + ": x\n")
	}
	b.WriteString("Resources:\n")
	for i := range 2000 {
		b.WriteString("  F" + strconv.Itoa(i) + ": {Type: AWS::Serverless::Function, Properties: {Environment: {Variables: {A: b}}}}\n")
	}
	_, err := Read([]byte(b.String()), "t.yaml", Options{})
	if err == nil || !strings.Contains(err.Error(), "takes too long to read") {
		t.Errorf("got %v", err)
	}
}
