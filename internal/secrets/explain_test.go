package secrets

import (
	"testing"

	"titrate/internal/explain"
)

func TestCodes_areExplained(t *testing.T) {
	t.Parallel()
	for _, c := range []string{codeUnset, codeName, codeKeyMode, codeKeyGone, codeCorrupt} {
		if _, ok := explain.Page(c); !ok {
			t.Errorf("%s has no page", c)
		}
	}
}
