// Package world holds the wanted and the seen world of a target: which versions
// should run, how their traffic should be split, and what is in fact so. It is
// the language between the controller and the hands; it decides nothing.
package world

import (
	"time"

	"titrate/internal/rollout"
)

// Stamp orders wanted worlds (R18): by token, then by revision. A receiver
// refuses a smaller stamp, and acknowledges an equal one again without acting.
type Stamp struct {
	Token    uint64 `json:"token"`    // grows with each lease
	Revision uint64 `json:"revision"` // grows with each change under a lease
}

// Less reports whether s is older than t.
func (s Stamp) Less(t Stamp) bool {
	return s.Token < t.Token || s.Token == t.Token && s.Revision < t.Revision
}

// Wanted is what should be: whole, so that what it does not name is drained and
// stopped. The receiver applies, persists, then acknowledges its stamp.
type Wanted struct {
	Stamp     Stamp      `json:"stamp"`
	Workloads []Workload `json:"workloads"`
	Hooks     []Hook     `json:"hooks,omitempty"`
	// An accessory that is not named is stopped; its data stays.
	Accessories []Accessory `json:"accessories,omitempty"`
	// PreviewKey signs preview and version-header tokens (HMAC-SHA-256).
	PreviewKey []byte `json:"preview_key,omitempty"`
	// Damage is what the node has seen itself, and keeps beside what it was asked for, so
	// that a cut outlives its process (R26). What a server says of it is not believed.
	Damage []Damage `json:"damage,omitempty"`
}

// Workload is one workload of one environment, with the versions that should
// run and the split of its traffic.
type Workload struct {
	Key    rollout.Key `json:"key"`
	Worker bool        `json:"worker,omitempty"`
	Hosts  []string    `json:"hosts,omitempty"`  // host names routed here, without port; "*." before one takes those below it
	Routes []string    `json:"routes,omitempty"` // path prefixes routed here, on whole segments; with Hosts: on these hosts only
	Fleets []Fleet     `json:"fleets"`
	// Ports are those at which its versions listen, as they know them: fellow workloads
	// that have a network of their own reach it by its name there.
	Ports []int `json:"ports,omitempty"`
	// Split is empty when nothing has traffic yet (503); else the shares sum to
	// rollout.Full and each names a fleet.
	Split []Share `json:"split,omitempty"`
	// Rollout and Attempt in progress, for the version header and logs; 0: none.
	Rollout int64 `json:"rollout,omitempty"`
	Attempt int   `json:"attempt,omitempty"`
	// Stable is the version that candidates are tried against; 0: none, or it is unknown.
	// It answers what another one fails: requests and events (R25).
	Stable rollout.Version `json:"stable,omitempty"`
	// Shield500 says that an answer of 500 is such a failure too.
	Shield500 bool `json:"shield_500,omitempty"`
	// Damage is what the attempt may break, all of its workloads together (R26).
	Damage rollout.Damage `json:"damage,omitzero"`
	// Triggers is what calls the function that the workload is; nil: it is a service.
	Triggers *rollout.Triggers `json:"triggers,omitempty"`
	// Paths are routes beside Routes; Match sends requests to the version that is tried.
	Paths []rollout.Route `json:"paths,omitempty"`
	Match []rollout.Match `json:"match,omitempty"`
	// Maintenance answers all of its requests; nil: its versions do.
	Maintenance *rollout.Maintenance `json:"maintenance,omitempty"`
}

// Share is a version's part of a workload's traffic.
type Share struct {
	Version rollout.Version `json:"version"`
	Weight  rollout.Weight  `json:"weight"`
}

// Fleet is one version of a workload, to run in Count instances.
type Fleet struct {
	Version  rollout.Version `json:"version"`
	Count    int             `json:"count"`
	Artifact string          `json:"artifact"` // sha-256 of the artifact, hex: a folder under artifacts/
	Command  []string        `json:"command"`  // argv, run in the artifact's folder; argv[0] may be relative to it
	// Image is what the fleet runs: Artifact is its digest then, and Command, unless
	// it is empty, stands in place of what the image says. Nil: a process of this machine.
	Image        *Image            `json:"image,omitempty"`
	Env          map[string]string `json:"env,omitempty"`
	Secrets      map[string]string `json:"secrets,omitempty"` // values in the clear: the socket is 0600, the snapshot keeps them encrypted
	Port         int               `json:"port,omitempty"`    // fixed port; 0: the node chooses one and gives it as $PORT
	Health       string            `json:"health,omitempty"`  // path; empty: ready when it has run for a second (worker) or accepts connections
	Worker       bool              `json:"worker,omitempty"`
	Limits       Limits            `json:"limits,omitzero"`     // of each instance, and of each hook
	ReadOnly     bool              `json:"read_only,omitempty"` // of an image: its files cannot be written
	Volumes      rollout.Volumes   `json:"volumes,omitempty"`   // kept over all versions of the workload; one that is not shared is never given to two instances (R31), nor to a hook
	StartTimeout time.Duration     `json:"start_timeout"`
	Drain        time.Duration     `json:"drain"`
	Release      rollout.Release   `json:"release"`
	Commit       string            `json:"commit,omitempty"`
	// Uses names the workloads of the same app and environment whose addresses
	// are injected as TITRATE_URL_<NAME> (upper case, "-" as "_"): the gateway's,
	// so that calls between services are split and measured too.
	Uses []string `json:"uses,omitempty"`
	// Addresses are further variables that hold such addresses.
	Addresses map[string]rollout.Address `json:"addresses,omitempty"`
	// Accessories is the accessory, of the same app and environment, whose connection
	// string a variable is given. An instance starts when it is ready.
	Accessories map[string]string `json:"accessories,omitempty"`
	// Function is how it is called; nil: a service. Count of a function is how many
	// instances must have been shown able to start (R5): from then on they come and go
	// by demand, within Scale.
	Function *rollout.Function `json:"function,omitempty"`
	Scale    rollout.Scale     `json:"scale,omitzero"`
}

// Image is a container image to run: the version's own.
type Image = rollout.Image

// Limits is what an instance may use at most: the version's own.
type Limits = rollout.Limits

// Hook is a command to run at most once, keyed (R24), with the environment,
// secrets and artifact of a fleet.
type Hook struct {
	Key      string           `json:"key"`
	Workload rollout.Key      `json:"workload"`
	Kind     rollout.HookKind `json:"kind"`
	Command  string           `json:"command"` // a shell line
	Timeout  time.Duration    `json:"timeout"`
	Fleet    Fleet            `json:"fleet"` // Count is ignored
	Rollout  int64            `json:"rollout"`
}
