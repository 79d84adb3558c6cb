package rollout

// Volume is a folder of a workload that outlives its versions.
type Volume struct {
	Path   string `json:"path"`             // where an image sees it
	Shared bool   `json:"shared,omitempty"` // several instances, and two versions, may write to it at the same time
}

// Volumes are a version's by name.
type Volumes map[string]Volume

// Exclusive reports whether one of them is not shared: an instance with it must be
// the only one of its workload (R31).
func (v Volumes) Exclusive() bool {
	for _, volume := range v {
		if !volume.Shared {
			return true
		}
	}
	return false
}

// Clash reports whether versions with v and w must not run at the same time: they
// have a volume in common that one of them does not share (R31).
func (v Volumes) Clash(w Volumes) bool {
	for name, volume := range v {
		if other, both := w[name]; both && (!volume.Shared || !other.Shared) {
			return true
		}
	}
	return false
}
