package source

import (
	"testing"

	"titrate/internal/explain"
)

func TestCodes_areExplained(t *testing.T) {
	t.Parallel()
	for _, c := range []string{codeNoGit, codeRef, codeName, codeNoRepo, codeAway, codeTree} {
		if _, ok := explain.Page(c); !ok {
			t.Errorf("%s has no page", c)
		}
	}
}
