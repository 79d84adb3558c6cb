package rollout

import (
	"time"

	"titrate/internal/analysis"
)

// CoreVersion is written into each history row, so that a replay knows which
// rules decided. It grows when the same plan, state, seen and now may give
// another answer than before.
const CoreVersion = 5

// Phase says how far a rollout has come.
type Phase string

// The phases, in the order in which a rollout that goes well passes through them.
// Returning stands beside that way: any phase with a candidate may turn to it.
const (
	Queued    Phase = "queued"    // waits for its turn (R3); wants nothing of the world
	Starting  Phase = "starting"  // release hook, candidates coming up, preTraffic hook; weight 0
	Shifting  Phase = "shifting"  // taking traffic, step by step
	Baking    Phase = "baking"    // has all traffic; the old version is warm, alarms are armed (R20)
	Returning Phase = "returning" // traffic goes back to stable
	Retiring  Phase = "retiring"  // the outcome is known; the version without traffic drains and is kept as asked
	Ended     Phase = "ended"     // nothing is left to do
)

// Outcome is how a rollout ended. Empty while it has not.
type Outcome string

// The outcomes.
const (
	Promoted   Outcome = "promoted"
	RolledBack Outcome = "rolled-back" // an alarm or a failure took it back
	Aborted    Outcome = "aborted"     // a person took it back
	Superseded Outcome = "superseded"  // a newer release took its place
	Failed     Outcome = "failed"      // the candidate never took traffic
)

// State is where a rollout stands. It is stored before it is acted on (R19); the
// world it wants follows from it and its plan alone, by [State.Wish].
type State struct {
	Phase   Phase     `json:"phase"`
	Outcome Outcome   `json:"outcome,omitempty"`
	Why     string    `json:"why"`   // one sentence for a person: why it stands here
	Since   time.Time `json:"since"` // when this phase or step began

	Attempt int `json:"attempt"`
	Step    int `json:"step"` // index in Plan.Steps: the step asked for (its capacity may still be coming up)
	// Weight is the share asked for every member's candidate. While it is below
	// the step's, the step waits for capacity.
	Weight Weight `json:"weight"`
	// Shares are what each member's candidate has of it while a step's weight is written
	// in waves (R23); nil: all of them have Weight.
	Shares  []Weight  `json:"shares,omitempty"`
	Arrived time.Time `json:"arrived,omitzero"` // when Weight had arrived at every member (R13); zero: not yet
	Began   time.Time `json:"began,omitzero"`   // when this attempt began: judged only on what was measured after it (R7)

	// Gap is how long, since Arrived (while baking: since Since), the weight was
	// not known to be served or could not be measured, Unserved since when it is
	// so: time without counters is neither hold nor bake (R13).
	Gap      time.Duration `json:"gap,omitempty"`
	Unserved time.Time     `json:"unserved,omitzero"`
	// Short is since when a candidate has had fewer ready instances than the step
	// needs (R14); zero: it has enough.
	Short time.Time `json:"short,omitzero"`
	// Unjudged is since when the step could not be judged: the weight has not
	// arrived, or an alarm gives no clear verdict (R11); zero: it is judged well.
	Unjudged time.Time `json:"unjudged,omitzero"`
	Up       bool      `json:"up,omitempty"`   // the candidates have been asked to come up
	Took     bool      `json:"took,omitempty"` // a candidate has been given traffic, in any attempt

	Stable     []Version    `json:"stable,omitempty"`    // by member: the base to go back to, known from Starting on; 0: first release (R2)
	Same       []bool       `json:"same,omitempty"`      // by member: its candidate is the same thing to run as Stable, so nothing of it moves (R1); nil: none is
	Exclusive  []bool       `json:"exclusive,omitempty"` // by member: its versions never run at the same time, but change places (R31); nil: none does
	Handed     bool         `json:"handed,omitempty"`    // R31: since it was last asked for, all instances with exclusive volumes have been seen to be gone
	Restarts   []int        `json:"restarts,omitempty"`  // by member: the count of its candidate's restarts when the attempt began
	Invoked    []uint64     `json:"invoked,omitempty"`   // by member: the count of its candidate's invocations when the attempt began (R11); nil: there is no function
	Pause      *Pause       `json:"pause,omitempty"`
	Back       *Back        `json:"back,omitempty"`        // set with every end but promotion, when it is decided
	Hooks      []HookRecord `json:"hooks,omitempty"`       // of this rollout, in the order in which they were asked for
	Held       bool         `json:"held,omitempty"`        // set-weight: stays at HeldAt until promoted or resumed
	HeldAt     Weight       `json:"held_at,omitempty"`     // the weight that set-weight asked for; capacity may still be coming up
	Waived     []string     `json:"waived,omitempty"`      // causes of pauses in spite of which a person said go on
	Unmeasured bool         `json:"unmeasured,omitempty"`  // moved on health checks alone (R11)
	NoBaseline bool         `json:"no_baseline,omitempty"` // first release of every member (R2)
	Notices    []string     `json:"notices,omitempty"`     // alarms whose reaction is notify, and lost metric sources, once each
	Command    int64        `json:"command"`               // the last command that was carried out or refused
	Refused    string       `json:"refused,omitempty"`     // why that command was refused; empty if it was carried out
}

