package manifest

import (
	"cmp"
	"slices"
	"strings"

	"titrate/internal/rollout"

	"go.yaml.in/yaml/v4"
)

// Format is the version of the manifest's format that [Parse] reads.
const Format = 1

// File is the manifest's name, in the root of the repository.
const File = "titrate.yaml"

// Parse reads and checks a manifest. It returns everything that is wrong with
// it, in the order of the file; the App is nil if anything refuses it. A broken
// YAML syntax alone hides what else may be wrong. It never panics, whatever src
// holds; file is used in messages only. folders are those of the repository that hold
// code, as [Folders] makes them: a manifest with patterns in functions is refused
// without (nil).
func Parse(src []byte, file string, folders ...string) (*App, Problems) {
	r := newReader(src, file)
	app := r.app(src, folders)
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	r.problems = slices.CompactFunc(r.problems, func(a, b Problem) bool { return a == b })
	if len(r.problems.Errors()) > 0 {
		return nil, r.problems
	}
	return app, r.problems
}

// app reads the whole file. What it returns means nothing if it reported errors.
func (r *reader) app(src []byte, folders []string) *App {
	root := r.document(src)
	if root == nil {
		return nil
	}
	if root.Kind != yaml.MappingNode {
		r.wrongType(root, "", "keys with values: titrate: 1")
		return nil
	}
	for _, must := range []struct{ key, code, hint string }{
		{"titrate", codeFormat, "begin with titrate: 1"}, {"app", codeMissing, "add app: NAME"},
	} {
		if !hasKey(root, must.key) {
			r.put(Problem{
				Code: must.code, Path: must.key, Line: root.Line, Column: root.Column, Length: 1,
				Message: "the file has no " + must.key, Hint: must.hint, Help: "titrate explain " + must.key,
			})
		}
	}
	r.services, r.functions = hasKey(root, "services"), hasKey(root, "functions")
	top := r.table(root, "", atTop)
	if len(r.problems.Errors()) > 0 && (len(top) == 0 || !readable(top, "app", root)) {
		return nil
	}
	f := file{
		r: r, name: pick("", "app", top), defaults: pick(layer(nil), "defaults", top),
		services: pick([]section(nil), "services", top), environments: pick([]section(nil), "environments", top),
		functions: pick([]scope(nil), "functions", top), queues: pick([]declared(nil), "queues", top),
		unread: slices.Clone(r.problems),
	}
	if r.gaps || !readable(top, "services", root) || !readable(top, "functions", root) || !readable(top, "environments", root) {
		return nil // what follows from what could not be read would only confuse
	}
	f.fill(root)
	f.all = f.workloads(folders)
	app := f.resolve()
	app.Queues = f.saidQueues()
	app.Registries = pick(map[string]Registry(nil), "registries", top)
	accessories := pick([]section(nil), "accessories", top)
	app.Accessories = f.accessories(accessories)
	for i := range app.Environments {
		app.Environments[i].Accessories = app.Accessories
		app.Environments[i].Waves = pick(0, "waves", top)
	}
	if together, ok := top["together"]; ok {
		f.group(app, together.value.(groups))
	}
	if len(r.problems.Errors()) == 0 {
		f.review(app)
		f.unused(app, accessories)
	}
	return app
}

// readable reports whether a key is absent or was read.
func readable(l layer, key string, n *yaml.Node) bool {
	_, ok := l[key]
	return ok || !hasKey(n, key)
}

func hasKey(n *yaml.Node, key string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

// pick returns what the most specific layer says of a key; layers stand in
// order, the most specific last.
func pick[T any](fallback T, key string, layers ...layer) T {
	for _, l := range slices.Backward(layers) {
		if e, ok := l[key]; ok {
			return e.value.(T)
		}
	}
	return fallback
}

// file is a manifest whose keys have been read, to be resolved.
type file struct {
	r            *reader
	name         string
	defaults     layer
	services     []section
	functions    []scope
	queues       []declared // nil: the file has no such section
	environments []section
	all          []workload          // services, then functions
	own          []map[string][]said // of each environment, by workload
	partly       bool                // some functions are not among them: a fault says which
	addressed    []addressed         // of the environment that is being resolved
	takers       []taker             // the same
	unread       Problems            // what could not be read
}

// troubled reports whether a value of one of these keys could not be read
// somewhere: what follows from it would only confuse.
func (f *file) troubled(keys ...string) bool {
	parts := func(path string) []string {
		return strings.FieldsFunc(path, func(c rune) bool { return c == '.' || c == '[' })
	}
	return slices.ContainsFunc(f.unread, func(p Problem) bool {
		return slices.ContainsFunc(keys, func(key string) bool { return slices.Contains(parts(p.Path), key) })
	})
}

// fill adds what a short file leaves out: one service named as the app, where there
// are no functions either, and production.
func (f *file) fill(root *yaml.Node) {
	implied := func(name, path string) section {
		return section{pair: pair{key: root, name: name, value: root, path: path}}
	}
	if len(f.services)+len(f.functions) == 0 {
		f.services = []section{implied(f.name, "services."+f.name)}
	}
	if len(f.environments) == 0 {
		f.environments = []section{implied("production", "environments.production")}
	}
}

// resolve makes the app: each service and function in each environment.
func (f *file) resolve() *App {
	app := &App{Name: f.name}
	for _, e := range f.environments {
		env := Environment{
			App: f.name, Name: e.name, Line: e.key.Line,
			Deploy:  pick(Deploy{}, "deploy", e.says),
			Overlap: rollout.Overlap(pick(string(rollout.OverlapNext), "overlap", f.defaults, e.says)),
		}
		own := f.overrides(e)
		f.own = append(f.own, own)
		for _, w := range f.all {
			env.Services = append(env.Services, f.candidate(e, w, own[w.name]).resolve())
		}
		f.settleQueues(&env)
		f.checkAddresses(env)
		f.reach(&env, e, own)
		app.Environments = append(app.Environments, env)
	}
	if !f.troubled("host", "route", "worker") {
		f.distinct(app)
	}
	if !f.troubled("host", "http") {
		f.distinctRoutes(app)
	}
	return app
}
