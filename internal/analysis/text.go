package analysis

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// text is the reading as a sentence.
func (j *judgement) text(r Reading) string {
	switch r.Verdict {
	case NoData:
		if j.Min > 0 {
			return fmt.Sprintf("%d of %d requests in %s", r.Requests, r.Min, j.spanText())
		}
		return fmt.Sprintf("%s was not measured for %s", j.Metric.said(), j.spanText())
	case Pass:
		return fmt.Sprintf("%s was %s over %s, %s", j.Metric.said(), j.valueText(r), j.spanText(), j.limitSentence(r))
	case Inconclusive:
		return j.breachText(r) + "; " + j.lacking(r)
	default:
		return j.breachText(r)
	}
}

// breachText says what breached and for how long.
func (j *judgement) breachText(r Reading) string {
	lasted := "for " + duration(time.Duration(r.Breaching)*j.Period)
	switch {
	case r.Breaching == 0:
		return fmt.Sprintf("%s was not measured for %s, and missing data counts as a breach", j.Metric.said(), j.spanText())
	case j.Metric.unit() == count:
		return fmt.Sprintf("%s %s in %s, %s", number(r.Value, 3), j.Metric.things(r.Value), j.spanText(), j.limitSentence(r))
	case j.M < j.N:
		lasted = fmt.Sprintf("in %d of %d periods of %s", r.Breaching, j.N, duration(j.Period))
	}
	return fmt.Sprintf("%s was %s %s, %s", j.Metric.said(), j.valueText(r), lasted, j.limitSentence(r))
}

// lacking says what an inconclusive breach lacks to trip.
func (j *judgement) lacking(r Reading) string {
	if need := j.Metric.evidence(); r.Bad < need {
		return fmt.Sprintf("%d of the %d %s requests it takes to tell", r.Bad, need, j.Metric.bad())
	}
	if j.M < j.N {
		return fmt.Sprintf("trips at %d", j.M)
	}
	return "trips after " + j.spanText()
}

func (j *judgement) limitSentence(r Reading) string {
	limit := j.quantity(r.Limit, 6)
	if j.Relative {
		return fmt.Sprintf("limit %s (%sx stable's %s)", j.quantity(r.Limit, 3), formatNumber(j.Limit), j.quantity(r.Stable, 3))
	}
	return "limit " + limit
}

func (j *judgement) abstainText(requests, need uint64) string {
	if j.Metric.OfRequests() {
		return fmt.Sprintf("%s has nothing to compare with: stable had %d of %d requests", j.Metric.said(), requests, need)
	}
	return fmt.Sprintf("%s has nothing to compare with: stable was not measured", j.Metric.said())
}

func (j *judgement) waitingText() string {
	return fmt.Sprintf("%s: the first %s have not passed", j.Metric.said(), duration(j.Period))
}

func (j *judgement) spanText() string { return duration(j.window()) }

// valueText writes the value with as many digits as tell it from the limit.
func (j *judgement) valueText(r Reading) string {
	for digits := 3; ; digits++ {
		s := j.quantity(r.Value, digits)
		if digits == 9 || s != j.quantity(r.Limit, digits) {
			return s
		}
	}
}

// quantity writes x in the metric's unit with so many significant digits.
func (j *judgement) quantity(x float64, digits int) string {
	switch u := j.Metric.unit(); {
	case j.Metric == Memory && j.Relative:
		return number(x/(1<<20), digits) + " MiB"
	case u == ratio || u == share:
		return number(x*100, digits) + " %"
	case u == rate:
		return number(x, digits) + "/s"
	case u == count:
		return number(x, digits)
	case u == age && (x == 0 || x != math.Trunc(x)):
		return number(x, digits) + " s"
	case u == age:
		return duration(time.Duration(x) * time.Second)
	case x < 0.001:
		return number(x*1e6, digits) + " µs"
	case x < 1:
		return number(x*1e3, digits) + " ms"
	default:
		return number(x, digits) + " s"
	}
}

// number writes x with at most so many significant digits and no exponent.
func number(x float64, digits int) string {
	if x == 0 {
		return "0"
	}
	decimals := max(0, digits-1-int(math.Floor(math.Log10(math.Abs(x)))))
	s := strconv.FormatFloat(x, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// duration writes d for people: "2 s", "1 min 30 s".
func duration(d time.Duration) string {
	var parts []string
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / u.unit; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			d %= u.unit
		}
	}
	return strings.Join(parts, " ")
}

// said is the metric in a sentence.
func (m Metric) said() string {
	switch m {
	case QueueAge:
		return queueAge
	case ColdStarts:
		return "share of cold starts"
	case OOM:
		return "kills for memory"
	default:
		return string(m)
	}
}

// things are what a count counts, n of them.
func (m Metric) things(n float64) string {
	if n == 1 {
		one := map[Metric]string{Restarts: "restart", Timeouts: "timeout", OOM: "kill for memory", Throttles: "throttled call"}
		return one[m]
	}
	switch m {
	case Throttles:
		return "throttled calls"
	default:
		return m.said()
	}
}

// counted is what is said of a count: "restarts are counted".
func (m Metric) counted() string {
	if m == OOM {
		return string(m) + " is counted"
	}
	return string(m) + " are counted"
}

// bad is the word for the bad requests of a ratio or a quantile.
func (m Metric) bad() string {
	switch {
	case m.unit() == latency:
		return "slow"
	case m == ColdStarts:
		return "cold"
	default:
		return "failed"
	}
}
