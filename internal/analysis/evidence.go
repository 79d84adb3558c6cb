package analysis

import "math"

// Judge (b) of R27: how much speaks against a version, as a number that may be looked
// at after each data point without erring more often for it.
//
// A bet on each data point pays what is true on average at the most: the likelihood of
// its bad requests were they θ times as likely as they should be, over that were they
// not. So does the product of the bets, a mixture of such products over θ (Robbins,
// "Statistical methods related to the law of the iterated logarithm", Annals of
// Mathematical Statistics 41, 1970), and one over when it may have begun. What pays 1 on
// average at the most is ever worth x with the chance 1/x (Ville, 1939), whenever and
// however often one looks: Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform,
// nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49, 2021.
//
// There are two bets, and half of the money is on each:
//
//   - against the alarm's limit: the version fails no more than that;
//   - against stable in the same windows: the version fails no more than stable does. Of
//     the bad requests of both in a window the version has then its share of the requests.
//     They are drawn without replacement, of which the binomial bet pays no more than is
//     true (Hoeffding, Journal of the American Statistical Association 58, 1963, theorem 4).
//     Where stable has no requests, it pays back what was put in.
//
// So a version that is within its limit and no worse than stable looks bad with that
// chance at the most; one that is neither loses half of the money, which is one bad
// request more.

// bets is how many factors θ are bet on: 2, 4, 8 … 256.
const bets = 8

// pair is what candidate and stable did in a period.
type pair struct {
	k                     int
	requests, bad         uint64
	ofStable, badOfStable uint64 // stable's requests, and the bad among them
}

// evidence is what speaks against the candidate in the periods since its weight
// arrived, as a logarithm. An alarm that compares with stable makes one bet: on stable
// in the same windows, or on the baseline, which does not move.
func (j *judgement) evidence(pairs []pair, limit float64) float64 {
	switch {
	case j.Relative && j.froze:
		return wealth(pairs, j.againstLimit(limit))
	case j.Relative:
		return wealth(pairs, againstStable(j.Limit))
	}
	return logSum(wealth(pairs, j.againstLimit(limit)), wealth(pairs, againstStable(1))) - math.Ln2
}

// bet is what a period pays of whom bad requests are bet to be theta times as likely, as
// a logarithm.
type bet func(p pair, theta float64) float64

// againstLimit bets that there is more than the limit: a share of the requests or, of
// a count, so many in an evaluation window.
func (j *judgement) againstLimit(limit float64) bet {
	if j.Metric.unit() == count {
		mean := limit / float64(j.N)
		return func(p pair, theta float64) float64 { return growthOfCount(p.bad, mean, theta) }
	}
	limit = j.share(limit)
	return func(p pair, theta float64) float64 { return growth(p.bad, p.requests, limit, theta) }
}

// againstStable bets that the candidate's requests are bad more than so many times as
// often as stable's.
func againstStable(times float64) bet {
	return func(p pair, theta float64) float64 {
		if p.ofStable == 0 || p.requests == 0 {
			return 0
		}
		mine := times * float64(p.requests)
		return growth(p.bad, p.bad+p.badOfStable, mine/(mine+float64(p.ofStable)), theta)
	}
}

// growth is the logarithm of what a bet on θ pays of whom bad of n were bad, each with
// the chance p.
func growth(bad, n uint64, p, theta float64) float64 {
	if bad == 0 && n == 0 {
		return 0
	}
	if p <= 0 && bad > 0 {
		return math.Inf(1) // it never happens
	}
	return float64(bad)*math.Log(theta) - float64(n)*math.Log1p((theta-1)*p)
}

// growthOfCount is the same of things that happen so often on average.
func growthOfCount(n uint64, mean, theta float64) float64 {
	if mean <= 0 && n > 0 {
		return math.Inf(1)
	}
	return float64(n)*math.Log(theta) - (theta-1)*mean
}

// wealth is what the bets are worth after the pairs, as a logarithm. Of the money on each θ
// the part 1/((k+1)(k+2)) waits for the k-th period: a version that goes bad late has
// not lost all of it while it was well. What waited for periods that are not kept any
// more is left out, which makes it less.
func wealth(pairs []pair, pays bet) float64 {
	sum := 0.0
	for i := range bets {
		theta, w := math.Ldexp(2, i), 0.0
		for _, p := range pairs {
			g := pays(p, theta)
			if math.IsInf(g, 1) {
				return g
			}
			w = min((w+1/(float64(p.k+1)*float64(p.k+2)))*math.Exp(g), fortune)
		}
		sum += w
	}
	return math.Log(sum / bets)
}

// fortune is more than anybody asks for: beyond it nothing is won.
const fortune = 1e280

// logSum returns log(e^a + e^b).
func logSum(a, b float64) float64 {
	switch hi, lo := max(a, b), min(a, b); {
	case math.IsInf(hi, 0):
		return hi
	default:
		return hi + math.Log1p(math.Exp(lo-hi))
	}
}

// pairs are the periods before the end-th in which the candidate did anything.
func (j *judgement) pairs(end int) []pair {
	mine, theirs := j.acts()
	pairs := make([]pair, 0, len(mine))
	at := 0
	for _, p := range mine {
		if p.k >= end {
			break
		}
		for at < len(theirs) && theirs[at].k < p.k {
			at++
		}
		if at < len(theirs) && theirs[at].k == p.k {
			p.ofStable, p.badOfStable = theirs[at].requests, theirs[at].bad
		}
		pairs = append(pairs, p)
	}
	return pairs
}

// acts are the periods of candidate and stable, each by itself.
func (j *judgement) acts() (mine, theirs []pair) {
	if j.Metric.unit() == count {
		return j.happenings(j.candidate), j.happenings(j.stable)
	}
	of := func(all []answers) []pair {
		pairs := make([]pair, 0, len(all))
		for i := range all {
			requests, bad := all[i].of(j)
			pairs = append(pairs, pair{k: all[i].k, requests: requests, bad: bad})
		}
		return pairs
	}
	return of(j.answers), of(j.ofStable)
}

// happenings are those of a count. What was throttled is no request, but was a call.
func (j *judgement) happenings(points []point) []pair {
	pairs := make([]pair, 0, len(points))
	for i := range points {
		w := &points[i].w
		p := pair{k: points[i].k, requests: w.Requests, bad: j.Metric.happened(w)}
		if j.Metric == Throttles {
			p.requests += p.bad
		}
		pairs = append(pairs, p)
	}
	return pairs
}
