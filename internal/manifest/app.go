package manifest

import (
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
)

// App is a checked titrate.yaml: every default applied, every error gone.
type App struct {
	Name         string
	Environments []Environment       // in the manifest's order; at least one ("production" when none is named)
	Together     [][]string          // groups of workloads that are one rollout; a workload stands in at most one
	Registries   map[string]Registry // of images, by host; nil when none is named
	Accessories  []Accessory         // in the manifest's order
	Queues       []rollout.Queue     // those that `queues` names, in its order; a Visibility of 0 was not written
}

// Environment returns the environment of that name; ok is false when there is none.
func (a *App) Environment(name string) (e Environment, ok bool) {
	for _, e := range a.Environments {
		if e.Name == name {
			return e, true
		}
	}
	return Environment{}, false
}

// Environment is one place where releases of the app run.
type Environment struct {
	App         string // the app's name
	Name        string
	Deploy      Deploy
	Overlap     rollout.Overlap
	Services    []Service   // resolved for this environment: services, then functions, in the manifest's order
	Together    [][]string  // the app's groups
	Waves       int         // members of a group whose weights are written at a time; 0: all (R23)
	Accessories []Accessory // the app's

	Line int // where the environment stands in the file, for messages
}

// Service returns the service of that name; ok is false when there is none.
func (e Environment) Service(name string) (s Service, ok bool) {
	for _, s := range e.Services {
		if s.Name == name {
			return s, true
		}
	}
	return Service{}, false
}

// Deploy says which pushes an environment takes.
type Deploy struct {
	Manual bool
	Branch string // empty: the repository's default branch, unless Manual
}

// Takes reports whether a push to branch deploys, in a repository with that
// default branch.
func (d Deploy) Takes(branch, defaultBranch string) bool {
	if d.Manual {
		return false
	}
	if d.Branch == "" {
		return branch == defaultBranch
	}
	return branch == d.Branch
}

// Service is a workload, resolved for one environment: a long-running one or, with a
// Function, one that is called by events.
type Service struct {
	Name   string
	Repo   string          // the further repository of the app that it is built from; empty: the manifest's own
	Build  Build           // the same in every environment; means nothing with an Image
	Image  string          // the image that it runs, as written; empty: it is built
	Run    Run             // the same in every environment
	Port   int             // what the service listens on when it ignores $PORT; 0: it reads $PORT
	Health string          // path that answers 2xx when ready; empty: ready when it accepts connections, or, a worker, when it runs
	Worker bool            // takes no requests
	Host   string          // host routed to it from outside; empty: none
	Route  string          // path prefix on Host that is routed to it: "/" for everything; empty when Host is, where Routes stand instead, and of a function, which has routes in its triggers
	Routes []rollout.Route // beside Route, on Host
	Match  []rollout.Match
	// Maintenance answers its requests; nil: it does.
	Maintenance *rollout.Maintenance
	Env         map[string]string
	// Addresses are the variables whose value is where another service of the
	// environment is reached.
	Addresses map[string]rollout.Address
	Secrets   []string        // names, sorted
	Scale     int             // instances, at least 1
	Limits    rollout.Limits  // of each instance
	Volumes   rollout.Volumes // nil when there are none
	ReadOnly  bool            // it cannot write to the image's own files; means nothing without an image
	Function  *Function       // nil: a long-running service; else Scale is 1 and the memory of Limits is set

	Strategy  string // as written, for people; "steps" when they are written one by one
	Steps     []rollout.Step
	BlueGreen *BlueGreen       // nil unless the strategy is blue-green
	Gradual   bool             // `rollback: gradual` was written (R22)
	Alarms    []analysis.Alarm // sorted by name; those of a worker are not about requests
	Hooks     rollout.Hooks

	Bake, Drain, StartTimeout, NoDataTimeout time.Duration
	NoDataPasses                             bool // `noData: pass` was written (R11)
	SourceErrorRollback                      bool // `onSourceError: rollback` was written (R12)

	Damage    rollout.Damage // that one rollout may do (R26)
	Shield500 bool           // `shield: errors` was written (R25)

	Line int // where the service stands in the file, for messages
}

// Function is what a workload has that is called by events.
type Function struct {
	Path     string // as the manifest, or a pattern in it, names it: "api/pickups/[id]/get"
	Run      rollout.Function
	Layers   []string // folders and zips of the repository, slash-separated; later ones go before earlier ones
	Scale    rollout.Scale
	Triggers rollout.Triggers
}

// BlueGreen holds what that strategy adds to its steps. What it waits for before
// the switch is a first step of weight 0.
type BlueGreen struct {
	Keep time.Duration
}

// Build says how a service becomes an artifact.
type Build struct {
	Dir      string // relative to the repository's root, slash-separated, "." for the root
	With     string // what builds it, one of [Builders]; empty: as the files say
	Fetch    string // with Command: a shell line that may use the network, run before it
	Command  string // a shell line that builds; empty: the language's own tools
	Test     string // a shell line that must end well before the artifact is kept; empty: none
	Network  bool   // Command and Test may use the network
	Output   string // the file or folder that is left, relative to Dir; empty without Command: as the language has it
	Run      string // with Command: how to start it, a shell line run in the artifact's folder; empty: run Output itself
	Fallback string // of a static site: the file that answers for paths which name none

	Dockerfile string            // relative to Dir; empty: Dockerfile
	Target     string            // of a Dockerfile: the stage that is built; empty: the last
	Args       map[string]string // of a Dockerfile: values of its ARGs
}

// Builders are the values of build.with: a Dockerfile, and the languages that are built
// by their own tools.
var Builders = []string{BuildsDocker, "go", "java", "node", "python", "rust", "static"}
