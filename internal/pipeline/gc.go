package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// GC removes what the builder need not keep: artifacts as [Artifacts.GC] says,
// what is remembered of those that are gone, images in the container engine that
// stood for them, and caches that have outgrown what
// one build may write. It is to be called now and then.
func (b *Builder) GC(ctx context.Context, keep map[string]bool, age time.Duration, now time.Time) error {
	_, err := b.artifacts.GC(keep, age, now)
	return errors.Join(err, b.forgetInputs(), b.dropCaches(), b.dropOldDeps(now), b.dropLayers(now.Add(-age)), b.dropImages(ctx))
}

// forgetInputs removes the records of builds whose artifact is gone.
func (b *Builder) forgetInputs() error {
	dir := b.path("builds", "inputs")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("forget old builds: %w", err)
	}
	for _, e := range entries {
		if !digestName.MatchString(e.Name()) {
			continue
		}
		var m made
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err == nil && json.Unmarshal(text, &m) == nil && exists(b.artifacts.Path(m.Digest)+".json") {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("forget old builds: %w", err)
		}
	}
	return nil
}

// dropLayers removes layers of images whose pull broke off and was not taken up again.
func (b *Builder) dropLayers(before time.Time) error {
	dir := b.path("builds", "layers")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("drop old layers: %w", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().Before(before) {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	return nil
}

// dropCaches removes whole caches, of an app's tools or of modules: tools trust
// what they have unpacked, so that a part would be worse than nothing. While a
// build is under way nothing is removed.
func (b *Builder) dropCaches() error {
	dirs := []string{b.path("builds", "modcache")}
	homes, err := fs.Glob(os.DirFS(b.path("builds", "homes")), "*")
	if err != nil {
		return fmt.Errorf("drop large caches: %w", err)
	}
	for _, app := range homes {
		dirs = append(dirs, b.path("builds", "homes", app))
	}
	more, err := b.downloads()
	if err != nil {
		return fmt.Errorf("drop large caches: %w", err)
	}
	for _, dir := range append(dirs, more...) {
		if sizeOf(dir) > b.cfg.Limits.Disk {
			if err := b.drop(dir); err != nil {
				return fmt.Errorf("drop a large cache: %w", err)
			}
		}
	}
	return nil
}

// drop empties a cache's folder at once: what a crash leaves of the rest goes at
// the next start.
func (b *Builder) drop(dir string) error {
	if !b.building.TryLock() {
		return nil
	}
	old, err := os.MkdirTemp(b.path("builds", "work"), "cache-*")
	if err == nil {
		err = os.Rename(dir, filepath.Join(old, "cache"))
	}
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	b.building.Unlock()
	return errors.Join(err, removeAll(old))
}
