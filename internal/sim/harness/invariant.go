package harness

import (
	"fmt"
	"time"
)

// invariant is something that must be true at every step of every history.
type invariant int

const (
	weightsSum invariant = iota
	capacity
	drawnReady
	keepsTraffic
	oneWriter
	abortWins
	oneOutcome
	allEnd
	waitsNamed
	replays
	loopGuard
	heldAsPlanned
	judgedWell
	onceOnly
	frozen
	stableMoves
	endsAsWanted
	noSurprise
	notStarved
	oneVolumeWriter
	invokedEnough
	rareHoldsNone
	sameEnd
	inWaves
	invariants
)

// texts are the invariants with the rules that they are of.
var texts = [invariants]struct{ rule, text string }{
	weightsSum:      {"R15", "weights sum to exactly 100 %"},
	capacity:        {"R5", "no weight is raised beyond ready capacity"},
	drawnReady:      {"R5", "no request is drawn on a version of which nothing is ready"},
	keepsTraffic:    {"R5", "no version is retired while it has traffic"},
	oneWriter:       {"R18", "one controller writes, and the worlds taken only grow"},
	abortWins:       {"R6", "an abort ends with stable at 100 %"},
	oneOutcome:      {"R6", "a rollout ends in one outcome, which stays"},
	allEnd:          {"R21", "with people answering, every rollout ends"},
	waitsNamed:      {"R21", "every wait names its reason"},
	replays:         {"R19", "the stored history decides the same again"},
	loopGuard:       {"R9", "a refused version is not tried again by itself"},
	heldAsPlanned:   {"R13", "a step is held, and a bake lasts, as planned unless a person says go on"},
	judgedWell:      {"R27", "a bad version is not promoted by itself, and a good one is not taken back by an alarm"},
	onceOnly:        {"R24", "a hook runs at most once"},
	frozen:          {"R4", "a plan stays as it was when it was opened"},
	stableMoves:     {"R20", "a version becomes stable by the promotion of its rollout alone"},
	endsAsWanted:    {"R19", "in the end the world is the one that the store wants"},
	noSurprise:      {"R19", "only the errors that were made come back"},
	notStarved:      {"R3", "a steady stream of pushes is promoted at least once in every two shift times"},
	oneVolumeWriter: {"R31", "two instances never live that write to a volume which is not shared"},
	invokedEnough:   {"R11", "no function is promoted by itself before 20 invocations or 7 days"},
	rareHoldsNone:   {"R11", "a function that is seldom called holds no step"},
	sameEnd:         {"R23", "members that move together end in the same outcome"},
	inWaves:         {"R23", "no more members change at a time than waves says"},
}

// ViolationError is an invariant that did not hold.
type ViolationError struct {
	Seed    uint64        `json:"seed"`
	After   time.Duration `json:"after"` // simulated, since the history began
	Rule    string        `json:"rule"`
	Text    string        `json:"invariant"`
	What    string        `json:"what"`   // was seen
	Command string        `json:"replay"` // plays the history again
}

func (v *ViolationError) Error() string {
	return fmt.Sprintf("%s: %s: after %s: %s\n  replay  %s", v.Rule, v.Text, v.After, v.What, v.Command)
}

// holds counts that an invariant was looked at, and ends the history when it
// does not hold.
func (h *history) holds(i invariant, ok bool, format string, args ...any) {
	h.checked[i]++
	if ok {
		return
	}
	v := &ViolationError{
		Seed: h.seed, After: h.clock.Now().Sub(epoch), Rule: texts[i].rule, Text: texts[i].text, What: fmt.Sprintf(format, args...), Command: replayCommand(h.scenario, h.seed),
	}
	h.tracef("VIOLATION of %s: %s: %s", v.Rule, v.Text, v.What)
	panic(v)
}

func replayCommand(scenario string, seed uint64) string {
	if scenario != "" {
		return fmt.Sprintf("titrate simulate --scenario %s --seed %d -v", scenario, seed)
	}
	return fmt.Sprintf("titrate simulate --seed %d -v", seed)
}
