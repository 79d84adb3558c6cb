package controller

import (
	"fmt"
	"strings"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

// mostLately bounds what is remembered of a function that is called in every second.
const mostLately = 5 * time.Minute

// lately is what the stable version of a function answered last: in the time that its
// alarms look at, and further back until that is as many calls as make a function
// measured. No rollout judges a stable version; this is for people to see, and nothing is
// decided by it.
type lately struct {
	version rollout.Version
	windows []analysis.Window // with calls, oldest first; only their counts
	sum     analysis.Window
}

// add counts a window of the stable version. span is what the alarms look at.
func (t *lately) add(w world.VersionWindow, span time.Duration) {
	if t.version != w.Version {
		*t = lately{version: w.Version}
	}
	if w.Requests == 0 {
		return
	}
	window := w.Window
	window.Latency = analysis.Histogram{}
	t.windows = append(t.windows, window)
	t.sum.Merge(window)
	since, drop := window.End().Add(-min(span, mostLately)), 0
	for left := t.sum.Requests; drop < len(t.windows); drop++ {
		left -= t.windows[drop].Requests
		if left < rollout.EnoughInvocations || !t.windows[drop].Start.Before(since) {
			break
		}
	}
	if drop == 0 {
		return
	}
	t.windows = append(t.windows[:0], t.windows[drop:]...)
	t.sum = analysis.Window{}
	for _, w := range t.windows {
		t.sum.Merge(w)
	}
}

// span is the longest time that an alarm over failed calls looks at.
func span(alarms []analysis.Alarm) (longest time.Duration) {
	for _, a := range alarms {
		if a.OfFailures() {
			longest = max(longest, a.Period*time.Duration(a.N))
		}
	}
	return longest
}

// failing says which of the alarms the calls break, and of what they failed; empty where
// they break none.
func (t *lately) failing(v rollout.Version, alarms []analysis.Alarm) string {
	if t.version != v {
		return ""
	}
	for _, a := range alarms {
		if !a.OfFailures() || !a.Breaks(t.sum) {
			continue
		}
		bad := a.Failures(t.sum)
		return fmt.Sprintf("%d of the last %d calls of %s failed (%.3g %%): %s; its alarm is %s", bad, t.sum.Requests, v, 100*float64(bad)/float64(t.sum.Requests), kinds(t.sum, bad), a.Text)
	}
	return ""
}

// kinds says of what so many calls failed.
func kinds(w analysis.Window, bad uint64) string {
	var out []string
	add := func(n uint64, one, more string) {
		switch {
		case n == 1:
			out = append(out, "1 "+one)
		case n > 1:
			out = append(out, fmt.Sprintf("%d %s", n, more))
		}
	}
	add(w.Timeouts, "timeout", "timeouts")
	add(w.OOM, "kill for memory", "kills for memory")
	add(bad-min(bad, w.Timeouts+w.OOM), "exception, crash or answer of 5xx", "exceptions, crashes or answers of 5xx")
	return strings.Join(out, ", ")
}
