package analysis

// OfFailures reports whether the alarm is over the share of failed requests and has a
// limit of its own, so that a sum of windows alone tells whether they break it.
func (a Alarm) OfFailures() bool {
	return (a.Metric == Errors || a.Metric == Status5xx) && !a.Relative && !a.Below
}

// Failures returns the bad requests in w of an alarm that is [Alarm.OfFailures].
func (a Alarm) Failures(w Window) uint64 { return a.Metric.failures(&w) }

// Breaks reports whether w as a whole is beyond the limit of an alarm that is
// [Alarm.OfFailures], by enough bad requests to tell (R11). It is no verdict: nothing is
// said of how long it has lasted.
func (a Alarm) Breaks(w Window) bool {
	return a.breaches(&w, a.Limit) && a.bad(&w, a.Limit) >= a.Metric.evidence()
}
