package analysis

import (
	"fmt"
	"math"
	"time"
)

// A data point of few requests says little by itself: of a version that fails half
// of its requests, three in a row may well be served. So data points that are too
// small to be judged one by one are judged by their sum, too.
//
// A quantile is a ratio in other words: p99 is above 800 ms where more than 1 % of the
// requests take longer than that. One that is compared with stable has no sum: its limit
// moves with stable's latency, and what was slower than an earlier one says nothing.
const (
	// enough is how many requests a data point needs to be judged by itself: R11's
	// minimum. Of a version that fails half of them, 20 in a row are served once in
	// a million times.
	enough = defaultMin

	// tripsAt is how likely a version that is exactly at the limit may look as bad
	// as it does, for the sum to trip; holdsAt is the same for it to hold a step.
	// It is looked at some hundred times in a rollout, and not independently: about
	// 1 % of the rollouts of a version exactly at its limit go back by chance, next
	// to none of one at half its limit (a test plays it).
	tripsAt = 1e-4
	holdsAt = 0.1
)

// answers are those of a period in which there were requests, as far as sums ask.
type answers struct {
	k        int
	requests uint64
	bad      [4]uint64 // by [ratioIndex]
	timed    uint64    // whose latency is known
	slow     []uint64  // slower than each of the grid's limits
}

// summed reports whether the data points of the alarm have a sum.
func (a Alarm) summed() bool {
	return a.Metric.unit() == ratio || a.Metric.unit() == latency && !a.Relative && !a.Below
}

// share is the share of bad requests that is just within the limit.
func (a Alarm) share(limit float64) float64 {
	if q, ok := a.Metric.quantile(); ok {
		return float64(1000-q) / 1000
	}
	return limit
}

// of returns how many requests the alarm asks for, and how many of them are bad.
func (t *answers) of(j *judgement) (requests, bad uint64) {
	if j.Metric.unit() == latency {
		return t.timed, t.slow[j.slow]
	}
	return t.requests, t.bad[ratioIndex(j.Metric)]
}

// ratioIndex is a ratio's place in answers.
func ratioIndex(m Metric) int {
	switch m {
	case Status5xx:
		return 0
	case Status4xx:
		return 1
	case ColdStarts:
		return 2
	default:
		return 3
	}
}

// count adds a window, by limits of latency.
func (t *answers) count(w *Window, limits []time.Duration) {
	if len(limits) > 0 {
		t.timed += w.Latency.Total()
		for i, d := range limits {
			t.slow[i] += w.Latency.Above(d)
		}
	}
	t.requests += w.Requests
	for _, m := range []Metric{Status5xx, Status4xx, ColdStarts, Errors} {
		t.bad[ratioIndex(m)] += m.failures(w)
	}
}

// stretch is what a version did since it was last seen to be well: since the last
// [enough] requests in a row that were within the limit, or since its weight
// arrived.
type stretch struct {
	requests, bad uint64
	from          int     // the first period with a bad request
	chance        float64 // of as many bad requests and more, exactly at the limit
}

// stretch returns the stretch that ends with the end-th period, and whether there is
// one to judge: it has a bad request, and a data point too small to be judged by
// itself. With [enough] requests in each data point there is none, and M of N is all.
func (j *judgement) stretch(end int, limit float64) (s stretch, ok bool) {
	limit = j.share(limit)
	var group stretch
	small := false
	for i := len(j.answers) - 1; i >= 0; i-- {
		t := &j.answers[i]
		if t.k >= end {
			continue
		}
		requests, bad := t.of(j)
		small = small || requests > 0 && requests < enough
		group.requests += requests
		if bad > 0 {
			group.bad += bad
			group.from = t.k
		}
		if group.requests < enough && i > 0 {
			continue
		}
		if group.requests >= enough && float64(group.bad) <= limit*float64(group.requests) {
			break // it was well
		}
		s.requests += group.requests
		s.bad += group.bad
		if group.bad > 0 {
			s.from = group.from
		}
		group = stretch{}
	}
	if s.bad == 0 || !small {
		return s, false
	}
	s.chance = atLeast(s.bad, s.requests, limit)
	return s, true
}

// sum judges the stretch: [Fail] where it trips, [Inconclusive] where it holds, empty
// where it says nothing. Like the data points it must have lasted for as many periods
// as must breach, and one of the last must breach.
func (j *judgement) sum(r Reading, s stretch, end int) Verdict {
	switch {
	case s.chance <= tripsAt/float64(max(j.among.Tests, 1)) && s.bad >= j.Metric.evidence() && s.requests >= uint64(j.Min) && end-s.from >= j.M && r.Breaching > 0:
		return Fail
	case s.chance <= j.among.holds():
		return Inconclusive
	}
	return ""
}

// sumText is what the stretch says, as a sentence.
func (j *judgement) sumText(r Reading, s stretch, v Verdict, end int) string {
	of := Reading{Value: divide(float64(s.bad), float64(s.requests)), Limit: r.Limit}
	in := fmt.Sprintf("of %d requests in %s", s.requests, duration(time.Duration(end-s.from)*j.Period))
	text := fmt.Sprintf("%s was %s %s, %s", j.Metric.said(), j.valueText(of), in, j.limitSentence(r))
	if j.Metric.unit() == latency {
		text = fmt.Sprintf("%s: %s %% %s were slower than %s, limit %s %%", j.Metric, number(of.Value*100, 3), in, j.quantity(r.Limit, 3), number(j.share(0)*100, 3))
	}
	switch {
	case v == Fail:
		return text + ": more than chance"
	case s.bad < j.Metric.evidence():
		return fmt.Sprintf("%s; %d of the %d %s requests it takes to tell", text, s.bad, j.Metric.evidence(), j.Metric.bad())
	case end-s.from < j.M:
		return text + "; trips after " + duration(time.Duration(j.M)*j.Period)
	}
	return text + "; it may be chance"
}

// atLeast returns how likely bad or more of n requests fail where each fails with
// the chance p: the exact binomial tail, as Clopper and Pearson use it (Biometrika
// 26, 1934), and no approximation, which would be wrong for few requests.
func atLeast(bad, n uint64, p float64) float64 {
	b, m := float64(bad), float64(n)
	switch {
	case b <= m*p:
		return 1 // about a half and more: nobody asks how much
	case p <= 0:
		return 0
	}
	term := math.Exp(logBinomial(m, b) + b*math.Log(p) + (m-b)*math.Log1p(-p))
	sum := term
	for k := b; k < m && term > sum*1e-15; k++ {
		term *= (m - k) / (k + 1) * p / (1 - p)
		sum += term
	}
	return min(sum, 1)
}

func logBinomial(n, k float64) float64 {
	a, _ := math.Lgamma(n + 1)
	b, _ := math.Lgamma(k + 1)
	c, _ := math.Lgamma(n - k + 1)
	return a - b - c
}
