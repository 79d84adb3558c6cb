package rollout

import (
	"time"

	"titrate/internal/analysis"
)

// Artifact is what a build left of one workload: immutable, named by its content.
type Artifact struct {
	Digest  string   `json:"digest"`          // sha-256, hex: a folder under artifacts/; of an image its own, without "sha256:"
	Command []string `json:"command"`         // argv, run in the artifact's folder; of an image: in place of what it says, empty: as it says
	Image   *Image   `json:"image,omitempty"` // nil: a folder that is run as a process
	// Of a function: what its files were found to be; means nothing else.
	Runtime string `json:"runtime,omitempty"`
	Handler string `json:"handler,omitempty"`
}

// ReleaseRecord is a release as written down: one commit with its manifest and
// the artifacts that it carries through every environment. It never changes.
type ReleaseRecord struct {
	App     string  `json:"app"`
	Number  Release `json:"number"`
	Repo    string  `json:"repo,omitempty"` // the repository of Commit; empty: the app's own
	Commit  string  `json:"commit"`
	Message string  `json:"message"`
	Author  string  `json:"author"`
	Branch  string  `json:"branch"`
	Default bool    `json:"default,omitempty"` // Branch is the repository's default branch
	// Sources are the commits that it is made of, by repository, when the app has
	// further ones: its own is called like the app, the others APP/NAME.
	Sources   map[string]string   `json:"sources,omitempty"`
	At        time.Time           `json:"at"`
	Manifest  []byte              `json:"manifest"`          // titrate.yaml as pushed
	Artifacts map[string]Artifact `json:"artifacts"`         // by workload
	Folders   []string            `json:"folders,omitempty"` // of the commit, those with code: what patterns in the manifest may name
	Urgent    bool                `json:"urgent,omitempty"`
}

// CommitOf returns the commit that a repository's part of the release was made of.
func (r ReleaseRecord) CommitOf(repo string) string {
	if commit := r.Sources[repo]; commit != "" {
		return commit
	}
	return r.Commit
}

// VersionRecord is one version of a workload in an environment. Only Refused and
// Ended ever change.
type VersionRecord struct {
	Key      Key           `json:"key"`
	Number   Version       `json:"number"`
	Release  Release       `json:"release"` // the release that made it
	Commit   string        `json:"commit,omitempty"`
	Artifact Artifact      `json:"artifact"`
	Config   VersionConfig `json:"config"`
	Digest   string        `json:"digest"`            // of artifact and config: equal digests are the same thing to run (R1)
	Refused  string        `json:"refused,omitempty"` // why it is not tried again; empty: it may be (R9)
	Ended    Outcome       `json:"ended,omitempty"`   // of what Refused speaks: rolled-back, aborted or failed
	Made     time.Time     `json:"made"`
}

// VersionConfig is what the process of a version is given.
type VersionConfig struct {
	Env     map[string]string `json:"env,omitempty"`
	Secrets map[string]string `json:"secrets,omitempty"` // name → keyed HMAC of the value it was made with
	Port    int               `json:"port,omitempty"`
	Health  string            `json:"health,omitempty"`
	Worker  bool              `json:"worker,omitempty"`
	Uses    []string          `json:"uses,omitempty"` // its fellow workloads when it was made; no part of the digest
	// Addresses are the variables that hold where fellow workloads are reached.
	Addresses map[string]Address `json:"addresses,omitempty"`
	Limits    Limits             `json:"limits,omitzero"`     // of each instance
	ReadOnly  bool               `json:"read_only,omitempty"` // of an image: its files cannot be written
	// Accessories is the accessory whose connection string a variable is given.
	Accessories map[string]string `json:"accessories,omitempty"`
	Volumes     Volumes           `json:"volumes,omitempty"`
	Function    *Function         `json:"function,omitempty"` // nil: a service
}

// Address says that a variable holds the address at which a fellow workload is
// reached through the gateway, which only the target knows.
type Address struct {
	Service string      `json:"service"`
	As      AddressForm `json:"as"`
	Path    string      `json:"path,omitempty"` // what the URL ends with: "/v1"
}

// AddressForm is how an address is written.
type AddressForm string

// The forms of an address.
const (
	AddressURL      AddressForm = "url"      // http://host:port, and the path
	AddressHostPort AddressForm = "hostport" // host:port
	AddressHost     AddressForm = "host"
	AddressPort     AddressForm = "port"
)

// WorkloadRecord is a workload of an environment: what holds for all of its
// versions, and which of them is stable.
type WorkloadRecord struct {
	Key      Key      `json:"key"`
	Settings Settings `json:"settings"`
	Release  Release  `json:"release"`            // the newest release that named it
	Orphaned Release  `json:"orphaned,omitempty"` // the release whose manifest names it no more: it runs on until removed (R28); 0: it is named
	Stable   Version  `json:"stable"`             // 0: none yet
	Newest   Version  `json:"newest"`             // the highest version number given
}

