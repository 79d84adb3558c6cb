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

// Alarm checks the long form. An error is a *[ParseError] whose Field is the key
// that is wrong.
func (l Long) Alarm(name string) (Alarm, error) {
	if l.Source != "" {
		return Alarm{}, in(l.Source, notYet("", "alarms on "+l.Source+" are not available yet", "use a metric: "+metricNames()))
	}
	m, err := parseMetric(l.Metric)
	if err != nil {
		return Alarm{}, in("metric", err)
	}
	a := Alarm{Name: name, Metric: m}
	if err := a.setLimit(l.Above, l.Below); err != nil {
		return Alarm{}, err
	}
	if err := a.setWindow(l.For, l.Of); err != nil {
		return Alarm{}, err
	}
	if a.Min, err = parseMin(m, l.Min); err != nil {
		return Alarm{}, in("min", err)
	}
	if a.Missing, err = oneOf(l.Missing, treatments()); err != nil {
		return Alarm{}, in("missing", err)
	}
	if a.Reaction, err = oneOf(l.React, []Reaction{ReactRollback, ReactPause, ReactNotify}); err != nil {
		return Alarm{}, in("react", err)
	}
	a.Text = a.String()
	return a, nil
}

func treatments() []Missing {
	return []Missing{MissingMissing, MissingIgnore, MissingBreaching, MissingNotBreaching}
}

func (a *Alarm) setLimit(above, below string) error {
	switch {
	case above != "" && below != "":
		return in("below", problem(below, "above and below at once", "keep one, or write two alarms"))
	case above != "":
		return in("above", a.parseLimit(above))
	case below == "":
		return in("above", problem("", "no limit", "add above: "+exampleLimit(a.Metric)))
	}
	if u := a.Metric.unit(); u != rate && u != share {
		return in("below", problem(below, string(a.Metric)+" trips above its limit only", "write > or above"))
	}
	a.Below = true
	return in("below", a.parseLimit(below))
}

// setWindow sets period, M and N. A period is 10 s, or 1 s where the window is
// shorter; a window that is no whole number of them is an error rather than
// rounded, because the text is what people will quote in a review.
func (a *Alarm) setWindow(window, of string) error {
	d := defaultFor
	if window != "" {
		var ok bool
		if d, ok = parseDuration(window); !ok {
			return in("for", problem(window, "not a duration", "write a number with a unit: 30s, 1m"))
		}
	}
	if d < time.Second || d > longest {
		return in("for", problem(window, "out of range", "write 1s to 1h"))
	}
	if of != "" {
		return a.setMofN(d, window, of)
	}
	a.Period = 10 * time.Second
	if d < a.Period {
		a.Period = time.Second
	}
	if d%a.Period != 0 {
		up := d - d%a.Period + a.Period
		return in("for", problem(window, "not a whole number of "+formatDuration(a.Period)+" periods", "write "+formatDuration(up)))
	}
	a.N = int(d / a.Period)
	a.M = a.N
	if a.Metric.unit() == count {
		a.M = 1 // the sum over the window is one figure: it breaches or it does not
	}
	return nil
}

func (a *Alarm) setMofN(d time.Duration, window, of string) error {
	ms, ns, ok := strings.Cut(of, " of ")
	m, errM := strconv.Atoi(strings.TrimSpace(ms))
	n, errN := strconv.Atoi(strings.TrimSpace(ns))
	step := time.Duration(n) * time.Second // what the window must be a multiple of
	switch {
	case !ok || errM != nil || errN != nil:
		return in("of", problem(of, "not M of N", "write 3 of 5"))
	case m < 1 || m > n || n > 360:
		return in("of", problem(of, "out of range", "the first number is at least 1 and at most the second, which is at most 360"))
	case a.Metric.unit() == count:
		return in("of", problem(of, string(a.Metric)+" are counted over the whole window", "leave it out"))
	case d%step != 0:
		up := d - d%step + step
		return in("for", problem(window, formatDuration(d)+" cannot be split into "+strconv.Itoa(n)+" periods of whole seconds", "write "+formatDuration(up)))
	}
	a.M, a.N, a.Period = m, n, d/time.Duration(n)
	return nil
}

func parseMin(m Metric, text string) (int, error) {
	if !m.ofRequests() {
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
	var plain Alarm
	plain.Metric = a.Metric
	if plain.setWindow(formatDuration(a.window()), "") != nil {
		return false
	}
	return plain.Period == a.Period && plain.M == a.M
}

// limitText writes the limit in the metric's unit.
func (a Alarm) limitText() string {
	if a.Relative {
		return formatNumber(a.Limit) + "x stable"
	}
	switch a.Metric.unit() {
	case ratio, share:
		return formatNumber(a.Limit*100) + "%"
	case latency:
		return formatDuration(time.Duration(math.Round(a.Limit * float64(time.Second))))
	default:
		return formatNumber(a.Limit)
	}
}
