package analysis

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What an alarm means when its text does not say.
const (
	defaultFor = time.Minute
	defaultMin = 20 // R11

	// longest is the longest evaluation window: what a person would wait for.
	longest = time.Hour
)

// Long is the long form of an alarm, as `titrate validate --expand` prints it.
// Every field is the text that stands in the manifest, empty when the key is
// absent, so that an error can point into it.
type Long struct {
	Metric  string `json:"metric" yaml:"metric"`                       // "5xx_rate" or "5xx", "p99", "rps" …
	Above   string `json:"above,omitempty" yaml:"above,omitempty"`     // "1%", "800ms", "1.2x stable"; exactly one of Above and Below
	Below   string `json:"below,omitempty" yaml:"below,omitempty"`     // "5"
	For     string `json:"for,omitempty" yaml:"for,omitempty"`         // the evaluation window, a whole number of periods; "1m" when empty
	Of      string `json:"of,omitempty" yaml:"of,omitempty"`           // "3 of 5": For is split into 5 periods, 3 of which must breach
	Min     string `json:"min,omitempty" yaml:"min,omitempty"`         // requests in the evaluation window; "20" when empty
	Missing string `json:"missing,omitempty" yaml:"missing,omitempty"` // a [Missing]; "missing" when empty
	React   string `json:"react,omitempty" yaml:"react,omitempty"`     // a [Reaction]; "rollback" when empty

	// Source is the key of another source that stands there instead of a metric
	// ("prometheus", "cloudwatch", "url"): refused as not available yet.
	Source string `json:"-" yaml:"-"`
}

// Alarm checks the long form. An error is [ParseErrors], each with the Field that
// is wrong; what depends on a field that is wrong is not judged.
func (l Long) Alarm(name string) (Alarm, error) {
	var wrong ParseErrors
	if l.Source != "" {
		wrong.add(l.Source, notYet("", "alarms on "+l.Source+" are not available yet", "use a metric: "+metricNames()))
		return Alarm{}, wrong
	}
	a := Alarm{Name: name}
	var err error
	a.Metric, err = parseMetric(l.Metric)
	wrong.add("metric", err)
	a.setLimit(l.Above, l.Below, &wrong)
	a.setWindow(l.For, l.Of, &wrong)
	a.Min, err = parseMin(a.Metric, l.Min)
	wrong.add("min", err)
	a.Missing, err = oneOf(l.Missing, treatments())
	wrong.add("missing", err)
	a.Reaction, err = oneOf(l.React, []Reaction{ReactRollback, ReactPause, ReactNotify})
	wrong.add("react", err)
	if len(wrong) > 0 {
		return Alarm{}, wrong
	}
	a.Text = a.String()
	return a, nil
}

func treatments() []Missing {
	return []Missing{MissingMissing, MissingIgnore, MissingBreaching, MissingNotBreaching}
}

func (a *Alarm) setLimit(above, below string, wrong *ParseErrors) {
	if above != "" && below != "" {
		wrong.add("below", problem(below, "above and below at once", "keep one, or write two alarms"))
		return
	}
	field, text := "above", above
	if below != "" {
		field, text = "below", below
	}
	switch u := a.Metric.unit(); {
	case a.Metric == "":
		wrong.add(field, limitOfAny(text))
	case text == "":
		wrong.add("above", problem("", "no limit", "add above: "+exampleLimit(a.Metric)))
	case below != "" && u != rate && u != share:
		p := problem(below, string(a.Metric)+" trips above its limit only", "write above")
		p.Key = true
		wrong.add("below", p)
	default:
		a.Below = below != ""
		wrong.add(field, a.parseLimit(text))
	}
}

// limitOfAny says of the limit of an unknown metric that it is none of any other.
func limitOfAny(text string) error {
	if text == "" {
		return problem("", "no limit", "add above: 1%, 800ms or 5")
	}
	for _, m := range []Metric{Errors, "p99", RPS, CPU, QueueAge} {
		if a := (Alarm{Metric: m}); a.parseLimit(text) == nil {
			return nil
		}
	}
	return problem(text, "not a limit", "write 1%, 800ms, 5 or 1.2x stable")
}

// setWindow sets period, M and N. A period is 10 s, or 1 s where the window is
// shorter; a window that is no whole number of them is an error rather than
// rounded, because the text is what people will quote in a review.
func (a *Alarm) setWindow(window, of string, wrong *ParseErrors) {
	before := len(*wrong)
	d, err := parseWindow(window)
	wrong.add("for", err)
	if of != "" {
		a.M, a.N, err = a.parseMofN(of)
		wrong.add("of", err)
	}
	if len(*wrong) > before {
		return
	}
	if of != "" {
		step := time.Duration(a.N) * time.Second // what the window must be a multiple of
		if up := roundUp(d, step); up != d {
			wrong.add("for", problem(window, formatDuration(d)+" cannot be split into "+strconv.Itoa(a.N)+" periods of whole seconds", "write "+formatDuration(up)))
		}
		a.Period = d / time.Duration(a.N)
		return
	}
	a.Period = 10 * time.Second
	if d < a.Period {
		a.Period = time.Second
	}
	if up := roundUp(d, a.Period); up != d {
		wrong.add("for", problem(window, "not a whole number of "+formatDuration(a.Period)+" periods", "write "+formatDuration(up)))
	}
	a.N = int(d / a.Period)
	a.M = a.N
	if a.Metric.unit() == count {
		a.M = 1 // the sum over the window is one figure: it breaches or it does not
	}
}