// Settings is what a manifest says of a workload beside its versions: it takes
// effect without a rollout, but for what it would take from the stable version.
type Settings struct {
	Instances    int              `json:"instances"`
	Worker       bool             `json:"worker,omitempty"`
	Hosts        []string         `json:"hosts,omitempty"`
	Routes       []string         `json:"routes,omitempty"`
	Paths        []Route          `json:"paths,omitempty"` // routes beside those
	Match        []Match          `json:"match,omitempty"`
	Maintenance  *Maintenance     `json:"maintenance,omitempty"`
	Drain        time.Duration    `json:"drain"`
	StartTimeout time.Duration    `json:"start_timeout"`
	Scale        Scale            `json:"scale,omitzero"`       // of a function
	Triggers     *Triggers        `json:"triggers,omitempty"`   // of a function; nil: a service
	Alarms       []analysis.Alarm `json:"alarms,omitempty"`     // of a function: what its calls are held against when no rollout judges them
	Shield500    bool             `json:"shield_500,omitempty"` // R25: stable answers what a candidate answers with 500, too
	Together     []string         `json:"together,omitempty"`   // the group it moves with, itself included (R23)
	// Asked is the version that the newest release means, whether it may be tried or not
	// (R9); 0: it was not kept when these were written.
	Asked Version `json:"asked,omitempty"`
	// Before is what the stable version keeps until a version that came with these
	// settings is promoted (R5, R28); nil: nothing is taken from it.
	Before *Settings `json:"before,omitempty"`
}

// Promotion is one entry of a workload's promoted history (R8).
type Promotion struct {
	Key     Key       `json:"key"`
	Version Version   `json:"version"`
	Release Release   `json:"release"`
	From    Version   `json:"from"` // what was stable before
	Rollout int64     `json:"rollout"`
	At      time.Time `json:"at"`
}

// BaselineRecord is what stable did before a rollout began: what the relative alarms
// of one member compare with where stable has too little traffic (R11). It is frozen
// when the rollout has its turn, and outlives the server (R19).
type BaselineRecord struct {
	Rollout  int64             `json:"rollout"`
	Key      Key               `json:"key"`
	Baseline analysis.Baseline `json:"baseline"`
}

// Refusal marks a version as not to be tried again, or clears the mark (R9).
type Refusal struct {
	Key     Key     `json:"key"`
	Version Version `json:"version"`
	Ended   Outcome `json:"ended"` // how it ended: rolled-back, aborted or failed
	Why     string  `json:"why"`   // empty clears the mark
}

// Key returns the key of the plan's i-th member.
func (p Plan) Key(i int) Key { return Key{App: p.App, Env: p.Env, Workload: p.Members[i].Workload} }

// Push is an accepted push on its way to a release. It is stored before it is
// acknowledged, so that a crash does not forget it.
type Push struct {
	ID       int64    `json:"id"`
	App      string   `json:"app"`
	Repo     string   `json:"repo"` // of the commit: APP, or APP/NAME for a further one
	Commit   string   `json:"commit"`
	Branch   string   `json:"branch"`
	Default  bool     `json:"default,omitempty"` // Branch is the repository's default branch
	Message  string   `json:"message"`
	Author   string   `json:"author"`
	By       string   `json:"by,omitempty"` // who pushed
	Urgent   bool     `json:"urgent,omitempty"`
	Envs     []string `json:"envs,omitempty"`    // asked for by name; empty: those that take the branch
	Manifest []byte   `json:"manifest"`          // empty: that of the release which it builds on
	Folders  []string `json:"folders,omitempty"` // of Commit, those with code, when patterns in the manifest name functions
	// Heads are the commits at which the app's further repositories stood.
	Heads   map[string]string `json:"heads,omitempty"`
	At      time.Time         `json:"at"`
	Stage   Stage             `json:"stage"`
	Problem string            `json:"problem,omitempty"` // of PushFailed
	Release Release           `json:"release,omitempty"` // of PushDelivered
	Ended   time.Time         `json:"ended,omitzero"`
}

// Stage says how far a push has come.
type Stage string

// The stages, in life order.
const (
	PushAccepted  Stage = "accepted"
	PushBuilding  Stage = "building"
	PushDelivered Stage = "delivered" // a release was written and its rollouts opened
	PushFailed    Stage = "failed"    // nothing moved
)

// Over reports whether nothing more comes of the push.
func (s Stage) Over() bool { return s == PushDelivered || s == PushFailed }

// Event is something that people and interfaces hear of. Its id is the store's
// sequence: it grows, without regard to what the event is about.
type Event struct {
	ID       int64     `json:"id"`
	At       time.Time `json:"at"`
	Kind     EventKind `json:"kind"`
	App      string    `json:"app,omitempty"`
	Env      string    `json:"env,omitempty"`
	Workload string    `json:"workload,omitempty"` // empty for a rollout of several
	Rollout  int64     `json:"rollout,omitempty"`
	Release  Release   `json:"release,omitempty"`
	Data     []byte    `json:"data,omitempty"` // JSON; its shape goes with the kind
}

// EventKind says what an event is about, and what its Data holds.
type EventKind string

// The kinds of event.
const (
	EventPush     EventKind = "push"     // a push was accepted or ended; Data: Push without its manifest
	EventRelease  EventKind = "release"  // a release was written; Data: {commit, message, author, branch}
	EventOpened   EventKind = "opened"   // a rollout was opened; Data: Moved
	EventMoved    EventKind = "moved"    // a rollout stands somewhere else; Data: Moved
	EventCommand  EventKind = "command"  // a person asked something of a rollout; Data: Command
	EventOrphaned EventKind = "orphaned" // a manifest names a workload no more (R28)
	EventRemoved  EventKind = "removed"  // a workload was removed
	EventTask     EventKind = "task"     // a person asked for a task on an accessory's data; Data: AccessoryTask
)

// Moved is the data of EventOpened and EventMoved: where the rollout stands now.
type Moved struct {
	Phase   Phase   `json:"phase"`
	Outcome Outcome `json:"outcome,omitempty"`
	Why     string  `json:"why"`
	Step    int     `json:"step"`
	Weight  Weight  `json:"weight"`
	Attempt int     `json:"attempt"`
	Paused  bool    `json:"paused,omitempty"`
}
