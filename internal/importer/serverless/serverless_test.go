package serverless

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the expected outputs")

// project makes a tree and options of an archive: its comment holds "options: a=b" and
// "env: A=b" lines, "want.json" is the expected output.
func project(a *txtar.Archive) (fs.FS, Options) {
	tree := fstest.MapFS{}
	for _, f := range a.Files {
		if f.Name != "want.json" {
			tree[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	opts := Options{Options: map[string]string{}, Env: map[string]string{}, Params: map[string]string{}}
	for line := range strings.Lines(string(a.Comment)) {
		kind, pairs, _ := strings.Cut(strings.TrimSpace(line), ": ")
		for pair := range strings.FieldsSeq(pairs) {
			k, v, _ := strings.Cut(pair, "=")
			switch kind {
			case "options":
				opts.Options[k] = v
			case "env":
				opts.Env[k] = v
			case "params":
				opts.Params[k] = v
			}
		}
	}
	return tree, opts
}

// lines repeats a line with its number in it.
func lines(format string, n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, format, i)
	}
	return out.String()
}

func files(named ...string) fstest.MapFS {
	tree := fstest.MapFS{}
	for i := 0; i+1 < len(named); i += 2 {
		tree[named[i]] = &fstest.MapFile{Data: []byte(named[i+1])}
	}
	return tree
}

func TestRead_givesWhatTheGoldensSay(t *testing.T) {
	t.Parallel()
	found, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(found) == 0 {
		t.Fatal("no goldens", err)
	}
	for _, name := range found {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tree, opts := project(a)
			p, err := Read(tree, opts)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(p, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			var want []byte
			kept := a.Files[:0]
			for _, f := range a.Files {
				if f.Name == "want.json" {
					want = f.Data
				} else {
					kept = append(kept, f)
				}
			}
			if *update {
				a.Files = append(kept, txtar.File{Name: "want.json", Data: got})
				if err := os.WriteFile(name, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if string(got) != string(want) {
				t.Errorf("got\n%s\nwant\n%s\n(go test -update rewrites it)", got, want)
			}
			nothingVanishes(t, tree, opts)
		})
	}
}

// nothingVanishes fails if a leaf of any file was neither carried nor listed.
func nothingVanishes(t *testing.T, tree fs.FS, opts Options) {
	t.Helper()
	name, src, err := find(tree, opts.File)
	if err != nil {
		t.Fatal(err)
	}
	r := &resolver{tree: tree, dir: filepath.Dir(name), opts: opts, files: map[string]*node{}}
	if r.root, err = r.parse(src, name); err != nil {
		return
	}
	r.files[name] = r.root
	if r.root.kind != table || r.all(r.root) != nil {
		return
	}
	if _, err := newReader(r).project(); err != nil {
		return
	}
	lost := map[string]bool{}
	for _, l := range r.leftovers() {
		lost[l.File+" "+l.Key] = true
	}
	var walk func(file string, n *node, covered bool)
	walk = func(file string, n *node, covered bool) {
		covered = covered || lost[n.File+" "+n.path()]
		leaf := len(n.fields)+len(n.items) == 0
		if leaf && !n.taken && !covered {
			t.Errorf("%s: %s:%d %q is neither carried nor listed", file, n.File, n.Line, n.path())
		}
		for _, c := range append(append([]*node{}, n.fields...), n.items...) {
			walk(file, c, covered)
		}
	}
	for file, root := range r.files {
		walk(file, root, false)
	}
}

// A leaf that is taken must show in the output: taking it alone is not carrying it.
func TestRead_showsEachValueThatItTakes(t *testing.T) {
	t.Parallel()
	a, err := txtar.ParseFile("testdata/whole.txtar")
	if err != nil {
		t.Fatal(err)
	}
	tree, opts := project(a)
	p, err := Read(tree, opts)
	if err != nil {
		t.Fatal(err)
	}
	lost := p.Lost
	p.Lost = nil
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	carried := strings.ToLower(string(b))
	for _, f := range a.Files {
		if f.Name == "want.json" {
			continue
		}
		raw, err := (&resolver{}).parse(f.Data, f.Name)
		if err != nil {
			t.Fatal(err)
		}
		var walk func(n *node)
		walk = func(n *node) {
			for _, l := range lost {
				if l.File == n.File && (l.Key == n.path() || strings.HasSuffix(l.Key, "."+n.path()) && l.Line == n.Line) {
					return
				}
			}
			words := strings.Fields(n.text)
			if len(words) > 0 && !n.null() && !strings.Contains(n.text, "${") && n.parent.key != "Fn::GetAtt" {
				if w := strings.ToLower(words[len(words)-1]); !strings.Contains(carried, w) && n.key != "functionResponseType" {
					t.Errorf("%s:%d: %s: %q is taken but not carried", n.File, n.Line, n.path(), w)
				}
			}
			for _, c := range append(append([]*node{}, n.fields...), n.items...) {
				walk(c)
			}
		}
		walk(raw)
	}
}

func TestRead_readsTheCorpus(t *testing.T) {
	t.Parallel()
	found, err := filepath.Glob("../../../../shared/corpus/serverless/*_serverless.yml")
	if err != nil || len(found) == 0 {
		t.Skip("the corpus of public projects is not beside this checkout")
	}
	for _, name := range found {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tree := files("serverless.yml", string(src))
		p, err := Read(tree, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(p.Functions) < 3 || p.Service == "" {
			t.Errorf("%s: %d functions of %q", name, len(p.Functions), p.Service)
		}
		nothingVanishes(t, tree, Options{})
	}
}

func TestRead_saysWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	doubling := "custom:\n  v0: xxxxxxxxxxxxxxxx\n"
	for i := 1; i < 40; i++ {
		doubling += fmt.Sprintf("  v%d: ${self:custom.v%d}${self:custom.v%d}\n", i, i-1, i-1)
	}
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want string
	}{
		"a circle":              {files("serverless.yml", "service: x\ncustom:\n  a: ${self:custom.b}\n  b: ${self:custom.a}\n"), "serverless.yml:3: the variable at custom.a needs its own value"},
		"a circle in a text":    {files("serverless.yml", "custom:\n  a: x${self:custom.a}\n"), "serverless.yml:2: the variable at custom.a needs"},
		"a circle of files":     {files("serverless.yml", "custom: ${file(a.yml)}\n", "a.yml", "b: ${file(a.yml)}\n"), "a.yml:1: the variable at b needs"},
		"a table within itself": {files("serverless.yml", "custom:\n  a:\n    b: ${self:custom.a}\n"), "serverless.yml:3: "},
		"a billion laughs":      {files("serverless.yml", bomb), "aliases or variables make too much"},
		"doubling variables":    {files("serverless.yml", doubling), "aliases or variables make too much"},
		"many times many":       {files("serverless.yml", "provider:\n  environment:\n"+lines("    V%d: x\n", 2000)+"functions:\n"+lines("  f%d: {handler: x}\n", 2000)), "aliases or variables make too much"},
		"many left variables":   {files("serverless.yml", "a:\n"+lines(" - ${ssm:%d}\n", 8_000)), ""},
		"many equal look-ups":   {files("serverless.yml", "custom:\n"+lines("  k%d: x\n", 8_000)+"a:\n"+lines("  - ${self:custom.k%d}\n", 8_000)), ""},
		"five megabytes":        {files("serverless.yml", strings.Repeat("a: &a [x]\n", 500_000)), "serverless.yml:1: the file is larger than"},
		"deep nesting":          {files("serverless.yml", "a: "+strings.Repeat("[", 80)+strings.Repeat("]", 80)), "serverless.yml:1: nested deeper than 64"},
		"very deep nesting":     {files("serverless.yml", "a: "+strings.Repeat("[", 200_000)), "serverless.yml:1: "},
		"deep variables":        {files("serverless.yml", "a: "+strings.Repeat("${self:", 60)+"x"+strings.Repeat("}", 60)), ""},
		"no configuration":      {files("other.yml", ""), "serverless.yml: there is no Serverless Framework configuration"},
		"no YAML":               {files("serverless.yml", "a: [\nb: }"), "serverless.yml:2: not readable as YAML"},
		"bad YAML in a file":    {files("serverless.yml", "a: ${file(b.yml)}", "b.yml", "x: 1\ny: ]"), "b.yml:2: "},
		"a list":                {files("serverless.yml", "- a"), "serverless.yml:1: the file is not a mapping"},
		"two equal keys":        {files("serverless.yml", "a: 1\na: 2"), "serverless.yml:2: the key \"a\" stands twice"},
		"two equal functions":   {files("serverless.yml", "functions:\n - a: {handler: x}\n - a: {handler: y}"), "serverless.yml:3: the function a stands twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Read(c.tree, Options{})
			if c.want == "" {
				return // only that it ends
			}
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an Error with %q", err, c.want)
			}
		})
	}
}

