package demo_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/demo"
)

// TestDemo plays every scenario with the built program: what the README shows is
// what runs. The scenarios run one after the other, because each measures.
func TestDemo(t *testing.T) {
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("plays the whole product for several minutes; TITRATE_TEST_SLOW=1 (make test) runs it")
	}
	program := filepath.Join(t.TempDir(), "titrate")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "titrate/cmd/titrate").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	for _, s := range demo.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			r, err := demo.Run(ctx, demo.Config{Program: program, Scenario: s, Out: t.Output(), Env: os.Environ()})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range r.Problems {
				t.Error(p)
			}
			if !r.OK || r.Requests == 0 || !r.Ledger.OK || r.Ledger.Orders == 0 {
				b, _ := json.Marshal(r)
				t.Errorf("not passed: %s", b)
			}
		})
	}
}

// TestCollect plays the story of the functions with the built program: all sixty-four are
// released as one, and go back as one.
func TestCollect(t *testing.T) {
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("plays the whole product for minutes; TITRATE_TEST_SLOW=1 (make test) runs it")
	}
	program := filepath.Join(t.TempDir(), "titrate")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "titrate/cmd/titrate").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	r, err := demo.RunCollect(t.Context(), demo.Config{Program: program, Out: t.Output(), Env: os.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Problems {
		t.Error(p)
	}
	if !r.OK || r.Functions != 64 || r.Back != 64 || r.Requests == 0 || !r.Ledger.OK || r.Ledger.Pickups == 0 {
		b, _ := json.Marshal(r)
		t.Errorf("not passed: %s", b)
	}
}

func TestCollect_withoutGoSaysSo(t *testing.T) {
	t.Parallel()
	_, err := demo.RunCollect(t.Context(), demo.Config{Env: []string{"PATH=" + t.TempDir()}})
	if err == nil || !strings.Contains(err.Error(), "install Go") {
		t.Errorf("%v", err)
	}
}

// The binary alone: no Go, only git and a shell.
func TestDemo_withoutGoTheProgramIsTheServices(t *testing.T) {
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("plays the whole product; TITRATE_TEST_SLOW=1 (make test) runs it")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "titrate")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "titrate/cmd/titrate").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	path := filepath.Join(dir, "path")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"git", "sh"} {
		at, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(at, filepath.Join(path, tool)); err != nil {
			t.Fatal(err)
		}
	}
	for _, scenario := range []string{"errors", "latency", "crash", "never-healthy"} {
		t.Run(scenario, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), program, "demo", "--check", "--scenario", scenario)
			cmd.Env = []string{"PATH=" + path, "HOME=" + dir, "TMPDIR=" + dir}
			var said strings.Builder
			cmd.Stderr = &said
			out, err := cmd.Output()
			if err != nil || !strings.Contains(said.String(), "There is no Go here") {
				t.Errorf("%v\n%s%s", err, out, said.String())
			}
		})
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	s, err := demo.Find("")
	if err != nil || s.Name != "errors" {
		t.Errorf("without a name: %q, %v", s.Name, err)
	}
	if _, err := demo.Find("nothing"); err == nil {
		t.Error("an unknown scenario was found")
	}
	names := map[string]bool{}
	for _, s := range demo.Scenarios() {
		if names[s.Name] || len(s.Acts) < 2 || s.About == "" {
			t.Errorf("scenario %q: named twice, or with nothing to tell", s.Name)
		}
		names[s.Name] = true
	}
	want := []string{"crash", "errors", "kill-node", "kill-server", "latency", "low-traffic", "mid-push", "never-healthy"}
	for _, n := range want {
		if !names[n] {
			t.Errorf("no scenario %s", n)
		}
	}
	if len(names) != len(want) || !slices.IsSorted(want) {
		t.Errorf("%d scenarios, want %d", len(names), len(want))
	}
}
