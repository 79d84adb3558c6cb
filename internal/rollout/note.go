package rollout

import (
	"slices"
	"strings"
	"time"

	"titrate/internal/analysis"
)

// note writes down what a look shows and a later look must know: how hooks
// ended, and since when something is missing. It moves nothing.
func (l *look) note(s State) State {
	s = l.noteHooks(s)
	switch s.Phase {
	case Starting:
		return l.noteCapacity(s)
	case Shifting, Baking:
		return l.noteNotices(l.noteJudgement(l.noteServed(l.noteCapacity(s))))
	case Returning:
		return l.noteCapacity(s)
	case Queued, Retiring, Ended:
	}
	return s
}

// noteCapacity keeps Short: since when a candidate has too few ready instances.
// While it starts, not seen is not ready; later, not seen says nothing.
func (l *look) noteCapacity(s State) State {
	if !s.Up || s.changing(l.plan) || !l.observed() && s.Phase != Starting {
		return s
	}
	if !l.seen.Unwatched.IsZero() && !s.Short.IsZero() {
		s.Short = l.now
	}
	s.Short = since(s.Short, !l.candidatesCarry(s, max(s.goal(l.plan), s.most())), l.now)
	return s
}

// noteServed keeps Unserved and Gap: when it is not known that the gateway serves
// the weight, or what that does cannot be measured, time does not count (R12, R13).
func (l *look) noteServed(s State) State {
	if s.Arrived.IsZero() {
		return s
	}
	counts := l.served(s) && l.blind(s) == nil
	if counts && !s.Unserved.IsZero() {
		s.Gap += l.now.Sub(s.Unserved)
	}
	s.Unserved = since(s.Unserved, !counts, l.lastWatched(s))
	return s
}

// lastWatched is until when time counted at the latest, should it not count now:
// until nobody watched any more, but not before there was anything to count.
func (l *look) lastWatched(s State) time.Time {
	from := s.Arrived
	if s.Phase == Baking {
		from = s.Since
	}
	switch unwatched := l.seen.Unwatched; {
	case unwatched.IsZero() || unwatched.After(l.now):
		return l.now
	case unwatched.Before(from):
		return from
	default:
		return unwatched
	}
}

// noteJudgement keeps Unjudged: since when there is no clear verdict (R11).
func (l *look) noteJudgement(s State) State {
	s.Unjudged = since(s.Unjudged, !l.judge(s).well, l.now)
	return s
}

// since keeps the moment from which something has been so without a break.
func since(was time.Time, so bool, now time.Time) time.Time {
	switch {
	case !so:
		return time.Time{}
	case was.IsZero():
		return now
	}
	return was
}

// noteNotices adds, once each, alarms that only notify and sources that are lost.
func (l *look) noteNotices(s State) State {
	if !l.observed() {
		return s
	}
	for i := range l.seen.Members {
		readings := l.seen.Members[i].Readings
		for n := range readings {
			r := &readings[n]
			switch {
			case r.Err != "":
				s = s.notice(l.plan.Members[i].Workload+": "+r.Alarm+" cannot be measured", r.Err)
			case r.Reaction == analysis.ReactNotify && l.verdict(s, r) == analysis.Fail:
				s = s.notice(l.plan.Members[i].Workload+": "+r.Alarm, r.Text)
			}
		}
	}
	return s
}

// notice adds what to a subject that has none yet.
func (s State) notice(subject, what string) State {
	subject += ": "
	if !slices.ContainsFunc(s.Notices, func(n string) bool { return strings.HasPrefix(n, subject) }) {
		s.Notices = append(slices.Clip(s.Notices), subject+what)
	}
	return s
}
