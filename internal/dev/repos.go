package dev

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// repo is a repository of the app whose files are here: the one with the manifest, or
// a further one that services name.
type repo struct {
	name    string // as the manifest has it; empty: the one with the manifest
	dir     string
	watched bool

	asked  *app   // what it was built for last
	base   *app   // the same of what was committed, with --split
	commit string // that was built last then
}

// own reports whether it is the one with the manifest.
func (r *repo) own() bool { return r.name == "" }

// repo returns a repository of the app, or nil where its files are not here: the folder
// that --repo says, or else a git checkout of that name beside the app's own. What was
// taken once stays.
func (d *dev) repo(name string) *repo {
	if r := d.repos[name]; r != nil {
		return r
	}
	dir, said := d.Repos[name]
	switch {
	case name == "":
		dir = d.Root
	case !said:
		dir = d.beside(name)
		if _, err := os.Stat(filepath.Join(dir, ".git")); err != nil || dir == filepath.Clean(d.Root) { // .git is a file in a worktree
			return nil
		}
	}
	r := &repo{name: name, dir: dir}
	d.repos[name] = r
	return r
}

// beside is where a repository is looked for.
func (d *dev) beside(name string) string {
	return filepath.Join(filepath.Dir(filepath.Clean(d.Root)), name)
}

// here are the repositories that are built, the app's own first.
func (d *dev) here() []*repo {
	out := []*repo{d.repo("")}
	for _, name := range d.saved.further {
		if r := d.repo(name); r != nil {
			out = append(out, r)
		}
	}
	return out
}

// further says once of each further repository where its files are taken from, or what
// to type.
func (d *dev) further() {
	for _, name := range d.saved.further {
		r := d.repo(name)
		was, told := d.told[name]
		if told && was == (r != nil) {
			continue
		}
		d.told[name] = r != nil
		if r != nil {
			d.say.line("  %s from %s (repo: %s)", strings.Join(d.saved.of[name], ", "), r.dir, name)
			continue
		}
		d.say.line("▲ not run: %s, of the repository %s, whose files are not here\n  help    titrate dev --repo %s=PATH, or a git checkout at %s",
			strings.Join(d.saved.of[name], ", "), name, name, d.beside(name))
	}
}

// named says what is wrong with the names that --repo has.
func (d *dev) named() error {
	for _, name := range slices.Sorted(maps.Keys(d.Repos)) {
		if _, ok := d.saved.of[name]; !ok {
			help := "say repo: " + name + " of a service there first"
			if len(d.saved.further) > 0 {
				help = "--repo " + d.saved.further[0] + "=PATH"
			}
			return fmt.Errorf("--repo %s: no service that is to run is built from a repository of that name\n  where   %s\n  help    %s", name, d.Root, help)
		}
	}
	return nil
}

// from notes that a service is to run which is built from a further repository.
func (a *app) from(name, service string) {
	if name == "" {
		return
	}
	if _, ok := a.of[name]; !ok {
		a.further = append(a.further, name)
		slices.Sort(a.further)
	}
	a.of[name] = append(a.of[name], service)
}
