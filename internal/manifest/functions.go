package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// workload is a service or a function as the file has it.
type workload struct {
	pair            // its key, with the workload's name
	path     string // of a function: its folder, or the name that it was given; empty: a service
	says     []said // what is said of it, the most specific last
	function bool
}

// said is a table that speaks of a workload, and the folder that routes by-path are
// named below there.
type said struct {
	layer
	root string
	at   string // the path of its key
}

func layersOf(all []said) []layer {
	var out []layer
	for _, s := range all {
		out = append(out, s.layer)
	}
	return out
}

// workloads are the services and then the functions, in the file's order; folders are
// those of the repository, nil when they are not known.
func (f *file) workloads(folders []string) []workload {
	var out []workload
	for _, s := range f.services {
		out = append(out, workload{pair: s.pair, says: []said{{layer: s.says}}})
	}
	first := map[string]pair{} // by path of a function
	var paths []string
	for _, s := range f.functions {
		for _, path := range f.foldersOf(s, folders) {
			if _, ok := first[path]; !ok {
				first[path] = s.pair
				paths = append(paths, path)
			}
		}
	}
	if len(paths) > maxFunctions {
		at := first[paths[maxFunctions]]
		f.r.fault(at.key, Problem{Code: codeRange, Path: at.path, Message: fmt.Sprintf("there are %d functions; at most %d", len(paths), maxFunctions)})
		return out
	}
	for _, path := range paths {
		w := workload{pair: first[path], path: path, function: true}
		w.name = functionName(path)
		w.says = f.scoped(f.functions, w)
		f.folder(w, folders)
		out = append(out, w)
	}
	f.distinctNames(out)
	return out
}

// foldersOf returns the paths of the functions that a key makes: sorted for what a *
// matches, else as they are written.
func (f *file) foldersOf(s scope, folders []string) []string {
	var out []string
	asked := len(s.patterns) == 0 // a fault was told
	for _, p := range s.patterns {
		switch {
		case !p.wild:
			out = append(out, p.text)
			continue
		case folders == nil && !asked:
			asked = true
			f.r.fault(s.key, Problem{
				Code: codeNoFolder, Path: s.path, Message: "which functions " + quote(p.text) + " means is not known without the files of the repository",
				Hint: "check it where they are, or name each folder",
			})
			continue
		}
		found := slices.DeleteFunc(slices.Clone(folders), func(folder string) bool { return !isFolder(folder) || !p.matches(folder) })
		slices.Sort(found)
		if len(found) == 0 && !asked {
			if asked = true; f.r.full() {
				continue
			}
			f.r.fault(s.key, Problem{Code: codeNoFolder, Path: s.path, Message: "no folder with code matches " + quote(p.text), Hint: nearFolders(p, folders)})
		}
		out = append(out, slices.Compact(found)...)
	}
	f.partly = f.partly || asked
	return out
}

// nearFolders says which folders there are near a pattern that matches none.
func nearFolders(p pattern, folders []string) string {
	root := p.root()
	for {
		var below []string
		for _, folder := range folders {
			if root == "" || folder == root || strings.HasPrefix(folder, root+"/") {
				below = append(below, folder)
			}
		}
		slices.Sort(below)
		below = slices.Compact(below)
		if len(below) > 0 {
			return "there are " + several(below, 3)
		}
		if root == "" {
			return "no folder has code: a file of Go, JavaScript, TypeScript or Python, or bootstrap"
		}
		if near := nearest(root, parents(folders)); near != "" {
			return `did you mean "` + near + `"?`
		}
		root = strings.TrimSuffix(root[:strings.LastIndexByte("/"+root, '/')], "/")
	}
}

