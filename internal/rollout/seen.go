package rollout

import (
	"time"

	"titrate/internal/analysis"
)

// Seen is the world as last observed, as far as one rollout is concerned. With
// the clock it is all that [Next] may know. It is stored with each decision.
type Seen struct {
	Members  []MemberSeen          `json:"members"`            // by Plan.Members; may be empty when nothing was observed yet
	Hooks    map[string]HookResult `json:"hooks,omitempty"`    // by HookRecord.Key
	Commands []Command             `json:"commands,omitempty"` // of people, oldest first; those up to State.Command are ignored
	Ahead    bool                  `json:"ahead,omitempty"`    // a rollout opened earlier, sharing a workload, has no outcome yet
	Newer    *Newer                `json:"newer,omitempty"`    // the newest rollout that waits behind this one and covers a workload of it

	// Cut is when the gateway took all traffic from the candidates of this attempt, since it
	// had spent its damage budget, and how many failures it had served then (R26).
	Cut *Cut `json:"cut,omitempty"`

	// Unwatched is since when nobody has watched the world, at the first look after
	// a break such as a server that was down. Nothing is observed at that look.
	Unwatched time.Time `json:"unwatched,omitzero"`
}

// Newer is a rollout that waits behind another (R3).
type Newer struct {
	Rollout int64   `json:"rollout"`
	Release Release `json:"release"`
	Overlap Overlap `json:"overlap"` // of the one that waits
	Urgent  bool    `json:"urgent,omitempty"`
	Covers  bool    `json:"covers,omitempty"` // it moves every workload of this one: this one need not run
}

// MemberSeen is what was observed of one member.
type MemberSeen struct {
	Stable      Version            `json:"stable"`              // the environment's stable version of the workload now; 0: none
	Same        bool               `json:"same,omitempty"`      // while Queued: Stable has the candidate's digest: they are the same thing to run (R1)
	Exclusive   bool               `json:"exclusive,omitempty"` // while Queued: the candidate has volumes that two versions may not write to (R31)
	Free        bool               `json:"free,omitempty"`      // the target has shown, since this was asked for, that no instance of the workload lives, of any version (R31)
	Refused     string             `json:"refused,omitempty"`   // why the candidate may not be tried again (R9); retry clears it
	Ready       int                `json:"ready"`               // ready instances of the candidate
	Unready     string             `json:"unready,omitempty"`   // while Starting: what is seen of one that is not
	StableReady int                `json:"stable_ready"`
	Restarts    int                `json:"restarts"`           // of the candidate, cumulative
	Invoked     uint64             `json:"invoked,omitempty"`  // real invocations of the candidate that have ended, cumulative; of a function
	Failure     string             `json:"failure,omitempty"`  // an instance of the candidate exited or could not start before it was ready: what was seen, with its last lines
	Served      Weight             `json:"served"`             // the candidate's share in the table that every gateway loop has acknowledged; -1: not known
	Open        int                `json:"open"`               // requests and connections open on the version without traffic while Retiring
	Idle        time.Duration      `json:"idle,omitempty"`     // for how long all versions of the workload measured 0 requests (R11)
	Readings    []analysis.Reading `json:"readings,omitempty"` // one for each armed alarm, judged from windows that opened after State.Arrived
}

// HookResult is how a hook ended, as the node recorded it.
type HookResult struct {
	Running  bool   `json:"running,omitempty"`
	Exit     int    `json:"exit"` // meaningful when neither Running, TimedOut nor Lost
	TimedOut bool   `json:"timed_out,omitempty"`
	Lost     bool   `json:"lost,omitempty"` // started, but its exit record is missing: it may have run
	Log      string `json:"log,omitempty"`  // its last lines
}

// Command is what a person asked of a rollout.
type Command struct {
	ID     int64         `json:"id"` // store sequence: grows
	Verb   Verb          `json:"verb"`
	By     string        `json:"by"`
	Weight Weight        `json:"weight,omitempty"` // set-weight
	Step   int           `json:"step,omitempty"`   // retry: index of the step to begin with
	For    time.Duration `json:"for,omitempty"`    // pause: resumes after; 0: stays
	Reason string        `json:"reason,omitempty"`
}

// Verb is what a command does.
type Verb string

// The verbs.
const (
	Abort       Verb = "abort" // all traffic to stable, now; beats every other (R6)
	PauseVerb   Verb = "pause"
	Resume      Verb = "resume"
	Promote     Verb = "promote"      // approve, or go to the next step now
	PromoteFull Verb = "promote-full" // straight to 100 %
	SetWeight   Verb = "set-weight"   // hold at a weight
	Retry       Verb = "retry"        // a new attempt from the first step (R7)
)
