package sim

import (
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
)

// coldAfter is how long a function's instances outlive a call: the next one after that
// waits for a start.
const coldAfter = time.Minute

// call counts what became of n calls of a function's version in a window, and returns
// how many reached an instance. The world keeps the count of invocations as a node
// does: it outlives a restart, but not the disk.
func (w *World) call(f *fleet, v *analysis.Window, n int) int {
	if !f.function || n == 0 {
		return n
	}
	throttled := binomial(w.Rand, n, f.nature.Throttled)
	v.Throttles = uint64(throttled)
	if n -= throttled; n == 0 {
		return 0
	}
	if v.Start.Sub(f.called) > coldAfter {
		v.ColdStarts = 1
	}
	f.called = v.End()
	f.invoked += uint64(n)
	w.changed = true
	return n
}

// timeOut has some of the n calls in a window not be done in their time, which fails
// them.
func (w *World) timeOut(f *fleet, v *analysis.Window, n int) {
	if !f.function || w.Bugs.Blameless {
		return
	}
	late := binomial(w.Rand, n-int(v.Failed), f.nature.Timeouts)
	v.Timeouts = uint64(late)
	v.Failed += uint64(late)
	v.Status[2] -= uint64(late)
	v.Status[5] += uint64(late)
}

// Invoked returns how many invocations of a version have ended.
func (w *World) Invoked(k rollout.Key, v rollout.Version) uint64 {
	if f := w.fleet(k, v); f != nil {
		return f.invoked
	}
	return 0
}

// concurrency is how many instances of a function were at work at a time.
func (w *World) concurrency(o *work, f *fleet) int {
	if !f.function || w.Load == nil {
		return 0
	}
	return 1 + int(w.Load(o.key)/40)
}
