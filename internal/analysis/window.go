package analysis

import "time"

// Window is what one version did in one closed stretch of time. Windows of a
// version do not overlap; the node makes them one second long.
type Window struct {
	Start       time.Time     `json:"start"`
	Length      time.Duration `json:"length"`
	Requests    uint64        `json:"requests"` // finished in the window, each once, drawn freely (not by preview or header)
	Status      [6]uint64     `json:"status"`   // [1] 1xx … [5] 5xx, as answered to the client
	Failed      uint64        `json:"failed"`   // 5xx or broken on the way to or from the version, each request once
	Latency     Histogram     `json:"latency,omitzero"`
	CPU         float64       `json:"cpu,omitempty"`          // core-seconds used by all instances
	CPULimit    float64       `json:"cpu_limit,omitempty"`    // core-seconds they could have used; 0: not limited, one core an instance is meant
	Memory      uint64        `json:"memory,omitempty"`       // bytes: the largest instance's resident set
	MemoryLimit uint64        `json:"memory_limit,omitempty"` // bytes; 0: not limited
	Restarts    uint64        `json:"restarts,omitempty"`     // in the window
}
