package rollout

import (
	"fmt"
	"iter"
	"slices"
	"strconv"

	"titrate/internal/analysis"
)

// fault is something that takes a candidate back, or stops it.
type fault struct {
	cause    string // names it as long as the step lasts; a person who goes on waives it
	why      string
	member   int
	evidence *analysis.Reading
	asks     bool // pauses and asks a person, instead of going back
}

// back is the end that a fault brings.
func (f fault) back() Back {
	b := Back{Outcome: RolledBack, Why: f.why, Member: f.member}
	if f.evidence != nil {
		r := *f.evidence // the look's own: it must not change under the state
		b.Evidence = &r
	}
	return b
}

// trip goes back on the first fault that takes back, whether paused or not; if
// there is none, it pauses on the first that asks.
func trip(l *look, s State) (State, bool) {
	var asks *fault
	for f := range l.faults(s) {
		if !f.asks {
			return l.goBack(s, f.back()), true
		}
		if asks == nil {
			asks = &f
		}
	}
	if asks == nil || s.Pause != nil {
		return s, false
	}
	return l.pauseFor(s, asks.cause, asks.why), true
}

// faults are all faults at this look that nobody waived. A rollback that already
// has traffic only asks: what it left was bad too, and a person chose (R8).
func (l *look) faults(s State) iter.Seq[fault] {
	return func(yield func(fault) bool) {
		report := func(f fault) bool {
			if l.waived(s, f.cause) {
				return true
			}
			f.asks = (f.asks || l.plan.Kind == Rollback && s.Took) && !s.gap(l.plan)
			return yield(f)
		}
		_ = l.damageFaults(yield) && l.hookFaults(s, report) && l.healthFaults(s, report) && l.alarmFaults(s, report)
	}
}

// healthFaults reports candidates that do not come up, do not stay up, or crash
// again and again (R14). They are watched from the first moment (R13).
func (l *look) healthFaults(s State, report func(fault) bool) bool {
	if !s.Up || s.changing(l.plan) {
		return true
	}
	restarts, worst := 0, 0
	for i := range l.plan.Members {
		if !s.moves(l.plan, i) || !l.observed() {
			continue
		}
		m := &l.seen.Members[i]
		if m.Failure != "" && !report(fault{
			cause: s.cause(l.plan, i, "start"), member: i,
			why: fmt.Sprintf("%s did not start: %s", l.candidate(i), m.Failure),
		}) {
			return false
		}
		n := max(m.Restarts-s.Restarts[i], 0)
		restarts += n
		if n > max(l.seen.Members[worst].Restarts-s.Restarts[worst], 0) {
			worst = i
		}
	}
	if restarts >= max(l.plan.MaxRestarts, 1) && !report(fault{
		cause: s.cause(l.plan, worst, "restarts"), member: worst,
		why: fmt.Sprintf("%s keeps crashing: %d restarts in this attempt", l.candidate(worst), restarts),
	}) {
		return false
	}
	if s.Short.IsZero() || l.now.Sub(s.Short) < l.plan.StartTimeout || !l.observed() && s.Phase != Starting {
		return true
	}
	i, ready, needs := l.shortest(s)
	why := fmt.Sprintf("%s was not ready in %s: %d of %d instances", l.candidate(i), span(l.plan.StartTimeout), ready, needs)
	if l.observed() && l.seen.Members[i].Unready != "" {
		why += "; " + l.seen.Members[i].Unready
	}
	return report(fault{cause: l.shortage(s), member: i, why: why})
}

// alarmFaults reports alarms that fail, by their reaction (R27), and a metric
// source that is down if that was asked for (R12).
func (l *look) alarmFaults(s State, report func(fault) bool) bool {
	if !l.observed() || s.Arrived.IsZero() || s.NoBaseline {
		return true
	}
	for i := range l.seen.Members {
		if !s.moves(l.plan, i) {
			continue
		}
		readings := l.seen.Members[i].Readings
		for n := range readings {
			r := &readings[n]
			f := fault{member: i, evidence: r, asks: r.Reaction == analysis.ReactPause}
			switch {
			case r.Abstains || r.Reaction == analysis.ReactNotify:
				continue
			case r.Err != "" && l.plan.SourceErrorRollback:
				f.why = fmt.Sprintf("%s of %s cannot be measured: %s", r.Alarm, l.plan.Members[i].Workload, r.Err)
			case l.verdict(s, r) == analysis.Fail:
				f.why = fmt.Sprintf("%s: %s", l.candidate(i), r.Text)
			default:
				continue
			}
			f.cause = l.alarmCause(s, i, r)
			if !report(f) {
				return false
			}
		}
	}
	return true
}

// cause names a fault of a member at this step.
func (s State) cause(p *Plan, member int, name string) string {
	return p.Members[member].Workload + "/" + name + "@" + strconv.Itoa(s.Step)
}

func (l *look) alarmCause(s State, member int, r *analysis.Reading) string {
	return s.cause(l.plan, member, "alarm "+r.Alarm)
}

// waived reports whether a person said go on in spite of a cause. Too few instances
// can be borne with a weight that has been given, not with one that is to come (R5).
func (l *look) waived(s State, cause string) bool {
	if cause == l.shortage(s) && (s.Phase == Starting || s.Weight < s.goal(l.plan)) {
		return false
	}
	return slices.Contains(s.Waived, cause)
}

// shortage is the cause of having too few ready instances.
func (l *look) shortage(s State) string { return s.cause(l.plan, 0, "ready") }

// candidate names member i's candidate for people: "orders v17".
func (l *look) candidate(i int) string {
	m := &l.plan.Members[i]
	return m.Workload + " " + m.Candidate.String()
}
