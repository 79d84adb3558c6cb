package collect_test

import (
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"titrate/examples/collect"
)

func TestVariants_areOneCommitEach(t *testing.T) {
	t.Parallel()
	for _, o := range []collect.Options{{}, {Quick: true}, {Node: true, Python: true}, {Node: true, Python: true, Quick: true}} {
		all := map[collect.Variant]map[string]string{}
		for _, v := range collect.Variants() {
			files, err := collect.Files(v, o)
			if err != nil {
				t.Fatalf("%+v: %v", o, err)
			}
			all[v] = files
			if s := v.Subject(); s == "" || len(s) > 72 {
				t.Errorf("%s has the subject %q", v, s)
			}
		}
		want := map[collect.Variant][]string{
			collect.V3: {"notify/email/email.go", "on/hold/hold.go", "on/quote/quote.go"}, collect.Leak: {"on/quote/quote.go"},
			collect.Hang: {"on/hold/hold.go"}, collect.Throws: {"notify/email/email.go"},
		}
		for v, names := range want {
			if got := changed(all[collect.V2], all[v]); !slices.Equal(got, names) {
				t.Errorf("%s changes %q", v, got)
			}
		}
		// V2 changes what all functions in Go share, and each of the others.
		got := changed(all[collect.V1], all[collect.V2])
		if !slices.Contains(got, "internal/app/app.go") {
			t.Errorf("v2 changes %q", got)
		}
		for name := range all[collect.V1] {
			other := strings.HasSuffix(name, ".mjs") || strings.HasSuffix(name, ".py")
			if other && !slices.Contains(got, name) {
				t.Errorf("v2 does not change %s", name)
			}
		}
	}
}

func changed(a, b map[string]string) []string {
	var names []string
	for name, content := range b {
		if a[name] != content {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Whatever languages it has, the repository has 64 folders of functions, with one file
// each, and at most 45 lines say what calls them.
func TestFiles_areSixtyFourFolders(t *testing.T) {
	t.Parallel()
	for _, o := range []collect.Options{{}, {Node: true}, {Python: true}, {Node: true, Python: true}} {
		files, err := collect.Files(collect.V1, o)
		if err != nil {
			t.Fatal(err)
		}
		folders := map[string]string{}
		for name := range files {
			switch root, _, _ := strings.Cut(name, "/"); root {
			case "api", "one", "on", "notify", "timers":
				if other, ok := folders[filepath.Dir(name)]; ok {
					t.Errorf("%s and %s are one function", name, other)
				}
				folders[filepath.Dir(name)] = name
			}
		}
		if len(folders) != 64 {
			t.Errorf("%+v: %d functions", o, len(folders))
		}
		if n := strings.Count(files["titrate.yaml"], "\n"); n > 45+len(folders)-goFolders(folders) {
			t.Errorf("%+v: %d lines", o, n)
		}
		table := strings.Count(files["functions/functions.go"], ".Handle)")
		if others := 2 * len(slices.DeleteFunc([]bool{o.Node, o.Python}, func(b bool) bool { return !b })); table != 64-others {
			t.Errorf("%+v: %d functions are in the program", o, table)
		}
		for name, content := range files {
			if strings.Contains(content, "titrate/examples") {
				t.Errorf("%s names a package of another module", name)
			}
		}
	}
}

// goFolders counts the functions in Go: each other has a line for its own build.
func goFolders(folders map[string]string) int {
	n := 0
	for _, file := range folders {
		if strings.HasSuffix(file, ".go") {
			n++
		}
	}
	return n
}

func TestFiles_unknownVariant(t *testing.T) {
	t.Parallel()
	if _, err := collect.Files("v9", collect.Options{}); err == nil {
		t.Error("an unknown variant was made")
	}
}

func TestWrite_leavesNoFileOfAnotherLanguage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, o := range []collect.Options{{Node: true, Python: true}, {}} {
		if err := collect.Write(dir, collect.V1, o); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(dir, path)
			got[name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := collect.Files(collect.V1, collect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for name := range files {
		want[name] = true
	}
	if !maps.Equal(got, want) {
		t.Errorf("written: %d files, want %d", len(got), len(want))
	}
}

// The repository needs no module, so that it builds without a network.
func TestFiles_importOnlyWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, v := range collect.Variants() {
		files, err := collect.Files(v, collect.Options{Node: true, Python: true})
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range files {
			if !strings.HasSuffix(name, ".go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, content, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range f.Imports {
				from, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				folder, own := strings.CutPrefix(from, "collect/")
				switch {
				case own && !slices.ContainsFunc(slices.Collect(maps.Keys(files)), func(n string) bool { return filepath.Dir(n) == folder }):
					t.Errorf("%s of %s imports %s, which is not there", name, v, from)
				case !own && strings.Contains(strings.Split(from, "/")[0], "."):
					t.Errorf("%s imports the module %s", name, from)
				}
			}
		}
	}
}

// Every variant compiles, with no module and no network.
func TestVariants_compile(t *testing.T) {
	t.Parallel()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("slow: set TITRATE_TEST_SLOW=1")
	}
	for _, v := range collect.Variants() {
		dir := t.TempDir()
		if err := collect.Write(dir, v, collect.Options{}); err != nil {
			t.Fatal(err)
		}
		packages := []string{"."}
		if v == collect.V1 {
			packages = []string{"./..."}
		}
		vet(t, dir, packages...)
	}
}

func vet(t *testing.T, dir string, packages ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"vet"}, packages...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false", "GOPROXY=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
}
