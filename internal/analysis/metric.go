package analysis

import (
	"slices"
	"strings"
)

// Metric is what an alarm looks at.
type Metric string

// The metrics. Beside them stand the latency quantiles: "p50" to "p999", the
// digits being those after the decimal point.
const (
	Errors    Metric = "errors"   // share of requests that were answered 5xx or broke on the way to or from the version
	Status5xx Metric = "5xx"      // share of requests that were answered 5xx
	Status4xx Metric = "4xx"      // share of requests that were answered 4xx
	RPS       Metric = "rps"      // requests a second
	CPU       Metric = "cpu"      // share of the CPU that the instances may use
	Memory    Metric = "memory"   // the largest instance's share of its memory limit
	Restarts  Metric = "restarts" // of instances, counted over the whole evaluation window
)

// The metrics that only functions have. The first three are counted over the whole
// evaluation window, and need no minimum of requests: where a version was measured and
// not called there were none.
const (
	Timeouts   Metric = "timeouts"    // invocations that were not done in their time
	OOM        Metric = "oom"         // invocations whose process was ended for its memory
	Throttles  Metric = "throttles"   // requests and events that found all instances at work
	ColdStarts Metric = "cold_starts" // share of requests for which an instance was started
	QueueAge   Metric = "queue"       // age of the oldest message in the queues that call it
)

// Metrics lists the metrics that an alarm may name, with the usual quantiles.
func Metrics() []Metric {
	return []Metric{
		Errors, Status5xx, Status4xx, "p50", "p75", "p90", "p95", "p99", "p999", RPS, CPU, Memory, Restarts,
		Timeouts, OOM, Throttles, ColdStarts, QueueAge,
	}
}

// unit says how a metric is measured, which decides how its limit is written and
// what evidence a verdict needs.
type unit int

const (
	ratio   unit = iota // bad requests among all: 1%
	latency             // a quantile of durations: 800ms
	rate                // requests a second: 5
	share               // of what may be used: 80%
	count               // things that happened: 2
	age                 // how long something has waited: 5m
)

func (m Metric) unit() unit {
	switch m {
	case Errors, Status5xx, Status4xx, ColdStarts:
		return ratio
	case RPS:
		return rate
	case CPU, Memory:
		return share
	case Restarts, Timeouts, OOM, Throttles:
		return count
	case QueueAge:
		return age
	default:
		return latency
	}
}

// OfRequests reports whether the metric says something about requests, so that
// too few of them say nothing (R11).
func (m Metric) OfRequests() bool { return m.unit() == ratio || m.unit() == latency }

// OfFunctions reports whether only functions have the metric: of a service it would be
// 0 for ever, and watch nothing.
func (m Metric) OfFunctions() bool {
	switch m {
	case Timeouts, OOM, Throttles, ColdStarts, QueueAge:
		return true
	default:
		return false
	}
}

// quantile returns the quantile of a latency metric in thousandths: 990 for p99.
func (m Metric) quantile() (thousandths int, ok bool) {
	digits, found := strings.CutPrefix(string(m), "p")
	if !found || len(digits) < 2 || len(digits) > 3 {
		return 0, false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		thousandths = thousandths*10 + int(d-'0')
	}
	if len(digits) == 2 {
		return thousandths * 10, thousandths >= 50
	}
	// p990 would be a second spelling of p99.
	return thousandths, thousandths >= 501 && thousandths%10 != 0
}

// longNames are the spellings of the long form (`metric: 5xx_rate`).
var longNames = map[Metric]string{Errors: "error_rate", Status5xx: "5xx_rate", Status4xx: "4xx_rate", QueueAge: "queue_age"}

// queueAge is how people say [QueueAge] in the short form: "queue age > 5m".
const queueAge = "queue age"

// later are metrics and sources of the manifest's language that a later version
// will judge; they are refused by name so that nobody believes they are watched.
var later = []string{"prometheus", "cloudwatch", "url"}

// parseMetric reads a metric in its short or long spelling.
func parseMetric(text string) (Metric, error) {
	for m, long := range longNames {
		if text == long {
			return m, nil
		}
	}
	if text == queueAge {
		return QueueAge, nil
	}
	m := Metric(text)
	if _, ok := m.quantile(); ok || slices.Contains(Metrics(), m) {
		return m, nil
	}
	if slices.Contains(later, text) {
		return "", notYet(text, "alarms on "+text+" are not available yet", "use one of "+metricNames())
	}
	if text == "" {
		return "", problem(text, "no metric", "begin with one of "+metricNames())
	}
	if near := nearestMetric(text); near != "" {
		return "", problem(text, "unknown metric "+quote(text), "did you mean "+near+"?")
	}
	return "", problem(text, "unknown metric "+quote(text), "use one of "+metricNames())
}

// nearestMetric returns the metric that text is most likely meant to be, or "".
func nearestMetric(text string) string {
	switch short := strings.TrimRight(text, "0"); {
	case text == "p100":
		return "p99" // the slowest request of all is no quantile
	case len(short) >= len("p99") && short != text:
		if _, ok := Metric(short).quantile(); ok {
			return short // p990
		}
	}
	return nearest(text, metricWords())
}

func metricWords() []string {
	var words []string
	for _, m := range Metrics() {
		words = append(words, string(m))
	}
	return append(words, "5xx_rate", "4xx_rate", "error_rate", "queue_age")
}

func metricNames() string {
	return "5xx, 4xx, errors, p50 … p999, rps, cpu, memory, restarts; of functions timeouts, oom, throttles, cold_starts, queue"
}
