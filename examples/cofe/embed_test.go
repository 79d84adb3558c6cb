package cofe

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write repository/gomod.txt and gosum.txt anew")

// The repository's go.mod and go.sum name what Titrate's own name, so that it
// builds with the module cache that is there already.
func TestRepository_needsOnlyWhatTitrateHas(t *testing.T) {
	mod, sum := neededModules(t)
	if *update {
		for name, content := range map[string]string{"gomod.txt": mod, "gosum.txt": sum} {
			if err := os.WriteFile(filepath.Join("repository", name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, want := range map[string]string{"gomod.txt": mod, "gosum.txt": sum} {
		got, err := os.ReadFile(filepath.Join("repository", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("repository/%s is stale: go test ./examples/cofe -run Repository -update", name)
		}
	}
}

// neededModules derives go.mod and go.sum from the modules whose packages the
// services import.
func neededModules(t *testing.T) (mod, sum string) {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}", "./services/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	needed := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(needed)
	needed = slices.DeleteFunc(slices.Compact(needed), func(s string) bool { return s == "" })
	direct := []string{"github.com/jackc/pgx/v5", "modernc.org/sqlite"}
	var b strings.Builder
	b.WriteString("module cofe\n\ngo 1.26.0\n\nrequire (\n")
	for _, m := range needed {
		path, _, _ := strings.Cut(m, " ")
		if slices.Contains(direct, path) {
			fmt.Fprintf(&b, "\t%s\n", m)
		}
	}
	b.WriteString(")\n\nrequire (\n")
	for _, m := range needed {
		path, _, _ := strings.Cut(m, " ")
		if !slices.Contains(direct, path) {
			fmt.Fprintf(&b, "\t%s // indirect\n", m)
		}
	}
	b.WriteString(")\n")
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	for line := range strings.Lines(string(sums)) {
		fields := strings.Fields(line)
		if slices.Contains(needed, fields[0]+" "+strings.TrimSuffix(fields[1], "/go.mod")) {
			s.WriteString(line)
		}
	}
	return b.String(), s.String()
}

func TestVariants_areOneCommitEach(t *testing.T) {
	t.Parallel()
	v1, err := Files(V1)
	if err != nil {
		t.Fatal(err)
	}
	v2, err := Files(V2)
	if err != nil {
		t.Fatal(err)
	}
	if d := changed(v1, v2); len(d) == 0 {
		t.Error("v2 changes nothing")
	}
	for _, v := range Variants()[2:] {
		files, err := Files(v)
		if err != nil {
			t.Errorf("%s: %v", v, err)
			continue
		}
		d := changed(v2, files)
		if len(d) == 0 {
			t.Errorf("%s changes nothing", v)
		}
		for _, name := range d {
			if !strings.HasPrefix(name, "services/store/") && name != "titrate.yaml" {
				t.Errorf("%s changes %s: only the store should move", v, name)
			}
		}
		if v.Subject() == "" || len(v.Subject()) > 72 {
			t.Errorf("%s has the subject %q", v, v.Subject())
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
	return names
}

func TestWrite_leavesNoGoFileOfAnotherVariant(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, v := range []Variant{V2, V1} {
		if err := Write(dir, v); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "services", "store", "search.go")); !os.IsNotExist(err) {
		t.Errorf("search.go of v2 is in v1: %v", err)
	}
	if err := Write(dir, "v9"); err == nil {
		t.Error("an unknown variant was written")
	}
	text, err := os.ReadFile(filepath.Join(dir, "services", "store", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "titrate/examples") || !strings.Contains(string(text), `"cofe/internal/service"`) {
		t.Error("imports are not rewritten")
	}
}

// Every variant compiles and is vetted in the repository as it is written, with
// no module but those in the cache.
func TestVariants_compile(t *testing.T) {
	t.Parallel()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("slow: set TITRATE_TEST_SLOW=1")
	}
	for _, v := range Variants() {
		dir := t.TempDir()
		if err := Write(dir, v); err != nil {
			t.Fatal(err)
		}
		packages := "./services/store" // the others are as in V1
		if v == V1 {
			packages = "./..."
		}
		cmd := exec.CommandContext(t.Context(), "go", "vet", packages)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false", "GOPROXY=off", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: go vet %s: %v\n%s", v, packages, err, out)
		}
	}
}

func TestParseEdits_refusesWhatIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"subject\nstray\n", "subject\n-- a.go --\n<<<<<<<\nold\n"} {
		if _, err := parseEdits(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