func TestRead_resolvesVariables(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"${self:service}-x":                      "shop-x",
		"${opt:stage, 'dev'}":                    "prod",
		"${opt:no, self:custom.no, \"last\"}":    "last",
		"${opt:no, ${self:custom.a, 'z'}, 'y'}":  "one",
		"${opt:no, ''}":                          "",
		"${sls:stage}":                           "prod",
		"${env:GIVEN}":                           "given",
		"${file(./f.json):a.b}":                  "json",
		"${file(f.json):list.1}":                 "second",
		"${file(no.yml):a, 'none'}":              "none",
		"${file(${self:custom.name}.json):a.b}":  "json",
		"${self:custom.${self:custom.pick}}":     "one",
		"${strToBool(${self:custom.t})}":         "true",
		"${param:p}":                             "stage-param",
		"${param:q}":                             "default-param",
		"${AWS::Region} ${Other}":                "${AWS::Region} ${Other}",
		"\\${self:service}":                      "${self:service}",
		"a ${self:custom.a} b ${self:custom.a}":  "a one b one",
		"${ssm:/a/b}":                            "${ssm:/a/b}",
		"x-${cf:stack.out}":                      "x-${cf:stack.out}",
		"${ssm:/a, 'never guessed'}":             "${ssm:/a, 'never guessed'}",
		"${file(x.js):y}":                        "${file(x.js):y}",
		"${env:NO}":                              "${env:NO}",
		"${file(../up.yml)}":                     "${file(../up.yml)}",
		"${self:custom.secret}":                  "${ssm:/s}",
		"${self:provider.region}":                "us-east-1",
		"${unclosed":                             "${unclosed",
		"${file(plain.txt)}":                     "text",
		"${self:custom.no, 7}":                   "7",
		"${file(f.json):${opt:no, 'a'}.${'b'}}X": "",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			tree := files("serverless.yml", "service: shop\nparams: {prod: {p: stage-param}, default: {p: d, q: default-param}}\ncustom: {a: one, pick: a, name: f, t: 'True', secret: '${ssm:/s}'}\nfunctions:\n  f:\n    handler: h\n    description: "+quoted(text)+"\n",
				"f.json", "{\n\t\"a\": {\"b\": \"json\"}, \"list\": [\"first\", \"second\"]}", "plain.txt", "text\n")
			p, err := Read(tree, Options{Options: map[string]string{"stage": "prod"}, Env: map[string]string{"GIVEN": "given"}})
			if err != nil {
				t.Fatal(err)
			}
			got := p.Functions[0].Description
			if got != want && want+text != text {
				t.Errorf("got %q, want %q", got, want)
			}
			if strings.Contains(got, "${") && !strings.Contains(text, "AWS::") && !strings.Contains(text, "\\") && !strings.Contains(text, "unclosed") {
				for _, l := range p.Lost {
					if l.Line == 7 || strings.Contains(text, "secret") && l.Line == 3 {
						return
					}
				}
				t.Errorf("%q stays but is not listed: %v", got, p.Lost)
			}
		})
	}
}

