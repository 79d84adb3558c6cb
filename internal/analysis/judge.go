package analysis

import (
	"slices"
	"time"
)

// Judge returns what the evaluation window that closed last says of the
// candidate: the last N periods since [Series.Begin], by CloudWatch's M-of-N
// rules, with the evidence that R11 asks for. It is deterministic, and the same
// until another period closes.
//
// The verdict is empty before the first period has closed. A breach that has not
// lasted, or rests on too little, is inconclusive; too few requests are no-data;
// both hold. Data points that are too small to be judged one by one are
// judged by their sum since the candidate was last seen to be well, too (R11). Relative alarms compare with stable in the same windows, or with the
// baseline where stable has too few requests there, and abstain without either.
// Stable and baseline may be nil. Both series must have been made for a.
func Judge(a Alarm, candidate, stable *Series, baseline *Baseline, now time.Time) Reading {
	return JudgeAmong(Among{}, a, candidate, stable, baseline, now)
}

// JudgeAmong is [Judge] of an alarm beside which others can take back the same
// rollout. A ratio, a quantile with a limit of its own, and a count that only functions
// have, trip then only if what speaks against the version suffices for all of them (R27).
// What is weighed, and what not, is in among.go; how, in evidence.go.
func JudgeAmong(among Among, a Alarm, candidate, stable *Series, baseline *Baseline, now time.Time) Reading {
	tried, base := candidate.grid(a.Period), stable.grid(a.Period)
	j := judgement{
		Alarm: a, among: among, baseline: baseline, origin: candidate.origin,
		candidate: tried.points, answers: tried.answers, slow: slices.Index(tried.limits, seconds(a.Limit)), stable: base.points, ofStable: base.answers,
	}
	end := candidate.closed(a.Period, now)
	j.known = candidate.known(a.Period, end)
	r, st := j.at(end)
	// "Ignore" keeps the state of one period before, as far back as is known.
	for back := 1; st == stateRetain && back <= min(a.N, end-1); back++ {
		var earlier Reading
		if earlier, st = j.at(end - back); st != stateRetain {
			r = earlier
		}
	}
	return j.weigh(r, end)
}

// judgement is one alarm with what it is judged on.
type judgement struct {
	Alarm
	among             Among
	baseline          *Baseline
	origin            time.Time
	known             int // the first period that is known
	candidate, stable []point
	answers, ofStable []answers // the candidate's, and stable's
	froze             bool      // it was compared with the baseline
	slow              int       // the alarm's limit in [answers].slow
}

// at judges the evaluation window that ends with the end-th period.
func (j *judgement) at(end int) (Reading, state) {
	r := Reading{Alarm: j.Name, Reaction: j.Reaction, Min: j.Min, M: j.M, N: j.N}
	if end <= 0 {
		r.Text = j.waitingText()
		return r, stateInsufficient
	}
	r.Closed = j.start(end)
	begin := min(end, max(j.known, end-j.N-extraDots))
	used := j.choose(begin, end)
	r.Requests = j.Metric.sample(used)
	if !j.compare(&r, used, begin, end) {
		return r, stateInsufficient
	}
	dots := j.dots(used, begin, end, r.Limit)
	for i := range used {
		r.Bad += j.bad(&used[i].w, r.Limit)
	}
	for i, d := range slices.Backward(dots) {
		if d == breach {
			r.Breaching++
			r.Since = j.start(begin + i)
		}
	}
	st := decide(dots, j.M, j.N, j.Missing)
	underWay := st == stateAlarm || pending(dots, j.M, j.N, j.Missing)
	// What is shown of a breach is the value over the data points that breach:
	// with M of N the others might hide it.
	if underWay {
		used = slices.DeleteFunc(slices.Clone(used), func(p point) bool { return dots[p.k-begin] != breach })
	}
	r.Value = j.shown(used, r.Limit)
	r.Verdict = j.verdict(r, st, underWay)
	r.Text = j.text(r)
	return j.withSum(r, st, end)
}

// withSum lets the sum of small data points speak where they let a version pass, or
// could not tell: it makes a verdict worse, never better.
func (j *judgement) withSum(r Reading, st state, end int) (Reading, state) {
	if !j.summed() || r.Verdict == Fail {
		return r, st
	}
	s, ok := j.stretch(end, r.Limit)
	if !ok {
		return r, st
	}
	switch v := j.sum(r, s, end); {
	case v == Fail:
		r.Text = j.sumText(r, s, v, end)
		r.Verdict, r.Requests, r.Bad, r.Since = v, s.requests, s.bad, j.start(s.from)
		if j.Metric.unit() == ratio { // a quantile is not a share: it stays that of the data points
			r.Value = divide(float64(s.bad), float64(s.requests))
		}
		return r, stateAlarm
	case v == Inconclusive && (r.Verdict == Pass || r.Verdict == NoData && j.among.Silent):
		r.Verdict, r.Text = v, j.sumText(r, s, v, end)
	}
	return r, st
}

