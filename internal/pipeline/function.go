package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
)

// FunctionBuild is what the manifest says of how a function is called. All may be
// empty: the files say it then.
type FunctionBuild struct {
	Runtime string   // "nodejs22", "python3.12", "provided.al2023", "go"
	Handler string   // as its runtime names it, from the root of the function's package: "src/orders.create"
	Layers  []string // folders and zips of the repository; the files of later ones go before those of earlier ones
}

// family is what runs a function, whatever its version. Its value is the name of the
// runtime that leaves the version open.
type family string

const (
	providedFamily family = "provided" // a program named bootstrap that asks for work by itself
	nodeFamily     family = "nodejs"
	pythonFamily   family = "python"
)

// familyOf reads the name of a runtime; see "Lambda runtimes" of AWS. The version is empty
// where the name leaves it open. No name is no family.
func familyOf(runtime string) (f family, version string, ok bool) {
	switch runtime {
	case "":
		return "", "", true
	case "go", "go1.x", "provided", "provided.al2", "provided.al2023":
		return providedFamily, "", true
	}
	if v, yes := strings.CutPrefix(runtime, "python"); yes {
		return pythonFamily, v, true
	}
	if v, yes := strings.CutPrefix(runtime, "node"); yes {
		return nodeFamily, strings.TrimSuffix(strings.TrimPrefix(v, "js"), ".x"), true
	}
	return "", "", false
}

// making is how the files of a function come about.
type making string

const (
	byGo      making = "go"      // go build makes a bootstrap
	byNode    making = "node"    // the package with its dependencies
	byPython  making = "python"  // the folder with its dependencies
	byCommand making = "command" // what the manifest's command leaves
	byNothing making = "ready"   // what the repository holds
)

// unit is one artifact of functions. Several share it when it would be the same for each:
// they differ in what is called.
type unit struct {
	by     making
	w      Workload   // the first of them; its Build.Dir is the folder that is built
	module string     // of Go: the module's root
	base   string     // the folder of the repository that is the artifact's root
	all    []Workload // as the job has them, in its order
}

// functionGroup goes before the module's root where Go functions are grouped: they are
// compiled apart from services, which have other flags.
const functionGroup = "functions of "

// sortFunctions sorts the functions of the job into artifacts. What cannot be built is done.
func (r *run) sortFunctions(ctx context.Context) []*unit {
	var out []*unit
	known := map[string]*unit{}
	r.units, r.layers = map[string]*unit{}, map[layerKey]*layerBuild{}
	tree := os.DirFS(r.job.Source)
	for _, w := range r.job.Workloads {
		if w.Function == nil {
			continue
		}
		u, err := r.unit(tree, w)
		if err != nil {
			r.done(ctx, w.Name, Result{Err: err})
			continue
		}
		key := u.key()
		if known[key] == nil {
			known[key] = u
			out = append(out, u)
		}
		known[key].all = append(known[key].all, w)
		r.units[w.Name] = known[key]
		r.knowLayers(w)
	}
	return out
}

// key is equal for functions that share an artifact.
func (u *unit) key() string {
	build := u.w.Build
	text, err := json.Marshal(build)
	if err != nil {
		return u.w.Name // a build of strings is always written; alone it is right, too
	}
	interpreter := ""
	if u.by == byNode || u.by == byPython { // what is installed may depend on it
		interpreter = u.w.Function.Runtime
	}
	return strings.Join([]string{string(u.by), interpreter, string(text)}, "\n")
}

// function makes the artifact of a unit that is not of Go.
func (r *run) function(ctx context.Context, u *unit) {
	switch u.by {
	case byCommand:
		r.command(ctx, u.w)
	case byNode:
		r.language(ctx, u.w, (*run).planNode)
	case byPython:
		r.language(ctx, u.w, (*run).planPython)
	default:
		r.taken(ctx, u.w)
	}
}

// functionDone gives each function of a unit its result: the same files, and what is called
// in them, if it can be.
func (r *run) functionDone(ctx context.Context, first Workload, res Result) {
	u := r.units[first.Name]
	if u == nil {
		r.settled(first.Name, res)
		return
	}
	r.shareLogs(u)
	if res.Err != nil {
		r.settled(first.Name, res)
		for _, w := range u.all[1:] {
			r.settled(w.Name, Result{Err: shared(res.Err, first, w)})
		}
		return
	}
	turns := make(chan struct{}, max(1, r.cfg.Parallel))
	var under sync.WaitGroup
	for _, w := range u.all {
		under.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			own := res
			if own.Artifact, own.Err = r.callable(ctx, u, w, res.Artifact); own.Err != nil {
				own = Result{Err: own.Err}
			}
			r.keep(w.Name, own)
		})
	}
	under.Wait()
	r.mu.Lock()
	var good []string
	for _, w := range u.all {
		if r.results[w.Name].Err == nil {
			good = append(good, w.Name)
		}
	}
	r.mu.Unlock()
	if len(good) > 0 {
		r.tell(good[0], len(good)-1)
	}
}

// shared is the error of a function whose artifact was to be another's, too.
func shared(err error, first, w Workload) error {
	var e *BuildError
	if !errors.As(err, &e) {
		return err
	}
	own := fault(w, e.Code, e.Step, "it shares its build with "+first.Name+", which failed", "")
	own.Log = e.Log
	return own
}

// shareLogs gives the logs of a unit a name for each of its functions.
func (r *run) shareLogs(u *unit) {
	dir := r.path("logs", "builds", r.job.App, r.job.Label)
	logs, err := filepath.Glob(filepath.Join(dir, u.w.Name+".*.log"))
	if err != nil {
		return
	}
	for _, log := range logs {
		_, step, _ := strings.Cut(filepath.Base(log), ".")
		for _, w := range u.all[1:] {
			own := filepath.Join(dir, w.Name+"."+step)
			os.Remove(own)
			if err := os.Link(log, own); err != nil {
				fmt.Fprintf(r.job.Progress, "note    %s: its log is that of %s: %v\n", w.Name, u.w.Name, err)
			}
		}
	}
}

// callable returns the artifact as a function has it, or says why nothing in it can be
// called.
func (r *run) callable(ctx context.Context, u *unit, w Workload, art Artifact) (Artifact, error) {
	art.Command = nil
	tree := os.DirFS(r.artifacts.Path(art.Digest))
	f, _, _ := familyOf(w.Function.Runtime)
	switch {
	case u.by == byGo:
		f = providedFamily
	case u.by == byNode:
		f = nodeFamily
	case u.by == byPython:
		f = pythonFamily
	case f == "":
		if f = familyIn(tree); f == "" {
			return art, fault(w, CodeHandler, StepKeep, "what was left is no function: no bootstrap, and no file of Node.js or Python", functionHelp)
		}
	}
	art, err := r.layered(ctx, w, f, art)
	if err != nil {
		return art, err
	}
	at := r.artifacts.Path(art.Digest)
	art.Command, art.Runtime = nil, cmp.Or(w.Function.Runtime, string(f))
	if f == providedFamily {
		art.Command, art.Handler = []string{"./bootstrap"}, cmp.Or(w.Function.Handler, "bootstrap")
		if err := bootstrapFault(w, at); err != nil {
			return art, err
		}
	} else {
		below := relative(u.base, path.Clean(w.Build.Dir))
		if !fs.ValidPath(below) {
			below = "."
		}
		if art.Handler, err = findHandler(tree, f, below, w); err != nil {
			return art, err
		}
	}
	if err := r.checkFunction(ctx, w, art); err != nil {
		return art, err
	}
	return art, nil
}
