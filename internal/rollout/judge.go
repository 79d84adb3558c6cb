package rollout

import (
	"fmt"
	"slices"
	"time"

	"titrate/internal/analysis"
)

// IdleAfter is how long all versions of a workload must have measured no request
// before it is idle, and moves on health checks alone (R11).
const IdleAfter = 10 * time.Minute

// judgement says whether the candidates are seen to be well at this look.
type judgement struct {
	well       bool
	unmeasured bool              // well as far as health checks can tell (R11)
	member     int               // that is not well
	reading    *analysis.Reading // that says so; nil: there is none yet
}

// judge reads all armed alarms. Only a pass is well: not measured is not good,
// and not bad either. At 0 % there is nothing to measure, and a first release
// has nothing to be compared with; but their weight must be served, too.
func (l *look) judge(s State) judgement {
	j := judgement{well: true, member: -1}
	if s.Arrived.IsZero() || !l.served(s) {
		return judgement{member: -1}
	}
	if s.Weight == 0 || s.NoBaseline {
		return j
	}
	if blind := l.blind(s); blind != nil {
		return *blind
	}
	for i := range l.plan.Members {
		if !s.moves(l.plan, i) {
			continue
		}
		m := l.judgeMember(s, i)
		if !m.well {
			return m
		}
		j.unmeasured = j.unmeasured || m.unmeasured
	}
	return j
}

// blind returns the first alarm that cannot be measured because its source is
// down, whatever it would do if it tripped (R12); nil: there is none, or nothing
// to measure.
func (l *look) blind(s State) *judgement {
	if s.Weight == 0 || s.NoBaseline || !l.observed() {
		return nil
	}
	for i := range l.plan.Members {
		if !s.moves(l.plan, i) {
			continue
		}
		readings := l.seen.Members[i].Readings
		for n := range readings {
			if readings[n].Err != "" {
				return &judgement{member: i, reading: &readings[n]}
			}
		}
	}
	return nil
}

// judgeMember reads one member's alarms. One that is idle, or works without
// requests, does not hold the others when it has no data. Where each alarm about
// its requests abstains there is no data either; with none of these alarms, health
// is all that was asked for.
func (l *look) judgeMember(s State, i int) judgement {
	member, seen := &l.plan.Members[i], &l.seen.Members[i]
	silent := member.Worker || member.Function || seen.Idle >= IdleAfter
	j := judgement{well: true, member: i}
	measured := false
	for n := range seen.Readings {
		r := &seen.Readings[n]
		if r.Reaction == analysis.ReactNotify {
			continue
		}
		asked := member.asksOfRequests(r.Alarm)
		switch verdict := l.verdict(s, r); {
		case r.Abstains:
			if asked && j.reading == nil {
				j.reading = r
			}
		case verdict == analysis.Pass, verdict == analysis.Fail && l.waived(s, l.alarmCause(s, i, r)):
			measured = measured || asked
		// Of a function it is waited until a data point has closed: its calls may all have come
		// since the weight arrived.
		case verdict == "" && silent && !member.Function,
			verdict == analysis.NoData && (silent || l.plan.NoDataPasses):
			j.unmeasured = !member.Worker
		default:
			return judgement{member: i, reading: r}
		}
	}
	j.unmeasured = j.unmeasured || !measured && !member.Worker
	switch {
	case len(seen.Readings) < len(member.Alarms):
		j.well, j.unmeasured, j.reading = silent && !member.Function, !member.Worker, nil
	case j.reading != nil && !measured && !silent && !l.plan.NoDataPasses && s.Stable[i] != 0:
		j.well = false
	}
	// Whether a function was measured is asked when its bake ends: by its invocations.
	j.unmeasured = j.unmeasured && !member.Function
	return j
}

// asksOfRequests reports whether an alarm of the member is about its requests.
func (m *Member) asksOfRequests(alarm string) bool {
	i := slices.IndexFunc(m.Alarms, func(a analysis.Alarm) bool { return a.Name == alarm })
	return i < 0 || m.Alarms[i].Metric.OfRequests()
}

// period is how long a data point of the member's alarm is; 0: it has none of that name.
func (m *Member) period(alarm string) time.Duration {
	i := slices.IndexFunc(m.Alarms, func(a analysis.Alarm) bool { return a.Name == alarm })
	if i < 0 {
		return 0
	}
	return m.Alarms[i].Period
}

// verdict is what a reading says of the weight that is served now: one of a
// window that closed before it arrived says nothing (R13).
func (l *look) verdict(s State, r *analysis.Reading) analysis.Verdict {
	if r.Err != "" || s.Arrived.IsZero() || !r.Closed.IsZero() && !r.Closed.After(s.Arrived) {
		return ""
	}
	return r.Verdict
}

// why says what is not well, for people.
func (l *look) why(s State, j judgement) string {
	switch {
	case j.member < 0 && !l.observed():
		return "nothing was observed"
	case j.member < 0:
		return fmt.Sprintf("the gateway has not confirmed %s", s.Weight)
	case j.reading == nil:
		return l.plan.Members[j.member].Workload + " has no reading yet"
	}
	r, workload := j.reading, l.plan.Members[j.member].Workload
	switch {
	case r.Err != "":
		return fmt.Sprintf("%s of %s cannot be measured: %s", r.Alarm, workload, r.Err)
	case r.Abstains:
		return r.Alarm + " of " + workload + " has no verdict: " + r.Text
	case l.verdict(s, r) == analysis.NoData:
		return fmt.Sprintf("%s of %s has %d of %d requests", r.Alarm, workload, r.Requests, r.Min)
	case l.verdict(s, r) == "":
		return fmt.Sprintf("no window of %s of %s has closed yet", r.Alarm, workload)
	}
	return fmt.Sprintf("%s of %s: %s", r.Alarm, workload, r.Text)
}
