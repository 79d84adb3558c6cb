package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// smallCaches is a builder whose app shop and whose modules have outgrown their
// caches; those of the app fair have not.
func smallCaches(t *testing.T) (b *Builder, large []string, small string) {
	t.Helper()
	b = builder(t, func(c *Config) { c.Limits.Disk = 1 << 20 })
	shop, modules, fair := b.path("builds", "homes", "shop"), b.path("builds", "modcache"), b.path("builds", "homes", "fair")
	write(t, shop, "npm/x", strings.Repeat("x", 2<<20))
	write(t, modules, "m@v1/x", strings.Repeat("x", 2<<20))
	write(t, fair, "npm/x", "x")
	if err := os.Chmod(filepath.Join(modules, "m@v1"), 0o555); err != nil { // as the go command leaves it
		t.Fatal(err)
	}
	return b, []string{shop, modules}, fair
}

func TestLimits_ofDiskDoNotCountWhatEarlierBuildsCached(t *testing.T) {
	t.Parallel()
	b, _, _ := smallCaches(t)
	mustBuild(t, b, files(t, "x", "y"), shell("cat $XDG_CACHE_HOME/npm/x > /dev/null && echo > out"))
}

func TestGC_dropsCachesThatAreTooLargeUnlessTheyAreInUse(t *testing.T) {
	t.Parallel()
	b, large, small := smallCaches(t)
	gc := func() {
		t.Helper()
		if err := b.GC(t.Context(), nil, time.Hour, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	b.building.RLock()
	gc()
	for _, dir := range large {
		if sizeOf(dir) < 2<<20 {
			t.Errorf("%s went while a build was under way", dir)
		}
	}
	b.building.RUnlock()
	gc()
	for _, dir := range large {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s holds %v, %v", dir, left, err)
		}
	}
	if !exists(filepath.Join(small, "npm/x")) {
		t.Error("the small cache went too")
	}
	if left, err := os.ReadDir(b.path("builds", "work")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestGC_forgetsTheBuildsOfArtifactsThatAreGone(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	kept := mustBuild(t, b, files(t, "x", "kept"), shell("cp x out"))[0].Artifact
	mustBuild(t, b, files(t, "x", "gone"), shell("cp x out"))
	if err := b.GC(t.Context(), map[string]bool{kept.Digest: true}, time.Hour, time.Now().Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(b.path("builds", "inputs")); err != nil || len(left) != 1 || left[0].Name() != kept.Inputs {
		t.Errorf("remembered: %v, %v", left, err)
	}
}

func TestGC_dropsDependenciesThatNoBuildUses(t *testing.T) {
	t.Parallel()
	b := builder(t, func(c *Config) { c.Limits.Disk = 1 << 20 })
	now := time.Now()
	for name, age := range map[string]time.Duration{"node-x-old": depsAge + time.Hour, "node-x-large": 2 * time.Hour, "node-x-new": time.Hour} {
		dir := b.path("builds", "deps", "shop", name)
		write(t, dir, "deps/file", strings.Repeat("x", 700<<10))
		if err := os.Chtimes(dir, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.GC(t.Context(), nil, time.Hour, now); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(b.path("builds", "deps", "shop"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "node-x-new" {
		t.Errorf("%v, %v", entries, err)
	}
}
