package analysis

import "time"

// Baseline is what stable did before a rollout began, added up: what relative
// alarms compare with where stable has too little traffic of its own during the
// rollout (R11). It is frozen when the rollout has its turn.
type Baseline struct {
	Window
}

// Recent keeps the sum of a version's last five to ten minutes in constant
// memory, to freeze a [Baseline] from.
type Recent struct {
	older, newer Window
}

// recentPart is how long each of Recent's two parts is.
const recentPart = 5 * time.Minute

// Add counts a closed window.
func (r *Recent) Add(w Window) {
	if w.Start.Sub(r.newer.Start) >= recentPart {
		r.older, r.newer = r.newer, r.older
		r.newer.clear()
	}
	r.newer.Merge(w)
}

// Baseline returns a copy of what was counted, or nil if nothing was.
func (r *Recent) Baseline() *Baseline {
	if r.newer.Length == 0 {
		return nil
	}
	var b Baseline
	b.Merge(r.older)
	b.Merge(r.newer)
	return &b
}
