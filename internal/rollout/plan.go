package rollout

import (
	"time"

	"titrate/internal/analysis"
)

// Plan is how a rollout is to move its members. It is frozen when the rollout is
// opened (R4).
type Plan struct {
	Rollout  int64   `json:"rollout"` // the rollout's id, unique in the installation
	App      string  `json:"app"`
	Env      string  `json:"env"`
	Release  Release `json:"release"`
	Kind     Kind    `json:"kind"`
	Attempt  int     `json:"attempt"`  // the first attempt's number: 1, or one more than that of the ended rollout it retries (R7)
	Strategy string  `json:"strategy"` // as the user wrote it, for people
	Overlap  Overlap `json:"overlap"`
	Urgent   bool    `json:"urgent,omitempty"` // supersedes what runs, whatever Overlap says (R3)

	Members []Member `json:"members"`        // at least one; the order in which they advance (R23)
	Steps   []Step   `json:"steps"`          // at least one; the last has weight Full
	From    int      `json:"from,omitempty"` // index of the step to begin with (retry --from-step)

	// Waves is how many members' weights are written at a time within a step, in their
	// order; its hold begins when the last has arrived. 0: all at the same time (R23).
	Waves int `json:"waves,omitempty"`

	// Ran are the release hooks that earlier attempts asked for, with how they
	// ended: they are not run again (R24).
	Ran []HookRecord `json:"ran,omitempty"`

	// FullCapacity asks for all instances of the candidate before the first
	// step, as blue-green does (R10).
	FullCapacity bool `json:"full_capacity,omitempty"`
	// Gradual takes traffic back through the steps in reverse (R22).
	Gradual bool `json:"gradual,omitempty"`

	Bake          time.Duration `json:"bake"`            // R20
	Keep          time.Duration `json:"keep,omitempty"`  // blue-green: the old version stays at least so long after promotion (R10)
	Drain         time.Duration `json:"drain"`           // R17
	StartTimeout  time.Duration `json:"start_timeout"`   // R14
	NoDataTimeout time.Duration `json:"no_data_timeout"` // R11
	HookTimeout   time.Duration `json:"hook_timeout"`    // R24
	MaxRestarts   int           `json:"max_restarts"`    // restarts of candidates in one attempt that end it (R14)
	Damage        Damage        `json:"damage,omitzero"` // failures that an attempt may serve (R26)

	NoDataPasses        bool `json:"no_data_passes,omitempty"`        // `noData: pass` was written (R11)
	SourceErrorRollback bool `json:"source_error_rollback,omitempty"` // `onSourceError: rollback` was written (R12)
}

// Kind says why a rollout was opened.
type Kind string

// The kinds of rollout.
const (
	Forward  Kind = "forward"  // a new version of at least one member
	Rollback Kind = "rollback" // to an earlier promoted version (R8); a trip pauses and asks
)

// Overlap says what happens to a rollout in progress when a newer one is opened (R3).
type Overlap string

// The overlaps, first the default.
const (
	OverlapNext      Overlap = "next"
	OverlapSupersede Overlap = "supersede"
	OverlapQueue     Overlap = "queue"
	OverlapReject    Overlap = "reject"
)

// Member is one workload of a rollout.
type Member struct {
	Workload  string  `json:"workload"`
	Candidate Version `json:"candidate"`
	Instances int     `json:"instances"`        // N: what carries all of its traffic (R5)
	Worker    bool    `json:"worker,omitempty"` // takes no requests: judged by health, restarts and resources only
	// Function says that it is called by events, and often by none: too few of them hold
	// no step, and its bake ends by invocations, not by time alone (R11).
	Function bool             `json:"function,omitempty"`
	Alarms   []analysis.Alarm `json:"alarms,omitempty"`
	Hooks    Hooks            `json:"hooks,omitzero"`
}

// Hooks are a member's commands around a rollout, each empty when there is none (R24).
type Hooks struct {
	Release     string `json:"release,omitempty"`      // once per release and environment, before any traffic
	PreTraffic  string `json:"pre_traffic,omitempty"`  // candidate at 0 %
	PostTraffic string `json:"post_traffic,omitempty"` // candidate at 100 %
	OnRollback  string `json:"on_rollback,omitempty"`  // after traffic is back
}

// Step is one stop of a strategy.
type Step struct {
	Weight  Weight        `json:"weight"`
	Hold    time.Duration `json:"hold,omitempty"`    // from when the last member's weight has arrived
	Approve bool          `json:"approve,omitempty"` // a person must say go on
	Hook    string        `json:"hook,omitempty"`    // a command to run at this weight, in each member, before going on
}
