package manifest

import (
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
)

// App is a checked titrate.yaml: every default applied, every error gone.
type App struct {
	Name         string
	Environments []Environment // in the manifest's order; at least one ("production" when none is named)
	Together     [][]string    // groups of workloads that are one rollout; a workload stands in at most one
}

// Environment is one place where releases of the app run.
type Environment struct {
	Name     string
	Deploy   Deploy
	Overlap  rollout.Overlap
	Services []Service // resolved for this environment, in the manifest's order
}

// Deploy says which pushes an environment takes.
type Deploy struct {
	Manual bool
	Branch string // empty: the repository's default branch
}

// Service is a long-running workload, resolved for one environment.
type Service struct {
	Name    string
	Build   Build
	Port    int    // what the service listens on when it ignores $PORT; 0: it reads $PORT
	Health  string // path that answers 2xx or 3xx when ready; empty for a worker
	Worker  bool   // takes no requests
	Host    string // host routed to it from outside; empty: none
	Route   string // path prefix routed to it from outside; empty: none
	Env     map[string]string
	Secrets []string // names
	Scale   int      // instances, at least 1

	Strategy  string // as written
	Steps     []rollout.Step
	BlueGreen *BlueGreen // nil unless the strategy is blue-green
	Alarms    []analysis.Alarm
	Hooks     rollout.Hooks

	Bake, Drain, StartTimeout, NoDataTimeout time.Duration
	NoDataPasses                             bool // `noData: pass` was written

	Line int // where the service stands in the file, for messages
}

// BlueGreen holds what that strategy adds to its steps.
type BlueGreen struct {
	Keep time.Duration
}

// Build says how a service becomes an artifact.
type Build struct {
	Dir     string // relative to the repository's root, slash-separated, "." for the root
	Command string // empty: detect (a Go main package)
	Output  string // with Command: the file or folder it leaves, relative to Dir
	Run     string // with Command: how to start it, a shell line run in the artifact's folder; empty: run Output itself
}
