// Package harness runs real controllers in a simulated world: seeded histories
// with crashes after every kind of write, lost, late and doubled observations,
// pushes in mid-rollout, two controllers, dying instances, blind meters and
// people, and the invariants that must hold at every step of them.
package harness

import (
	"errors"
	"time"

	"titrate/internal/rollout"
)

// Options say what is run.
type Options struct {
	Seed      uint64 // of the first history; the next ones count up from it
	Looks     int64  // run histories until so many looks were taken
	Histories int    // more than 0: run so many instead
	Scenario  string // SteadyPushes, or empty: everything that can happen
	Workers   int    // histories at a time; 0: one a core
}

// Report is what came of it.
type Report struct {
	Seed       uint64            `json:"seed"`
	Scenario   string            `json:"scenario,omitempty"`
	Looks      int64             `json:"looks"`
	Histories  int               `json:"histories"`
	Pushes     int64             `json:"pushes"`
	Crashes    int64             `json:"crashes"`
	Simulated  time.Duration     `json:"simulated"` // time in all histories
	Took       time.Duration     `json:"took"`
	PerMinute  int64             `json:"looks_per_minute"`
	Faults     []Count           `json:"faults"`
	Outcomes   []Count           `json:"outcomes"`
	Invariants []Checked         `json:"invariants"`
	Violations []*ViolationError `json:"violations"`
	Steady     *Steady           `json:"steady,omitempty"` // of SteadyPushes
	faults     [faults]int64
	outcomes   map[rollout.Outcome]int64
	checked    [invariants]int64
}

// Count is how often something happened.
type Count struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// Checked is how often an invariant was looked at.
type Checked struct {
	Rule  string `json:"rule"`
	Text  string `json:"invariant"`
	Count int64  `json:"count"`
}

// enough is how many histories must have happened before one may expect every
// kind of fault to have happened.
const enough = 50

// Missing returns the faults that never happened in a run that is long enough
// for all of them. A run that misses one proves less than it says.
func (r *Report) Missing() []string {
	var missing []string
	for _, f := range Faults() {
		if r.Scenario == "" && r.Histories >= enough && r.faults[f] == 0 {
			missing = append(missing, f.String())
		}
	}
	return missing
}

// add takes over what a history did.
func (r *Report) add(h *history, err error) {
	r.Histories++
	r.Looks += h.looks
	r.Pushes += int64(h.pushes)
	r.Crashes += int64(h.crashes)
	r.Simulated += h.clock.Now().Sub(epoch)
	for i, n := range h.counts {
		r.faults[i] += n
	}
	for i, n := range h.checked {
		r.checked[i] += n
	}
	if h.steadily != nil {
		r.Steady = h.steadily
	}
	for o, n := range h.outcomes {
		r.outcomes[o] += n
	}
	if v := new(ViolationError); errors.As(err, &v) {
		r.Violations = append(r.Violations, v)
	}
}

func (r *Report) finish(took time.Duration) {
	r.Took = took
	if took > 0 {
		r.PerMinute = int64(float64(r.Looks) / took.Minutes())
	}
	if r.Scenario == "" {
		for _, f := range Faults() {
			r.Faults = append(r.Faults, Count{f.String(), r.faults[f]})
		}
	}
	for _, o := range []rollout.Outcome{rollout.Promoted, rollout.RolledBack, rollout.Aborted, rollout.Superseded, rollout.Failed} {
		r.Outcomes = append(r.Outcomes, Count{string(o), r.outcomes[o]})
	}
	for i, n := range r.checked {
		if n > 0 {
			r.Invariants = append(r.Invariants, Checked{texts[i].rule, texts[i].text, n})
		}
	}
}

func newReport(o Options) *Report {
	return &Report{Seed: o.Seed, Scenario: o.Scenario, Violations: []*ViolationError{}, outcomes: map[rollout.Outcome]int64{}}
}
