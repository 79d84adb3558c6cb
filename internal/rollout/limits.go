package rollout

import "fmt"

// Limits is what an instance of a version may use at most, all its processes
// together. Zero: what the machine has.
type Limits struct {
	Memory    int64 `json:"memory,omitempty"`    // bytes, a multiple of 1 MiB: an instance that needs more is killed
	CPU       int   `json:"cpu,omitempty"`       // thousandths of a core: one that wants more waits
	Processes int   `json:"processes,omitempty"` // with their threads: one that starts more is refused them
}

// MemoryText writes the limit of memory for people: "256 MB", of 1024 × 1024 bytes each.
func (l Limits) MemoryText() string { return fmt.Sprintf("%d MB", l.Memory>>20) }
