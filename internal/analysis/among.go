package analysis

import (
	"fmt"
	"math"
)

// Among says how many verdicts can take back the rollout that an alarm is of. The
// chance of a false one adds up over them: of sixty members with an alarm that is wrong
// in 1 % of their rollouts one goes back by chance nearly every other time. So each asks
// for as much more evidence as there are others (R27). The zero Among, and one of a
// single test, is an alarm by itself.
type Among struct {
	Tests int // alarms of all members that may trip
	Steps int // of the rollout: at each of them counting begins anew
	// Silent says that no data of the workload hold nothing, as of a function that is
	// called now and then (R11): then what is no data is inconclusive where the few
	// requests that there were look bad.
	Silent bool
}

// perTest is R27's: of so many whole rollouts one goes back by chance at the most.
const perTest = 100

// alone reports whether no other verdict stands beside this one.
func (a Among) alone() bool { return a.Tests < 2 }

// trips is the evidence that it takes to trip, as a logarithm. A member that is well
// reaches it with the chance 1 / (100 × tests × steps) in a step, however often it is
// looked at.
func (a Among) trips() float64 {
	return math.Log(perTest * float64(a.Tests) * float64(max(a.Steps, 1)))
}

// holds is how likely it may be chance that a version looks as bad as it does, for a
// breach that has not lasted to hold a step. Where all members are just within their
// limits one look in three holds none, however many they are; of ten and fewer each
// holds as it does by itself.
func (a Among) holds() float64 { return min(holdsAt, 1/float64(a.Tests)) }

// weighed reports whether the alarm's breaches may be chance, so that their evidence is
// weighed. One over latency that is compared with stable has a limit that moves.
func (a Alarm) weighed() bool {
	return a.summed() || a.Metric.unit() == count && a.Metric.OfFunctions()
}

// weigh has a breach judged by the evidence that it takes among others. One that has
// lasted is inconclusive without it; one that has not, or is of too few bad requests to
// trip, passes while it is what chance does to one of so many. With the evidence a ratio
// trips even if data points within the limit lie in between.
func (j *judgement) weigh(r Reading, end int) Reading {
	missing := j.Missing == MissingBreaching && r.Breaching < j.M // it is no data that breaches
	if j.among.alone() || !j.weighed() || missing || r.Breaching == 0 {
		return r
	}
	pairs := j.pairs(end)
	s := worst(pairs, j.share(r.Limit))
	switch e := j.evidence(pairs, r.Limit); {
	case r.Verdict == Fail && e < j.among.trips():
		r.Verdict = Inconclusive
		r.Text += fmt.Sprintf("; it may be chance among %d alarms", j.among.Tests)
	case r.Verdict != Fail && e >= j.among.trips() && j.Metric.unit() == ratio:
		return j.refuse(r, s, end)
	case r.Verdict == Inconclusive && j.summed() && s.chance > j.among.holds():
		r.Verdict = Pass
		r.Text += fmt.Sprintf("; among %d alarms that is chance", j.among.Tests)
	}
	return r
}

// refuse has a ratio trip on its evidence, if the stretch that speaks most against the
// version is of as many requests, and has lasted as long, as the alarm asks for.
func (j *judgement) refuse(r Reading, s stretch, end int) Reading {
	if s.bad < j.Metric.evidence() || s.requests < uint64(j.Min) || end-s.from < j.M {
		return r
	}
	r.Text = j.sumText(r, s, Fail, end)
	r.Verdict, r.Requests, r.Bad, r.Since = Fail, s.requests, s.bad, j.start(s.from)
	r.Value = divide(float64(s.bad), float64(s.requests))
	return r
}

// worst is the stretch up to the end that speaks most against the version's being within
// the limit; an empty one, which is chance, where nothing does.
func worst(pairs []pair, limit float64) (most stretch) {
	var s stretch
	top, sum := 0.0, 0.0
	for i := len(pairs) - 1; i >= 0; i-- {
		p := pairs[i]
		s.requests, s.bad, s.from = s.requests+p.requests, s.bad+p.bad, p.k
		if sum += growth(p.bad, p.requests, limit, 2); sum > top {
			top, most = sum, s
		}
	}
	most.chance = atLeast(most.bad, most.requests, limit)
	return most
}
