package analysis

import (
	"strings"
	"time"
)

// exampleLimit is what a limit of the metric looks like.
func exampleLimit(m Metric) string {
	switch m.unit() {
	case ratio:
		return "1%"
	case latency:
		return "800ms"
	case rate:
		return "5"
	case share:
		return "80%"
	case age:
		return "5m"
	default:
		return "2"
	}
}

// parseLimit sets Limit and Relative from a limit's text.
func (a *Alarm) parseLimit(text string) error {
	if factor, ok := strings.CutSuffix(text, "stable"); ok {
		return a.parseFactor(text, strings.TrimRight(factor, " "))
	}
	first, _, _ := strings.Cut(text, " ")
	if x, ok := strings.CutSuffix(first, "x"); ok {
		if _, ok := parseNumber(x); ok {
			return problem(text, "a multiple of what?", "write "+first+" stable")
		}
	}
	switch a.Metric.unit() {
	case ratio, share:
		return a.parsePercent(text)
	case latency:
		return a.parseLatency(text)
	case age:
		return a.parseAge(text)
	default:
		return a.parsePlain(text)
	}
}

// parseFactor reads "1.2x" of "1.2x stable".
func (a *Alarm) parseFactor(text, factor string) error {
	if u := a.Metric.unit(); u == rate || u == count || a.Metric == CPU {
		return problem(text, string(a.Metric)+" cannot be compared with stable: it depends on the weight", "write a number: "+exampleLimit(a.Metric))
	}
	if a.Metric.unit() == age {
		return problem(text, string(a.Metric)+" cannot be compared with stable: both versions take from the same queues", "write a duration: "+exampleLimit(a.Metric))
	}
	number, ok := strings.CutSuffix(factor, "x")
	x, isNumber := parseNumber(number)
	switch {
	case a.Below:
		return problem(text, "a relative alarm trips above only", "write > or above")
	case !ok || !isNumber:
		return problem(text, "not a multiple of stable", "write 1.2x stable")
	case x < 1 || x > 1000:
		return problem(text, "out of range", "write 1x to 1000x stable")
	}
	a.Relative, a.Limit = true, x
	return nil
}

func (a *Alarm) parsePercent(text string) error {
	number, ok := strings.CutSuffix(text, "%")
	x, isNumber := parseNumber(strings.TrimRight(number, " "))
	switch {
	case !isNumber:
		return problem(text, "not a percentage", "write "+exampleLimit(a.Metric))
	case !ok && x < 1:
		return problem(text, "no unit", "write "+formatNumber(x*100)+"%")
	case !ok:
		return problem(text, "no unit", "write "+formatNumber(x)+"%")
	case a.Metric.unit() == ratio && x >= 100:
		return problem(text, "can never be exceeded", "write less than 100%")
	case x > 10000:
		return problem(text, "out of range", "write "+exampleLimit(a.Metric))
	}
	a.Limit = x / 100
	return nil
}

func (a *Alarm) parseLatency(text string) error {
	if x, ok := parseNumber(text); ok {
		return problem(text, "no unit", "write "+formatNumber(x)+"ms or "+formatNumber(x)+"s")
	}
	d, ok := parseDuration(text)
	switch {
	case !ok:
		return problem(text, "not a duration", "write "+exampleLimit(a.Metric))
	case d < time.Microsecond || d > longest:
		return problem(text, "out of range", "write 1us to 1h")
	}
	a.Limit = d.Seconds()
	return nil
}

// oldest is the longest that a queue keeps a message, as SQS does.
const oldest = 14 * 24 * time.Hour

func (a *Alarm) parseAge(text string) error {
	if x, ok := parseNumber(text); ok {
		return problem(text, "no unit", "write "+formatNumber(x)+"s or "+formatNumber(x)+"m")
	}
	d, ok := parseDuration(text)
	switch {
	case !ok:
		return problem(text, "not a duration", "write "+exampleLimit(a.Metric))
	case d < time.Second || d > oldest:
		return problem(text, "out of range", "write 1s to 14d")
	}
	a.Limit = d.Seconds()
	return nil
}

func (a *Alarm) parsePlain(text string) error {
	x, ok := parseNumber(text)
	switch {
	case !ok:
		return problem(text, "not a plain number", "write "+exampleLimit(a.Metric))
	case a.Metric.unit() == count && x != float64(int(x)):
		return problem(text, "not a whole number", "write "+formatNumber(float64(int(x))))
	}
	a.Limit = x
	return nil
}