// parents are all folders above the given ones, and these.
func parents(folders []string) []string {
	var out []string
	for _, folder := range folders {
		for i := range len(folder) {
			if folder[i] == '/' {
				out = append(out, folder[:i])
			}
		}
		out = append(out, folder)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// several names the first few of a list, and says how many more there are.
func several(all []string, most int) string {
	var names []string
	for _, name := range all {
		names = append(names, short(name))
	}
	switch more := len(names) - most; {
	case len(names) == 1:
		return names[0]
	case more > 0:
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// folder reports a function whose folder has no code, where that is known and
// nothing says how it is built.
func (f *file) folder(w workload, folders []string) {
	if folders == nil || slices.Contains(folders, w.path) {
		return
	}
	if slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(folder, w.path+"/") }) {
		return // its code may be further down
	}
	if _, silent := lastSaid("build", append([]layer{f.defaults}, layersOf(w.says)...)...); !silent || f.r.full() {
		return
	}
	hint := didYouMean(w.path, folders)
	f.r.fault(w.key, Problem{
		Code: codeNoFolder, Path: w.pair.path, Message: "there is no code in a folder " + quote(w.path),
		Hint: cmp.Or(hint, "add build, or name the folder of the function"),
	})
}

// scoped is what the keys that match a function say: patterns by their length, and its
// own key last.
func scoped(scopes []scope, path string) []said {
	type found struct {
		said
		pattern
		exact bool
	}
	var all []found
	parts := strings.Split(path, "/")
	for _, s := range scopes {
		if p, ok := s.matching(path, parts); ok {
			all = append(all, found{said{s.says, p.root(), s.path}, p, s.name == path})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int {
		switch {
		case a.exact != b.exact && a.exact:
			return 1
		case a.exact != b.exact:
			return -1
		case a.wild != b.wild && a.wild:
			return -1
		case a.wild != b.wild:
			return 1
		}
		return cmp.Compare(len(a.text), len(b.text))
	})
	var out []said
	for _, a := range all {
		out = append(out, a.said)
	}
	return out
}

// scoped is [scoped] of a function, of which not too many keys may speak.
func (f *file) scoped(scopes []scope, w workload) []said {
	all := scoped(scopes, w.path)
	if len(all) <= maxScopes {
		return all
	}
	f.r.fault(w.key, Problem{Code: codeRange, Path: w.pair.path, Message: fmt.Sprintf("%d keys of functions match %s; at most %d", len(all), short(w.path), maxScopes)})
	return all[len(all)-maxScopes:]
}

// functionName makes a workload's name of a folder.
func functionName(path string) string {
	return strings.Trim(notInName.ReplaceAllString(strings.ToLower(path), "-"), "-")
}

// distinctNames reports functions that cannot have the name which their folder makes.
func (f *file) distinctNames(all []workload) {
	taken := map[string]workload{}
	for _, w := range all {
		other, twice := taken[w.name]
		if !twice {
			taken[w.name] = w
		}
		if !w.function {
			continue
		}
		p := Problem{Code: codeFunctionName, Path: w.pair.path}
		switch {
		case twice && other.function:
			p.Message = fmt.Sprintf("%s and %s (line %d) are both named %s", short(w.path), short(other.path), other.key.Line, short(w.name))
			p.Hint = "give one of them another folder, or a name with build"
		case twice:
			p.Message = fmt.Sprintf("%s is named %s, as a service is (line %d)", short(w.path), short(w.name), other.key.Line)
			p.Hint = "give one of them another name"
		case len(w.name) > maxFunctionName:
			p.Message = fmt.Sprintf("%s makes a name of %d characters; at most %d", short(w.path), len(w.name), maxFunctionName)
			p.Hint = "move it to a shorter folder, or give it a name with build"
		case !namePattern.MatchString(w.name):
			p.Message = quote(w.path) + " makes no name"
			p.Hint = "a name begins with a letter: give it one with build"
		default:
			continue
		}
		f.r.fault(w.key, p)
	}
}

// overrides returns what an environment says of single workloads, by their names.
func (f *file) overrides(e section) map[string][]said {
	own := map[string][]said{}
	var services, paths []string
	for _, w := range f.all {
		if w.function {
			paths = append(paths, w.path)
		} else {
			services = append(services, w.name)
		}
	}
	for _, o := range pick([]section(nil), "services", e.says) {
		if !slices.Contains(services, o.name) {
			if _, ok := checkName(o.name); ok { // or else that is told already
				f.r.fault(o.key, Problem{Code: codeNoService, Path: o.path, Message: "there is no service " + quote(o.name), Hint: didYouMean(o.name, services)})
			}
			continue
		}
		own[o.name] = []said{{layer: o.says}}
	}
	scopes := pick([]scope(nil), "functions", e.says)
	for _, s := range scopes {
		for _, p := range s.patterns {
			if !f.partly && !slices.ContainsFunc(paths, p.matches) && !f.r.full() { // what is near takes time to find
				f.r.fault(s.key, Problem{Code: codeNoService, Path: s.path, Message: "there is no function " + quote(p.text), Hint: didYouMean(p.text, paths)})
			}
		}
	}
	for _, w := range f.all {
		if w.function {
			own[w.name] = f.scoped(scopes, w)
		}
	}
	return own
}