func TestArnName_findsTheNameInEachShape(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string]string{
		"arn:aws:sqs:eu-west-1:1:jobs":                                        "jobs",
		"arn:aws:dynamodb:eu-west-1:1:table/T/stream/2020-01-01T00:00:00.000": "T",
		"arn:aws:kinesis:eu-west-1:1:stream/clicks":                           "clicks",
		"arn:aws:lambda:eu-west-1:1:layer:tools:3":                            "tools",
		"arn:short": "arn:short",
	} {
		if got := arnName(arn); got != want {
			t.Errorf("%s: got %q, want %q", arn, got, want)
		}
	}
}

func TestShift_knowsCodeDeploysNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Canary10Percent5Minutes": "canary 10 5", "Canary10Percent30Minutes": "canary 10 30",
		"Linear10PercentEvery1Minute": "linear 10 1", "Linear10PercentEvery10Minutes": "linear 10 10",
		"AllAtOnce": "all-at-once 100 0", "Canary0Percent5Minutes": "", "Canary200Percent5Minutes": "", "linear": "",
	} {
		got := ""
		if s := shift(name); s != nil {
			got = fmt.Sprintf("%s %d %d", s.Kind, s.Percent, s.Minutes)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	found, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range found {
		if a, err := txtar.ParseFile(name); err == nil {
			f.Add(a.Files[0].Data, a.Files[1].Data)
		}
	}
	f.Add([]byte("service: x\nfunctions: ${file(a.yml):f}"), []byte("f: {a: {handler: '${self:service, ${opt:stage}}', events: [{http: GET x}]}}"))
	f.Add([]byte("a: &a [1]\nb: {<<: {c: *a}}\ncustom: ${strToBool(${self:a})}"), []byte("{}"))
	f.Fuzz(func(t *testing.T, src, other []byte) {
		tree := fstest.MapFS{"serverless.yml": {Data: src}, "a.yml": {Data: other}, "stages.yml": {Data: other}}
		p, err := Read(tree, Options{})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%v is no Error", err)
			}
			return
		}
		if _, err := json.Marshal(p); err != nil {
			t.Fatal(err)
		}
		nothingVanishes(t, tree, Options{})
	})
}
