package pipeline

import (
	"cmp"
	"encoding/json"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// codenames are Node.js releases that an .nvmrc may name by a word.
var codenames = map[string]string{"lts/gallium": "16", "lts/hydrogen": "18", "lts/iron": "20", "lts/jod": "22", "lts/krypton": "24"}

// nodeDoubts says who asks for another Node.js than the one that builds and runs: the
// package, the files of version managers, and what the package depends on directly. As
// npm does, it only tells.
func nodeDoubts(tree fs.FS, root, dir string, pkg packageJSON, node tool) []string {
	type wish struct{ who, asked string }
	wishes := []wish{{"engines.node of package.json", pkg.Engines["node"]}}
	for _, folder := range slices.Compact([]string{dir, root}) {
		for _, name := range []string{".nvmrc", ".node-version"} {
			text, err := readStart(tree, path.Join(folder, name))
			if err != nil {
				continue
			}
			said, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
			said = strings.ToLower(strings.TrimSpace(said))
			said = strings.TrimPrefix(cmp.Or(codenames[said], said), "v")
			if major, _, _ := strings.Cut(said, "."); plainVersion.MatchString(said) {
				wishes = append(wishes, wish{path.Join(folder, name), major + ".x"}) // a newer patch will do
			}
		}
	}
	for _, d := range lockedEngines(tree, root, dir, pkg) {
		wishes = append(wishes, wish{d[0], d[1]})
	}
	var out []string
	for _, w := range wishes {
		if w.asked == "" {
			continue
		}
		if ok, err := fits(node, w.asked); err == nil && !ok {
			out = append(out, w.who+" asks for node "+w.asked+", and it is built and run with node "+node.version+" at "+node.path+": put another first on the PATH of titrate up")
		}
	}
	return out
}

// lockedEngines returns what the direct dependencies of a package say about Node.js, by
// a package-lock.json.
func lockedEngines(tree fs.FS, root, dir string, pkg packageJSON) (out [][2]string) {
	text, err := fs.ReadFile(tree, path.Join(root, npm.lock))
	if err != nil {
		return nil
	}
	var lock struct {
		Packages map[string]struct {
			Version string
			Engines json.RawMessage // old packages have a list here
		}
	}
	if json.Unmarshal(text, &lock) != nil {
		return nil
	}
	for name := range pkg.all() {
		for _, at := range []string{path.Join(relative(root, dir), "node_modules", name), path.Join("node_modules", name)} {
			found, ok := lock.Packages[at]
			var engines map[string]string
			if ok && json.Unmarshal(found.Engines, &engines) == nil && engines["node"] != "" {
				out = append(out, [2]string{name + " " + found.Version, engines["node"]})
			}
			if ok {
				break
			}
		}
	}
	slices.SortFunc(out, func(a, b [2]string) int { return cmp.Compare(a[0], b[0]) })
	return out
}
