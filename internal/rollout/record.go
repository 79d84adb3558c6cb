package rollout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Record is a rollout as it is stored.
type Record struct {
	Plan     Plan      `json:"plan"`
	State    State     `json:"state"`
	Revision int64     `json:"revision"` // grows with each stored state; a writer names the one it read (compare-and-swap)
	Opened   time.Time `json:"opened"`
	By       string    `json:"by,omitempty"`      // the person or push that opened it
	Retries  int64     `json:"retries,omitempty"` // the ended rollout that it tries again (R7)
}

// Look is one row of a rollout's history: what stood there, what was seen, and
// what followed. Any look, and so any incident, can be replayed.
type Look struct {
	Rollout  int64     `json:"rollout"`
	Sequence int64     `json:"sequence"` // of the row, in the rollout: 1, 2, …
	Core     int       `json:"core"`     // CoreVersion of the core that decided
	At       time.Time `json:"at"`
	Before   State     `json:"before"`
	Seen     Seen      `json:"seen"`
	After    State     `json:"after"`
}

// Replay decides the look again, and returns an error that names what is
// different now; nil when the answer is the stored one.
func (l Look) Replay(p Plan) error {
	again, err := fields(Next(p, l.Before, l.Seen, l.At))
	if err != nil {
		return fmt.Errorf("encode the state decided again: %w", err)
	}
	stored, err := fields(l.After)
	if err != nil {
		return fmt.Errorf("encode the stored state: %w", err)
	}
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(union(again, stored))) {
		if !bytes.Equal(again[name], stored[name]) {
			differ = append(differ, fmt.Sprintf("%s: stored %s, now %s", name, orNone(stored[name]), orNone(again[name])))
		}
	}
	switch {
	case differ == nil:
		return nil
	case l.Core != CoreVersion:
		return fmt.Errorf("look %d of rollout %d was decided by core %d, this is core %d: %s",
			l.Sequence, l.Rollout, l.Core, CoreVersion, strings.Join(differ, "; "))
	}
	return fmt.Errorf("look %d of rollout %d: %s", l.Sequence, l.Rollout, strings.Join(differ, "; "))
}

// fields returns a state as it is stored, by field: times are compared as
// instants that were written down, absent and empty lists alike.
func fields(s State) (map[string]json.RawMessage, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var byName map[string]json.RawMessage
	return byName, json.Unmarshal(data, &byName)
}

func union(a, b map[string]json.RawMessage) map[string]json.RawMessage {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func orNone(field json.RawMessage) string {
	if field == nil {
		return "nothing"
	}
	return string(field)
}