// Unmoved reports whether member i stays with its stable version, though the
// candidate has another number.
func (s State) Unmoved(i int) bool { return i < len(s.Same) && s.Same[i] }

// Over reports whether the outcome is known. What is left to do then (drain,
// keep) can change nothing about it, and the next rollout may begin.
func (s State) Over() bool { return s.Outcome != "" }

// Pause stops a rollout from moving forward. Alarms stay armed. R21: it has an
// owner, a reason and an end.
type Pause struct {
	Owner  string    `json:"owner"` // a person's name, or "titrate"
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"`  // when it resumes by itself; zero: it stays until a person acts
	Cause  string    `json:"cause,omitempty"` // names what Titrate paused for; going on waives it
}

// Back is why traffic goes back, with the evidence (R22).
type Back struct {
	Outcome  Outcome           `json:"outcome"` // the outcome when all traffic is back
	Why      string            `json:"why"`
	Member   int               `json:"member"` // index of the member that caused it; -1: none
	Evidence *analysis.Reading `json:"evidence,omitempty"`
	Since    time.Time         `json:"since"`
	From     Weight            `json:"from"`              // the candidate's weight when it was decided
	Hurried  bool              `json:"hurried,omitempty"` // a person asked for all of it at once, though the plan is gradual
	Ahead    bool              `json:"ahead,omitempty"`   // Member's traffic is back already; the others' waits for their stable versions (R23)
}

// HookKind names the moment of a hook.
type HookKind string

// The hooks' moments, in the order of a rollout's life.
const (
	HookRelease     HookKind = "release"
	HookPreTraffic  HookKind = "preTraffic"
	HookStep        HookKind = "step"
	HookPostTraffic HookKind = "postTraffic"
	HookOnRollback  HookKind = "onRollback"
)

// HookRecord is one hook that a rollout asked for.
type HookRecord struct {
	// Key makes it run at most once (R24). A release hook's names app,
	// environment, release and workload; the others' name rollout and attempt too.
	Key     string    `json:"key"`
	Kind    HookKind  `json:"kind"`
	Member  int       `json:"member"` // index in Plan.Members
	Command string    `json:"command"`
	Attempt int       `json:"attempt,omitempty"` // that asked for it
	Step    int       `json:"step,omitempty"`    // of HookStep: index in Plan.Steps
	Asked   time.Time `json:"asked"`
	Done    bool      `json:"done,omitempty"`
	Exit    int       `json:"exit,omitempty"`
	Problem string    `json:"problem,omitempty"` // timeout, or no exit record; not Done then means that a person is asked
	Waived  bool      `json:"waived,omitempty"`  // a person said go on in spite of how it ended
}
