package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What a lock file has led to is kept, by app, under the digest of that file, the
// tools and the fetch line: a build gets a copy, so that none can change what the
// next one finds, and needs no network. Where the disk can, a copy shares its blocks.
// Apps share nothing: what a lock file leads to may depend on a registry and a login
// of one app's own, and not every lock file has digests of all that it names.

const (
	keptDeps = 8                   // lock files of a folder whose dependencies are kept
	depsAge  = 30 * 24 * time.Hour // without being used
)

// dependencies puts what the lock file names into place, from what is kept or by
// the fetch step.
func (st *stage) dependencies(ctx context.Context) error {
	if st.p.fetch == "" {
		return nil
	}
	key, err := st.depsKey()
	if err != nil {
		return fmt.Errorf("hash the lock file of %s: %w", st.w.Name, err)
	}
	all := st.path("builds", "deps", st.job.App)
	at := filepath.Join(all, st.depsName()+key)
	turn := st.turn("deps " + at)
	if err := turn.take(ctx); err != nil {
		return err
	}
	defer turn.give()
	if exists(at) {
		now := time.Now()
		if err := os.Chtimes(at, now, now); err != nil {
			return fmt.Errorf("use kept dependencies: %w", err)
		}
		return st.restore(at)
	}
	if st.p.seed {
		if err := st.seed(all); err != nil {
			return err
		}
	}
	line := st.p.fetch
	if !st.cfg.Network {
		line = cmp.Or(st.p.alone, line)
	}
	if err := st.step(ctx, StepFetch, line, st.cfg.Network); err != nil {
		return err
	}
	if err := st.store(all, at); err != nil {
		return fmt.Errorf("keep dependencies: %w", err)
	}
	return nil
}

// depsName begins the names of what is kept of a folder.
func (st *stage) depsName() string {
	rec := newRecipe("folder")
	if st.w.Function != nil && st.p.language == "node" {
		rec.add(st.p.root) // one for all functions of a workspace
	} else {
		rec.add(st.w.Build.Dir)
	}
	return st.p.language + "-" + rec.digest()[:8] + "-"
}

// depsKey is the digest of all that the fetch step depends on.
func (st *stage) depsKey() (string, error) {
	rec := newRecipe("deps " + st.p.language)
	rec.add(st.p.fetch)
	if st.w.Function == nil || st.p.language != "node" {
		rec.add(st.p.dir)
	}
	rec.add(st.p.env...)
	for _, t := range st.p.tools {
		rec.add(t.path, t.version)
	}
	for _, name := range st.p.locks {
		if err := rec.file(st.src, name); err != nil {
			return "", err
		}
	}
	return rec.digest(), nil
}

// restore copies kept dependencies to where the steps look for them.
func (st *stage) restore(from string) error {
	if err := copyTree(filepath.Join(from, "deps"), st.deps); err != nil {
		return fmt.Errorf("use kept dependencies: %w", err)
	}
	for i, name := range st.p.kept {
		kept := filepath.Join(from, strconv.Itoa(i))
		if !exists(kept) {
			continue
		}
		to := filepath.Join(st.src, filepath.FromSlash(name))
		err := removeAll(to)
		if err == nil {
			err = os.MkdirAll(to, 0o755)
		}
		if err == nil {
			err = copyTree(kept, to)
		}
		if err != nil {
			return fmt.Errorf("use kept dependencies: %w", err)
		}
	}
	return nil
}

// seed begins with the newest of what older lock files led to.
func (st *stage) seed(all string) error {
	newest, err := st.keptOf(all)
	if err != nil || len(newest) == 0 {
		return err
	}
	return copyTree(filepath.Join(all, newest[len(newest)-1], "deps"), st.deps)
}

// keptOf returns what is kept of the stage's folder, oldest first.
func (st *stage) keptOf(all string) ([]string, error) {
	entries, err := os.ReadDir(all)
	if os.IsNotExist(err) {
		return nil, nil
	}
	var out []string
	for _, e := range byAge(entries) {
		if strings.HasPrefix(e.Name(), st.depsName()) {
			out = append(out, e.Name())
		}
	}
	return out, err
}

// store keeps what the fetch step has left, and lets the oldest go.
func (st *stage) store(all, at string) error {
	if err := os.MkdirAll(all, 0o700); err != nil {
		return err
	}
	tmp, err := st.folder("kept")
	if err != nil {
		return err
	}
	from := append([]string{st.deps}, nil...)
	names := []string{"deps"}
	for i, name := range st.p.kept {
		if path := filepath.Join(st.src, filepath.FromSlash(name)); exists(path) {
			from, names = append(from, path), append(names, strconv.Itoa(i))
		}
	}
	for i := range from {
		to := filepath.Join(tmp, names[i])
		if err := os.Mkdir(to, 0o755); err != nil {
			return err
		}
		if err := copyTree(from[i], to); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, at); err != nil {
		return err
	}
	kept, err := st.keptOf(all)
	if err != nil {
		return err
	}
	for _, old := range kept[:max(0, len(kept)-keptDeps)] {
		if err := removeAll(filepath.Join(all, old)); err != nil {
			return err
		}
	}
	return nil
}

// turn is a place in a line: one at a time.
type turn chan struct{}

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// turn returns the line of a name.
func (b *Builder) turn(name string) turn {
	place, _ := b.turns.LoadOrStore(name, make(turn, 1))
	t, ok := place.(turn)
	if !ok {
		panic("turns hold turns only")
	}
	return t
}

// dropOldDeps removes what was kept of lock files that no build has used for long, and
// then the least used of an app whose whole is larger than what one build may write.
func (b *Builder) dropOldDeps(now time.Time) error {
	if !b.building.TryLock() {
		return nil
	}
	defer b.building.Unlock()
	apps, err := fs.Glob(os.DirFS(b.path("builds", "deps")), "*")
	if err != nil {
		return fmt.Errorf("drop old dependencies: %w", err)
	}
	for _, app := range apps {
		dir := b.path("builds", "deps", app)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("drop old dependencies: %w", err)
		}
		whole := sizeOf(dir)
		for _, e := range byAge(entries) {
			info, err := e.Info()
			if err != nil || now.Sub(info.ModTime()) < depsAge && whole <= b.cfg.Limits.Disk {
				continue
			}
			whole -= sizeOf(filepath.Join(dir, e.Name()))
			if err := removeAll(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("drop old dependencies: %w", err)
			}
		}
	}
	return nil
}

// downloads are the folders of what tools have downloaded, by app.
func (b *Builder) downloads() ([]string, error) {
	apps, err := fs.Glob(os.DirFS(b.path("builds", "downloads")), "*")
	for i, app := range apps {
		apps[i] = b.path("builds", "downloads", app)
	}
	return apps, err
}
