package manifest

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite golden files and generated pages")

// Each file holds a manifest and what is said about it.
func TestProblemsGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/problems/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, problems := Parse(a.Files[0].Data, File, foldersIn(a)...)
			got := problems.String()
			if *update {
				a.Files[1].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(a.Files[1].Data), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// foldersIn are the folders of the repository that a golden file lists, if it does.
func foldersIn(a *txtar.Archive) []string {
	if len(a.Files) < 3 {
		return nil
	}
	return strings.Fields(string(a.Files[2].Data))
}

func TestProblemAsJSONAndAnnotation(t *testing.T) {
	t.Parallel()
	_, problems := Parse([]byte("titrate: 1\napp: shop\nservice: {}\n"), "deploy/titrate.yaml")
	b, err := json.Marshal(problems)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"code":"T0312","severity":"error","file":"deploy/titrate.yaml","line":3,"column":1,"length":7,"path":"service",` +
		`"message":"unknown key \"service\" in the file","hint":"did you mean \"services\"?","help":"titrate explain services","source":"service: {}"}]`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("::error file=deploy/titrate.yaml,line=3,col=1,endColumn=8,title=T0312::unknown key \"service\" in the file (did you mean \"services\"?)\n", problems.Annotations()); diff != "" {
		t.Error(diff)
	}
	odd := Problems{{Code: "T0300", Severity: SeverityWarning, File: "a,b:c", Line: 1, Column: 1, Length: 1, Message: "100%\nof"}}
	if diff := cmp.Diff("::warning file=a%2Cb%3Ac,line=1,col=1,endColumn=2,title=T0300::100%25%0Aof\n", odd.Annotations()); diff != "" {
		t.Error(diff)
	}
}

// A manifest comes from whoever can push: what it holds must not drive the
// terminal of whoever reads the message.
func TestProblemShowsNoControlCharacters(t *testing.T) {
	t.Parallel()
	_, problems := Parse([]byte("titrate: 1\napp: x\n\"\\e[2J\u202ealarm\": 1\nb\x1b[31mc: 1\n"), "x\x1b[1m")
	if len(problems) == 0 {
		t.Fatal("accepted")
	}
	if s := problems.String(); strings.ContainsAny(s, "\x1b\u202e") {
		t.Errorf("%q", s)
	}
}

// A terminal gives two columns to a wide character and none to an accent of its
// own; the column that is told still counts characters.
func TestCaretStandsUnderWideCharacters(t *testing.T) {
	t.Parallel()
	for text, cells := range map[string]int{"plain": 5, "你好🙂": 6, "e\u0301": 1} {
		_, problems := Parse([]byte("titrate: 1\napp: x\ndefaults: { env: { A: \""+text+"\" }, bogus: 1 }\n"), File)
		want := "  | " + strings.Repeat(" ", len(`defaults: { env: { A: "" }, `)+cells) + "^^^^^"
		if !strings.Contains(problems.String(), "\n"+want+"\n") {
			t.Errorf("%s: want\n%s\nin\n%s", text, want, problems)
		}
	}
	_, problems := Parse([]byte("titrate: 1\napp: x\nservices: { 网站: {} }\n"), File)
	if !strings.Contains(problems.String(), "\n  |             ^^^^ a letter") || problems[0].Length != 2 {
		t.Errorf("%s", problems)
	}
}
