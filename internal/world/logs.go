package world

import (
	"time"

	"titrate/internal/rollout"
)

// LogLine is one line that an instance or a hook wrote.
type LogLine struct {
	At       time.Time       `json:"at"`
	Instance string          `json:"instance"`
	Key      rollout.Key     `json:"key"`
	Version  rollout.Version `json:"version"`
	Stream   string          `json:"stream"` // stdout, stderr, hook or titrate
	Text     string          `json:"text"`
}

// LogQuery chooses log lines.
type LogQuery struct {
	App      string          `json:"app"`
	Env      string          `json:"env"`
	Workload string          `json:"workload,omitempty"` // empty: all of the environment
	Version  rollout.Version `json:"version,omitempty"`  // 0: all
	// Only is of each workload the one version that is meant, and no other workload;
	// empty: all.
	Only     map[string]rollout.Version `json:"only,omitempty"`
	Since    time.Time                  `json:"since,omitzero"`
	Last     int                        `json:"last,omitempty"` // at most so many lines of the past; 0: 200
	Follow   bool                       `json:"follow,omitempty"`
	Contains string                     `json:"contains,omitempty"` // only lines with this text
}
