package local

import (
	"slices"
	"strings"
	"testing"
)

// TestTelling_namesTheErrorAboveALongStack: a stack that is longer than what is told
// does not hide what went wrong.
func TestTelling_namesTheErrorAboveALongStack(t *testing.T) {
	t.Parallel()
	stack := slices.Repeat([]string{"    at Module._load (node:internal)"}, 12)
	for name, c := range map[string]struct{ lines, want []string }{
		"node":  {append([]string{"server.js:1", "Error: Cannot find module 'body-parser'"}, stack...), []string{"Error: Cannot find module 'body-parser'", "…", stack[0], stack[0]}},
		"java":  {append([]string{"java.lang.IllegalStateException: no database"}, stack...), []string{"java.lang.IllegalStateException: no database", "…", stack[0], stack[0]}},
		"last":  {append(slices.Clone(stack), "ValueError: no", "bye"), []string{stack[0], stack[0], "ValueError: no", "bye"}},
		"none":  {stack, stack[:4]},
		"short": {[]string{"Error: x", "y"}, []string{"Error: x", "y"}},
	} {
		if got := telling(c.lines, 4); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s", name, strings.Join(got, "\n"))
		}
	}
}
