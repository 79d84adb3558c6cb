// Package functions tells the doors which functions there are, by the names that people
// use, and how each stands. It decides nothing.
package functions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"titrate/internal/controller"
	"titrate/internal/node"
	"titrate/internal/rollout"
	"titrate/internal/store"
	"titrate/internal/world"
)

// Catalogue knows the functions of a server.
type Catalogue struct {
	Controller *controller.Controller
	Store      *store.Store
	Node       *node.Client
}

// Function is one function of an environment as it stands.
type Function struct {
	Key       rollout.Key
	Scale     rollout.Scale
	Triggers  rollout.Triggers
	Stable    rollout.Version // promoted last; 0: none was
	Newest    rollout.Version // the highest number given
	Candidate rollout.Version // of the rollout in progress; 0: there is none
	Rollout   int64           // in progress; 0: none is
	Running   []Running       // the versions that can be called, oldest first
}

// Running is a version that can be called.
type Running struct {
	controller.VersionStatus
	Invoked     uint64 // real invocations that have ended, ever (R11)
	Concurrency int
	Drawn       uint64       // events since the split changed
	Recent      world.Recent // of the last ten seconds
}

// Live returns the version's part of the traffic that is asked for; 0 for one that does
// not run.
func (f Function) Live(v rollout.Version) rollout.Weight {
	for _, r := range f.Running {
		if r.Version == v {
			return r.Asked
		}
	}
	return 0
}

// Runs reports whether a version can be called.
func (f Function) Runs(v rollout.Version) bool {
	return slices.ContainsFunc(f.Running, func(r Running) bool { return r.Version == v })
}

// Latest is the newest version that can be called; 0: none can.
func (f Function) Latest() rollout.Version {
	var n rollout.Version
	for _, r := range f.Running {
		n = max(n, r.Version)
	}
	return n
}

// Waiting is the newest version that runs and has no traffic: what a probe is for; 0:
// there is none.
func (f Function) Waiting() rollout.Version {
	var n rollout.Version
	for _, r := range f.Running {
		if r.Asked == 0 && r.Version > f.Stable {
			n = max(n, r.Version)
		}
	}
	if n == 0 && f.Candidate != 0 && f.Runs(f.Candidate) && f.Live(f.Candidate) == 0 { // one that goes back
		n = f.Candidate
	}
	return n
}

// patience is how long a list waits for what the node sees: without it the list says less.
const patience = 2 * time.Second

// List returns the functions of an environment, by name.
func (c *Catalogue) List(ctx context.Context, app, env string) ([]Function, error) {
	records, err := c.Store.Workloads(ctx, app, env)
	if err != nil {
		return nil, err
	}
	all := []Function{}
	status := c.Controller.Status(app, env)
	for _, r := range records {
		if r.Settings.Triggers == nil || r.Key.App != app || r.Key.Env != env {
			continue
		}
		f := Function{Key: r.Key, Scale: r.Settings.Scale, Triggers: *r.Settings.Triggers, Stable: r.Stable, Newest: r.Newest}
		if i := slices.IndexFunc(status, func(s controller.WorkloadStatus) bool { return s.Key == r.Key }); i >= 0 {
			f.Candidate, f.Rollout = status[i].Candidate, status[i].Rollout
			for _, v := range status[i].Versions {
				f.Running = append(f.Running, Running{VersionStatus: v})
			}
		}
		all = append(all, f)
	}
	if len(all) > 0 {
		c.count(ctx, all)
	}
	return all, nil
}

// count adds what the node has counted; without an answer nothing was.
func (c *Catalogue) count(ctx context.Context, all []Function) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	seen, err := c.Node.Seen(ctx, 0)
	if err != nil {
		return
	}
	shares, err := c.Node.Shares(ctx)
	if err != nil {
		return
	}
	for i := range all {
		for j := range all[i].Running {
			r := &all[i].Running[j]
			for _, f := range seen.Fleets {
				if f.Key == all[i].Key && f.Version == r.Version {
					r.Invoked, r.Concurrency = f.Invoked, f.Concurrency
				}
			}
			for _, sh := range shares {
				if at := slices.IndexFunc(sh.Versions, func(o world.Observed) bool { return o.Version == r.Version }); sh.Key == all[i].Key && at >= 0 {
					r.Drawn, r.Recent = sh.Versions[at].Drawn, sh.Versions[at].Recent
				}
			}
		}
	}
}

// Find returns the function of that name: the workload's, or the path as the manifest
// has it. Where there is none, the error is a [*NameError].
func (c *Catalogue) Find(ctx context.Context, app, env, name string) (Function, error) {
	all, err := c.List(ctx, app, env)
	if err != nil {
		return Function{}, err
	}
	want := Name(name)
	var names []string
	for _, f := range all {
		if f.Key.Workload == want {
			return f, nil
		}
		names = append(names, f.Key.Workload)
	}
	service := slices.ContainsFunc(c.Controller.Status(app, env), func(s controller.WorkloadStatus) bool { return s.Key.Workload == want })
	return Function{}, &NameError{App: app, Env: env, Name: name, Service: service, Near: near(want, names)}
}

// Name is the workload's name of a function that is named by it, or by its path: what is
// no letter or digit is a dash.
func Name(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			b.WriteRune(r)
		case !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}

// NameError says that there is no function of a name; it is [rollout.ErrUnknown].
type NameError struct {
	App, Env, Name string
	Service        bool     // there is a service by that name
	Near           []string // functions that may be meant
}

// Error names it, and what there is.
func (e *NameError) Error() string {
	text := fmt.Sprintf("error[%s]: there is no function %s of %s in %s", CodeName, e.Name, e.App, e.Env)
	if e.Service {
		text = fmt.Sprintf("error[%s]: %s of %s in %s is a service, and no function", CodeName, e.Name, e.App, e.Env)
	}
	if len(e.Near) > 0 {
		text += "\n  saw     " + strings.Join(e.Near, ", ")
	}
	return text + "\n  help    titrate fn ls --app " + e.App + " --env " + e.Env
}

// Unwrap returns [rollout.ErrUnknown].
func (e *NameError) Unwrap() error { return rollout.ErrUnknown }

// The codes of what can be wrong with a call. Once given, a code keeps its meaning.
const (
	CodeName     = "T0860" // no such function
	CodeVersion  = "T0861" // a version that cannot be called
	CodeProbe    = "T0862" // nothing waits at 0 %, or it has no probe
	CodeEvent    = "T0863" // an event or message that cannot be taken
	CodeQueue    = "T0864" // no such queue
	CodeNotReady = "T0865" // it could not be called now
)

// near are the names that may be meant: those that hold one another's parts, at most five.
func near(want string, names []string) []string {
	parts := strings.Split(want, "-")
	score := func(name string) (n int) {
		for _, p := range parts {
			if p != "" && slices.Contains(strings.Split(name, "-"), p) {
				n++
			}
		}
		return n
	}
	found := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return score(n) == 0 })
	slices.SortStableFunc(found, func(a, b string) int { return score(b) - score(a) })
	return found[:min(len(found), 5)]
}
