package explain

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPagesAreWellFormed(t *testing.T) {
	t.Parallel()
	code := regexp.MustCompile(`^T\d{4}$`)
	if len(Codes()) == 0 || !slices.IsSorted(Codes()) {
		t.Fatalf("codes %v", Codes())
	}
	for _, c := range Codes() {
		page, ok := Page(strings.ToLower(c))
		if !ok || !code.MatchString(c) {
			t.Errorf("%s: no page, or not a code", c)
		}
		title, body, _ := strings.Cut(page, "\n")
		if !strings.HasPrefix(title, "# "+c+": ") || len(strings.TrimSpace(body)) < 40 {
			t.Errorf("%s: begins with %q; a page has a title with its code and says something", c, title)
		}
	}
	if _, ok := Page("../explain"); ok {
		t.Error("a page outside the folder")
	}
}
