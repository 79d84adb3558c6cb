package pipeline

import (
	"encoding/json"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// workspaceOf returns the folder whose lock file holds for dir, and which it is.
func workspaceOf(tree fs.FS, dir string) (root string, m manager, ok bool) {
	for up := dir; ; up = path.Dir(up) {
		for _, m := range managers {
			if !isFile(tree, path.Join(up, m.lock)) || up != dir && len(members(tree, up)) == 0 {
				continue
			}
			if text, err := readStart(tree, path.Join(up, m.lock)); err == nil && m.name == "yarn" && strings.Contains(string(text), "\n__metadata:") {
				m = berry
			}
			return up, m, true
		}
		if up == "." {
			return dir, manager{}, false
		}
	}
}

// members returns the folders of a workspace, relative to the repository's root.
func members(tree fs.FS, root string) map[string]packageJSON {
	p, err := readPackage(tree, root)
	if err != nil {
		return nil
	}
	var patterns []string
	var long struct{ Packages []string }
	if json.Unmarshal(p.Workspaces, &patterns) != nil && json.Unmarshal(p.Workspaces, &long) == nil {
		patterns = long.Packages
	}
	if text, err := readStart(tree, path.Join(root, "pnpm-workspace.yaml")); err == nil {
		var pnpm struct{ Packages []string }
		if yaml.Unmarshal(text, &pnpm) == nil { // pnpm itself says what is wrong with it
			patterns = append(patterns, pnpm.Packages...)
		}
	}
	out := map[string]packageJSON{}
	for _, pattern := range patterns {
		pattern = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(pattern, "./"), "/"), "**", "*")
		found, err := fs.Glob(tree, path.Join(root, pattern))
		if err != nil {
			continue
		}
		for _, dir := range found {
			if p, err := readPackage(tree, dir); err == nil {
				out[dir] = p
			}
		}
	}
	return out
}

// needed returns the members that dir depends on, each after those that it depends on.
func needed(all map[string]packageJSON, dir string) []string {
	names := slices.Sorted(maps.Keys(all))
	seen := map[string]bool{}
	var out []string
	var visit func(string)
	visit = func(d string) {
		seen[d] = true
		for _, other := range names {
			if !seen[other] && all[other].Name != "" && all[d].needs(all[other].Name) {
				visit(other)
			}
		}
		out = append(out, d)
	}
	visit(dir)
	return out[:len(out)-1]
}

// strangers returns the members that dir does not depend on.
func strangers(all map[string]packageJSON, dir string) []string {
	need := needed(all, dir)
	var out []string
	for other := range all {
		if !slices.Contains(need, other) && !within(dir, other) {
			out = append(out, other)
		}
	}
	slices.Sort(out)
	return out
}

// isLibrary reports whether another member of a workspace depends on a folder's package.
func isLibrary(tree fs.FS, dir string, pkg packageJSON) bool {
	for up := dir; up != "." && pkg.Name != ""; {
		up = path.Dir(up)
		all := members(tree, up)
		if _, member := all[dir]; !member {
			continue
		}
		for other, p := range all {
			if other != dir && p.needs(pkg.Name) {
				return true
			}
		}
	}
	return false
}
