package explain

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/reference/errors.md anew")

// codesInUse finds the codes that the sources of the product name, and where.
func codesInUse(t *testing.T) map[string]string {
	t.Helper()
	code := regexp.MustCompile(`\bT0\d{3}\b`)
	found := map[string]string{}
	for _, root := range []string{"../../internal", "../../client", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			for _, c := range code.FindAllString(string(b), -1) {
				found[c] = path
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func TestPages_thereIsOneForEachCode(t *testing.T) {
	t.Parallel()
	used := codesInUse(t)
	for code, path := range used {
		if _, ok := Page(code); !ok {
			t.Errorf("%s of %s has no page: internal/explain/pages/%s.md", code, path, code)
		}
	}
	for _, code := range Codes() {
		if used[code] == "" {
			t.Errorf("%s has a page, and nothing gives it out", code)
		}
	}
}

// TestReference_errorsAreFresh holds docs/reference/errors.md equal to the pages.
func TestReference_errorsAreFresh(t *testing.T) {
	t.Parallel()
	const path = "../../docs/reference/errors.md"
	var b strings.Builder
	b.WriteString("<!-- DO NOT EDIT: made from internal/explain/pages by: go test ./internal/explain -run TestReference -update -->\n\n" +
		"# Error codes\n\n`titrate explain CODE` shows each of these pages, without a network.\n\n")
	sections := []struct{ prefix, title string }{
		{"T03", "The manifest"}, {"T05", "Pushes and builds"}, {"T06", "Secrets"}, {"T07", "The data folder"}, {"T08", "The API"}, {"T09", "Imports"},
	}
	codes := Codes()
	for _, s := range sections {
		b.WriteString("## " + s.title + "\n\n")
		for _, code := range codes {
			if strings.HasPrefix(code, s.prefix) {
				page, _ := Page(code)
				b.WriteString("##" + strings.TrimSpace(page) + "\n\n")
			}
		}
	}
	if i := slices.IndexFunc(codes, func(c string) bool {
		return !slices.ContainsFunc(sections, func(s struct{ prefix, title string }) bool { return strings.HasPrefix(c, s.prefix) })
	}); i >= 0 {
		t.Errorf("%s has no section in this test", codes[i])
	}
	want := strings.TrimRight(b.String(), "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is stale (%v): go test ./internal/explain -run TestReference -update", path, err)
	}
}