// start returns when the k-th period begins.
func (j *judgement) start(k int) time.Time { return j.origin.Add(time.Duration(k) * j.Period) }

// choose returns the data points to judge: the last N measured ones of the
// evaluation range, oldest first.
func (j *judgement) choose(begin, end int) []point {
	all := between(j.candidate, begin, end)
	from := len(all)
	for n := 0; from > 0 && n < j.N; from-- {
		if j.Metric.measured(&all[from-1].w) {
			n++
		}
	}
	return all[from:]
}

// between returns the points of the periods begin to end-1.
func between(points []point, begin, end int) []point {
	from, to := 0, len(points)
	for to > 0 && points[to-1].k >= end {
		to--
	}
	for from < to && points[from].k < begin {
		from++
	}
	return points[from:to]
}

// dots classes the data points of the evaluation range by the limit.
func (j *judgement) dots(used []point, begin, end int, limit float64) []dot {
	dots := slices.Repeat([]dot{gap}, end-begin)
	// Counts are of the whole window, so all its data points agree.
	counts := j.Metric.unit() == count
	together := counts && j.value(used) > limit
	for i := range used {
		p := &used[i]
		switch {
		case !j.Metric.measured(&p.w):
		case together, !counts && j.breaches(&p.w, limit):
			dots[p.k-begin] = breach
		default:
			dots[p.k-begin] = within
		}
	}
	return dots
}

// compare sets the limit, and stable's value in the same windows. It reports
// false, with the reason in r, when the alarm has nothing to compare with.
func (j *judgement) compare(r *Reading, used []point, begin, end int) bool {
	if len(used) > 0 {
		begin = used[0].k
	}
	same := between(j.stable, begin, end)
	requests := j.Metric.sample(same)
	known := slices.ContainsFunc(same, func(p point) bool { return j.Metric.measured(&p.w) })
	if known {
		r.Stable, r.StableKnown = j.value(same), true
	}
	if !j.Relative {
		r.Limit = j.Limit
		r.Abstains = j.Metric == Memory && slices.ContainsFunc(used, func(p point) bool { return p.w.MemoryLimit == 0 })
		if r.Abstains {
			r.Text = "memory has no limit to be measured against"
		}
		return !r.Abstains
	}
	need := j.need()
	if j.froze = !known || requests < need; j.froze {
		frozen := j.frozen()
		if len(frozen) == 0 || j.Metric.sample(frozen) < need {
			r.Abstains, r.Text = true, j.abstainText(requests, need)
			return false
		}
		requests = j.Metric.sample(frozen)
		r.Stable, r.StableKnown = j.value(frozen), true
	}
	r.Limit = j.Limit * r.Stable
	if j.Metric.unit() == ratio {
		// What was never seen in n requests may still happen once in n.
		r.Limit = j.Limit * max(r.Stable, 1/float64(requests))
	}
	return true
}

// need is how many requests of stable make it a measure in the same windows. One
// that worked before is none while it is idle, whatever the metric.
func (j *judgement) need() uint64 {
	if b := j.baseline; b != nil && b.Requests > 0 {
		return max(j.reference(), 1)
	}
	return j.reference()
}

// frozen is the baseline as a data point.
func (j *judgement) frozen() []point {
	if j.baseline == nil || !j.Metric.measured(&j.baseline.Window) {
		return nil
	}
	return []point{{w: j.baseline.Window}}
}

// shown is the value for people: not above a limit whose bucket it shares.
func (j *judgement) shown(points []point, limit float64) float64 {
	v := j.value(points)
	if j.Metric.unit() == latency && Bucket(seconds(v)) == Bucket(seconds(limit)) {
		return min(v, limit)
	}
	return v
}

// verdict applies R11 to what the data points say.
func (j *judgement) verdict(r Reading, st state, underWay bool) Verdict {
	switch {
	case r.Requests < uint64(j.Min):
		return NoData
	case st == stateAlarm && r.Bad >= j.Metric.evidence():
		return Fail
	case underWay:
		return Inconclusive
	case st == stateInsufficient || st == stateRetain:
		return NoData
	default:
		return Pass
	}
}