func parseWindow(text string) (time.Duration, error) {
	if text == "" {
		return defaultFor, nil
	}
	d, ok := parseDuration(text)
	switch {
	case !ok:
		return 0, problem(text, "not a duration", "write a number with a unit: 30s, 1m")
	case d < time.Second || d > longest:
		return 0, problem(text, "out of range", "write 1s to 1h")
	}
	return d, nil
}

func (a *Alarm) parseMofN(of string) (m, n int, err error) {
	ms, ns, ok := strings.Cut(of, " of ")
	m, errM := strconv.Atoi(strings.TrimSpace(ms))
	n, errN := strconv.Atoi(strings.TrimSpace(ns))
	switch {
	case !ok || errM != nil || errN != nil:
		return 0, 0, problem(of, "not M of N", "write 3 of 5")
	case m < 1 || m > n || n > 360:
		return 0, 0, problem(of, "out of range", "the first number is at least 1 and at most the second, which is at most 360")
	case a.Metric.unit() == count:
		return 0, 0, problem(of, a.Metric.counted()+" over the whole window", "leave it out")
	}
	return m, n, nil
}

// roundUp returns the least multiple of step that is not less than d.
func roundUp(d, step time.Duration) time.Duration {
	if rest := d % step; rest > 0 {
		return d - rest + step
	}
	return d
}

func parseMin(m Metric, text string) (int, error) {
	if !m.OfRequests() {
		if text != "" {
			return 0, problem(text, string(m)+" needs no minimum of requests", "leave it out")
		}
		return 0, nil
	}
	if text == "" {
		return defaultMin, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return 0, problem(text, "not a number of requests", "write 1 or more; 20 is the default")
	}
	return int(n), nil
}

// oneOf reads one of the words; an empty text is the first.
func oneOf[W ~string](text string, words []W) (W, error) {
	if text == "" {
		return words[0], nil
	}
	if i := slices.Index(words, W(text)); i >= 0 {
		return words[i], nil
	}
	var all []string
	for _, w := range words {
		all = append(all, string(w))
	}
	hint := "use one of " + strings.Join(all, ", ")
	if near := nearest(text, all); near != "" {
		hint = "did you mean " + near + "?"
	}
	return "", problem(text, "unknown word "+quote(text), hint)
}

// Expand returns the long form with every default written out.
func (a Alarm) Expand() Long {
	l := Long{
		Metric:  string(a.Metric),
		For:     formatDuration(a.window()),
		Missing: string(a.Missing),
		React:   string(a.Reaction),
	}
	if long, ok := longNames[a.Metric]; ok {
		l.Metric = long
	}
	if a.Below {
		l.Below = a.limitText()
	} else {
		l.Above = a.limitText()
	}
	if a.Min > 0 {
		l.Min = strconv.Itoa(a.Min)
	}
	if !a.plainPeriods() {
		l.Of = strconv.Itoa(a.M) + " of " + strconv.Itoa(a.N)
	}
	return l
}

// String returns the short form without what is default; [ParseAlarm] reads it
// back as the same alarm.
func (a Alarm) String() string {
	l := a.Expand()
	var b strings.Builder
	b.WriteString(string(a.Metric))
	if a.Below {
		b.WriteString(" < " + l.Below)
	} else {
		b.WriteString(" > " + l.Above)
	}
	if l.Of != "" {
		b.WriteString(" in " + l.Of)
	}
	if a.window() != defaultFor {
		b.WriteString(" for " + l.For)
	}
	if l.Min != "" && a.Min != defaultMin {
		b.WriteString(" min " + l.Min)
	}
	if a.Missing != MissingMissing {
		b.WriteString(" missing " + l.Missing)
	}
	if a.Reaction != ReactRollback {
		b.WriteString(" then " + l.React)
	}
	return b.String()
}

// window is the length of the evaluation window.
func (a Alarm) window() time.Duration { return time.Duration(a.N) * a.Period }

// plainPeriods reports whether period, M and N follow from the window alone.
func (a Alarm) plainPeriods() bool {
	plain := Alarm{Metric: a.Metric}
	var wrong ParseErrors
	plain.setWindow(formatDuration(a.window()), "", &wrong)
	return len(wrong) == 0 && plain.Period == a.Period && plain.M == a.M
}

// limitText writes the limit in the metric's unit.
func (a Alarm) limitText() string {
	if a.Relative {
		return formatNumber(a.Limit) + "x stable"
	}
	switch a.Metric.unit() {
	case ratio, share:
		return formatNumber(a.Limit*100) + "%"
	case latency, age:
		return formatDuration(time.Duration(math.Round(a.Limit * float64(time.Second))))
	default:
		return formatNumber(a.Limit)
	}
}
