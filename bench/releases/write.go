package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"titrate/examples/cofe"
)

// write writes release n: a variant of the marketplace, with another build of the
// store and of one more service, with short steps. Its alarms are content with
// little traffic, so that no release waits for customers who use gift cards; that
// of latency is for slow services, not for a machine that also builds and kills.
func write(dir string, v cofe.Variant, n int) error {
	if err := cofe.Write(dir, v); err != nil {
		return err
	}
	if n > 0 {
		others := cofe.Services()[1:]
		for _, service := range []string{"store", others[n%len(others)]} {
			if err := mark(filepath.Join(dir, "services", service, "release.go"), n); err != nil {
				return err
			}
		}
	}
	path := filepath.Join(dir, "titrate.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	for old, short := range map[string]string{
		"rollout: Linear20PercentEvery5Seconds": "rollout: Linear40PercentEvery2Seconds",
		"bake: 3s":                              "bake: 2s",
		"5xx > 1% for 2s":                       "5xx > 1% for 2s min 1",
		"p99 > 500ms for 3s":                    "p99 > 3s for 3s min 1",
	} {
		if strings.Count(string(text), old) != 1 {
			return fmt.Errorf("the manifest no longer says %q once", old)
		}
		text = []byte(strings.Replace(string(text), old, short, 1))
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return nil
}

// mark makes a service's build differ from that of every other release.
func mark(path string, n int) error {
	text := fmt.Sprintf("package main\n\nvar release = \"release %d\"\n\nfunc init() {\n\tif release == \"\" {\n\t\tpanic(\"unmarked\")\n\t}\n}\n", n)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("mark a service: %w", err)
	}
	return nil
}
