package analysis

import "time"

// Window is what one version did in one closed stretch of time. Windows of a
// version do not overlap; the node makes them one second long, beginning on
// whole seconds.
type Window struct {
	Start       time.Time     `json:"start"`
	Length      time.Duration `json:"length"`
	Requests    uint64        `json:"requests"`          // finished in the window, each once, drawn freely (not by preview or header)
	Status      [6]uint64     `json:"status"`            // [1] 1xx … [5] 5xx, as answered to the client
	Failed      uint64        `json:"failed"`            // 5xx or broken on the way to or from the version, each request once
	Aborted     uint64        `json:"aborted,omitempty"` // among Requests: the client went away before the response had ended; not the version's failure
	Latency     Histogram     `json:"latency,omitzero"`
	CPU         float64       `json:"cpu,omitempty"`          // core-seconds used by all instances
	CPULimit    float64       `json:"cpu_limit,omitempty"`    // core-seconds they could have used; 0: not limited, one core an instance is meant
	Memory      uint64        `json:"memory,omitempty"`       // bytes: the largest instance's resident set
	MemoryLimit uint64        `json:"memory_limit,omitempty"` // bytes; 0: not limited
	Restarts    uint64        `json:"restarts,omitempty"`     // in the window
	// Of a function; each of the first three is among Failed or Status too.
	Timeouts   uint64        `json:"timeouts,omitempty"`    // among Failed: invocations that were not done in their time
	OOM        uint64        `json:"oom,omitempty"`         // among Failed: invocations whose process was ended for its memory
	Throttles  uint64        `json:"throttles,omitempty"`   // requests and events that found all instances at work; they reached none
	ColdStarts uint64        `json:"cold_starts,omitempty"` // among Requests: an instance was started for it
	QueueAge   time.Duration `json:"queue_age,omitempty"`   // of the oldest message in the queues that call it
}

// End returns when the window closed.
func (w Window) End() time.Time { return w.Start.Add(w.Length) }

// Merge adds a window of the same version: counts and lengths add up, Start is
// the earlier one, Memory and QueueAge are the larger one. It does not keep o's histogram.
func (w *Window) Merge(o Window) {
	if w.Length == 0 || o.Start.Before(w.Start) {
		w.Start = o.Start
	}
	w.Length += o.Length
	w.Requests += o.Requests
	for i, n := range o.Status {
		w.Status[i] += n
	}
	w.Failed += o.Failed
	w.Aborted += o.Aborted
	w.Latency.Merge(o.Latency)
	w.CPU += o.CPU
	w.CPULimit += o.CPULimit
	w.Memory = max(w.Memory, o.Memory)
	w.MemoryLimit = max(w.MemoryLimit, o.MemoryLimit)
	w.Restarts += o.Restarts
	w.Timeouts += o.Timeouts
	w.OOM += o.OOM
	w.Throttles += o.Throttles
	w.ColdStarts += o.ColdStarts
	w.QueueAge = max(w.QueueAge, o.QueueAge)
}

// clear empties the window and keeps the memory of its histogram.
func (w *Window) clear() {
	*w = Window{Latency: Histogram{Bucket: w.Latency.Bucket[:0], Count: w.Latency.Count[:0]}}
}
