package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func simulated(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = Main(t.Context(), append([]string{"simulate"}, args...), Terminal{Out: &o, Err: &e, Dir: t.TempDir()})
	return o.String(), e.String(), code
}

func TestSimulate_reportsWhatHappenedAndWhatHeld(t *testing.T) {
	t.Parallel()
	out, errs, code := simulated(t, "--histories", "2", "--seed", "7")
	if code != exitDone || !strings.Contains(out, "everything held") || !strings.Contains(out, "weights sum to exactly 100 %") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestSimulate_json(t *testing.T) {
	t.Parallel()
	out, errs, code := simulated(t, "--looks", "100", "-o", "json")
	var r struct {
		Looks      int64 `json:"looks"`
		Histories  int   `json:"histories"`
		Violations []any `json:"violations"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitDone || r.Looks < 100 || r.Histories < 1 || r.Violations == nil {
		t.Errorf("exit %d, %v\n%s%s", code, err, out, errs)
	}
}

func TestSimulate_verboseTellsAHistory(t *testing.T) {
	t.Parallel()
	out, errs, code := simulated(t, "--seed", "3", "-v")
	if code != exitDone || !strings.Contains(out, "a controller starts, with lease 1") || !strings.Contains(out, "1 histories") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestSimulate_anUnknownScenarioIsRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--scenario", "stormy"}, {"--scenario", "stormy", "-v"}} {
		if _, errs, code := simulated(t, args...); code != exitUsage || !strings.Contains(errs, "steady-pushes") {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
}
